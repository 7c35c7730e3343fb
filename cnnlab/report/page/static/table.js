"use strict";
// Tables that sort, filter and turn pages: DataTables over the page's own data.

DataTable.ext.errMode = "throw";

cnnlab.PAGE = 25; // rows
cnnlab.FEW = 4; // rows that can be filtered; fewer are seen at a glance
cnnlab.PAPER = 200; // rows of one table on paper
cnnlab.tables = [];

cnnlab.compare = function (one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
};

// Rows without a value come last in both directions.
cnnlab.ordered = function (sign) {
  return function (one, other) {
    if (one === null || other === null) return (one === null) - (other === null);
    return sign * cnnlab.compare(one, other);
  };
};
DataTable.ext.type.order["cell-asc"] = cnnlab.ordered(1);
DataTable.ext.type.order["cell-desc"] = cnnlab.ordered(-1);

// Makes a table out of an empty one.
//   name: of the table in the page
//   columns: {data, kind, search, rank, node}: from a row to what is searched, sorted and shown
//   rows: whatever the columns read
//   choice: {label, column, values}: a choice of one column's values, or null
cnnlab.table = function (name, columns, rows, choice) {
  const table = document.getElementById("table-" + name);
  table.tBodies[0].replaceChildren();
  table.hidden = false;
  const long = rows.length > cnnlab.PAGE;
  const details = columns.map((column) => column.detail || 0);
  const fold = Math.max(...details)
    ? cnnlab.element("button", { type: "button", class: "fold", "aria-expanded": "false" }) : null;
  const made = new DataTable(table, {
    data: rows,
    columns: columns.map((column) => ({
      data: null,
      type: "cell",
      className: column.kind,
      orderable: column.kind !== "open",
      searchable: column.kind !== "open",
      render: (_, type, row) => cnnlab.rendered(column, type, row),
    })),
    autoWidth: false,
    order: [],
    paging: long,
    pageLength: cnnlab.PAGE,
    lengthMenu: [25, 100, { label: "all", value: -1 }],
    layout: cnnlab.layout(fold, choice, long, rows.length),
    language: {
      search: "Filter", lengthMenu: "_MENU_ rows a page", emptyTable: "no rows",
      zeroRecords: "no row matches", info: long ? "_START_ to _END_ of _TOTAL_" : "_TOTAL_ rows",
      infoEmpty: "0 rows", infoFiltered: "(filtered from _MAX_)",
    },
  });
  if (choice) cnnlab.choose(made, choice);
  cnnlab.reachable(table, document.getElementById(name + "-title").textContent);
  if (fold) cnnlab.foldable(made, table, details, fold);
  cnnlab.tables.push(made);
  return made;
};

cnnlab.rendered = function (column, type, row) {
  if (type === "display") return column.node(row);
  return type === "filter" ? column.search(row) : column.rank(row);
};

cnnlab.layout = function (fold, choice, long, count) {
  const several = count >= cnnlab.FEW;
  return {
    topStart: [fold, choice && several ? choice.element : null].filter(Boolean).map((each) => () => each),
    topEnd: several ? "search" : null,
    bottomStart: long ? ["info", "pageLength"] : several ? "info" : null,
    bottomEnd: long ? "paging" : null,
  };
};

// Columns of detail are folded away where they have no room, until a button asks for all.
//   details: of each column, 0 where it always stays; the highest goes first
cnnlab.foldable = function (made, table, details, button) {
  const box = table.closest(".dt-layout-table");
  const show = (most) => made.columns().every(function (place) {
    this.visible(details[place] <= most, false);
  });
  const fit = () => {
    const all = button.ariaExpanded === "true";
    const most = [2, 1, 0].find((each) => (show(each), all || table.offsetWidth <= box.clientWidth)) || 0;
    const folded = details.filter((detail) => detail > most).length;
    button.hidden = !folded && !all;
    button.textContent = all ? "Fewer columns" : `${folded} more column${folded > 1 ? "s" : ""}`;
  };
  button.addEventListener("click", () => {
    button.ariaExpanded = String(button.ariaExpanded !== "true");
    fit();
  });
  new ResizeObserver(fit).observe(box);
  fit();
};

// A labelled choice of the values of a column.
cnnlab.choice = function (label, column, values) {
  if (values.length < 2) return null;
  const select = cnnlab.element("select", {}, cnnlab.element("option", { value: "" }, "all"));
  for (const value of values) select.append(cnnlab.element("option", { value }, value));
  const element = cnnlab.element("label", { class: "dt-filter" }, label + " ", select);
  return { element, select, column };
};

cnnlab.choose = function (table, choice) {
  choice.select.addEventListener("change", () => {
    const word = DataTable.util.escapeRegex(choice.select.value);
    table.column(choice.column).search(word && "^" + word + "(:|$)", { regex: true, smart: false });
    table.draw();
  });
};

// A table of statistics.
cnnlab.statistics = function (name) {
  const { columns, rows } = cnnlab.data(name);
  const verdict = columns.findIndex((column) => column.kind === "verdict");
  const words = verdict < 0 ? [] : [...new Set(rows.map((row) => row[verdict][0]))];
  cnnlab.table(
    name,
    columns.map((column, place) => ({
      kind: column.kind,
      detail: column.detail,
      search: (row) => cnnlab.text(row[place], column),
      rank: (row) => cnnlab.rank(row[place], column),
      node: (row) => cnnlab.shown(row[place], column),
    })),
    rows,
    cnnlab.choice("Verdict", verdict, words.sort()),
  );
};
