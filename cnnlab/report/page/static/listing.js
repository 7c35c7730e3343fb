"use strict";
// The list of sweeps: sorted and filtered where it has more than one row.

(function () {
  const table = document.getElementById("sweeps");
  DataTable.ext.errMode = "throw";
  if (table !== null && table.tBodies[0].rows.length > 1) {
    new DataTable(table, {
      autoWidth: false,
      order: [],
      paging: table.tBodies[0].rows.length > 100,
      pageLength: 100,
      layout: { topStart: null, topEnd: "search", bottomStart: "info", bottomEnd: null },
      language: {
        search: "Filter", info: "_TOTAL_ sweeps", infoEmpty: "0 sweeps",
        infoFiltered: "(filtered from _MAX_)", zeroRecords: "no sweep matches",
      },
    });
    cnnlab.reachable(table, "sweeps");
  }
  document.documentElement.dataset.ready = "yes";
})();
