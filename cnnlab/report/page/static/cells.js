"use strict";
// Cells: what a value of a column looks like, as text and as an element. No HTML is ever parsed.

cnnlab.data = function (name) {
  const found = document.getElementById("data-" + name);
  return found === null ? null : JSON.parse(found.textContent);
};

cnnlab.element = function (tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

cnnlab.chip = function (word, text) {
  return cnnlab.element("span", { class: "chip " + word.replaceAll(" ", "-") }, text);
};

cnnlab.number = function (value, column) {
  if (value === null) return "-";
  const text = value.toFixed(column.digits);
  const zero = Number(text) === 0;
  const plain = zero ? text.replace("-", "") : text;
  return column.sign && (zero || value > 0) ? "+" + plain : plain;
};

// The text of a cell: what is searched, and what `cnnlab.report.columns.text` makes of it.
cnnlab.text = function (cell, column) {
  if (cell === null) return "-";
  switch (column.kind) {
    case "number": return cnnlab.number(cell, column);
    case "mean": return (cell[1] ? "partial " : "") + cnnlab.number(cell[0], column);
    case "interval": return cell.map((end) => cnnlab.number(end, column)).join(" to ");
    case "p": return cell < 0.001 ? "< 0.001" : cell.toFixed(3);
    case "verdict": return cell[1] ? cell[0] + ": " + cell[1] : cell[0];
    case "missing": return cell.map(([number, what]) => number + " " + what).join(", ") || "-";
    default: return cell;
  }
};

cnnlab.LONG = 30; // characters that a cell holds in one line

// Text that does not stretch a table, however long it is.
cnnlab.folded = function (text) {
  if (text.length <= cnnlab.LONG) return document.createTextNode(text);
  return cnnlab.element("span", { class: "long" }, text);
};

// The element of a cell, or a text node.
cnnlab.shown = function (cell, column) {
  const text = cnnlab.folded(cnnlab.text(cell, column));
  if (cell === null) return text;
  const parts = document.createElement("span");
  if (column.kind === "verdict") {
    parts.append(cnnlab.chip(cell[0], cell[0]));
    if (cell[1]) parts.append(" ", cnnlab.element("small", {}, cell[1]));
    return parts;
  }
  if (column.kind === "missing" && cell.length) {
    cell.forEach(([number, what], place) =>
      parts.append(place ? " " : "", cnnlab.chip(what, number + " " + what)));
    return parts;
  }
  if (column.kind === "mean" && cell[1]) {
    parts.append(cnnlab.chip("partial", "partial"), " ", cnnlab.number(cell[0], column));
    return parts;
  }
  return text;
};

// What a cell sorts by: a number where it is one, null where nothing is there.
cnnlab.rank = function (cell, column) {
  if (cell === null) return null;
  switch (column.kind) {
    case "number": case "p": return cell;
    case "mean": case "interval": return cell[0];
    case "missing": return cell.reduce((sum, [number]) => sum + number, 0);
    case "level": return cell !== "" && isFinite(cell) ? Number(cell) : cell;
    default: return cnnlab.text(cell, column);
  }
};
