"use strict";
// Every run, and its whole configuration when it is asked for.

cnnlab.runs = function () {
  const data = cnnlab.data("runs");
  const rows = data.id.map((_, place) => place); // a row is a place in the columns
  const states = [...new Set(data.status)].sort().map((code) => data.states[code]);
  const columns = cnnlab.runColumns(data);
  const status = columns.findIndex((column) => column.kind === "status");
  const made = cnnlab.table("runs", columns, rows, cnnlab.choice("Status", status, states));
  document.querySelector("#table-runs tbody").addEventListener("click", (event) => {
    const button = event.target.closest("td.open button");
    if (button) cnnlab.open(made, button, data);
  });
};

cnnlab.runColumns = function (data) {
  const number = (name, digits, detail) => cnnlab.column("number", (row) => data[name][row], digits, detail);
  const levels = data.factors.map((_, place) =>
    cnnlab.column("level", (row) => data.variants[data.variant[row]][place]),
  );
  const status = cnnlab.column("status", (row) => data.states[data.status[row]]);
  status.node = (row) => cnnlab.chip(status.search(row), status.search(row));
  const open = cnnlab.column("open", () => "");
  open.node = (row) => cnnlab.element(
    "button",
    { type: "button", "aria-expanded": "false", "aria-label": "Configuration of run " + data.id[row] },
    "+",
  );
  return [
    open, ...levels, number("seed", 0), status, number("value", 4), number("best_epoch", 0, 1),
    number("epoch", 0, 2), number("seconds", 1, 2), cnnlab.column("text", (row) => data.id[row], 0, 1),
  ];
};

// A column of plain values.
cnnlab.column = function (kind, value, digits, detail) {
  const column = { kind, digits: digits || 0, sign: false };
  return {
    kind,
    detail,
    search: (row) => cnnlab.text(value(row), column),
    rank: (row) => cnnlab.rank(value(row), column),
    node: (row) => cnnlab.folded(cnnlab.text(value(row), column)),
  };
};

cnnlab.open = function (table, button, data) {
  const row = table.row(button.closest("tr"));
  const shown = row.child.isShown();
  if (shown) row.child.hide();
  else row.child(cnnlab.config(data, row.data()), "child").show();
  button.setAttribute("aria-expanded", String(!shown));
  button.textContent = shown ? "+" : "-";
};

// What a run was trained with: what is its own first, then what all runs share.
cnnlab.config = function (data, row) {
  const list = cnnlab.element("dl", {});
  const add = (key, value, kind) => list.append(
    cnnlab.element("div", { class: kind }, cnnlab.element("dt", {}, key), cnnlab.element("dd", {}, value)),
  );
  for (const [key, texts, codes] of data.keys) if (codes[row] >= 0) add(key, texts[codes[row]], "own");
  for (const [key, text] of data.common) add(key, text, "shared");
  const place = cnnlab.element("p", {}, "Record: ", cnnlab.element("code", {}, data.directory[row]));
  if (data.device[row] >= 0) place.append(", on " + data.devices[data.device[row]]);
  const made = cnnlab.element("div", { class: "config" }, place);
  if (data.error[row] >= 0) made.append(cnnlab.element("p", { class: "error" }, data.errors[data.error[row]]));
  made.append(list);
  return made;
};
