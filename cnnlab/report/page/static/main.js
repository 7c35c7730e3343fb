"use strict";
// What happens when the page opens, and when it is printed.

// One part after the other, so that the page stays usable meanwhile.
cnnlab.start = function () {
  const names = [...document.querySelectorAll('script[id^="data-"]')].map((each) => each.id.slice(5));
  const jobs = names.map((name) => {
    if (name === "runs") return cnnlab.runs;
    return name === "curves" ? cnnlab.curves : () => cnnlab.statistics(name);
  });
  const next = () => {
    const job = jobs.shift();
    if (job === undefined) {
      document.querySelectorAll(".picture, .scroll").forEach(cnnlab.scrolls);
      document.documentElement.dataset.ready = "yes";
      return;
    }
    setTimeout(next); // first: a part that fails must not keep the others
    job();
  };
  next();
};

// On paper: light, everything open, and as many rows as a reader can want.
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("printing");
  cnnlab.before = {
    lengths: cnnlab.tables.map((table) => table.page.len()),
    closed: [...document.querySelectorAll("details:not([open])")],
  };
  cnnlab.before.closed.forEach((each) => { each.open = true; });
  cnnlab.tables.forEach((table) => {
    if (table.page.len() > 0 && table.page.info().pages > 1) table.page.len(cnnlab.PAPER).draw();
  });
  if (cnnlab.viewer) {
    cnnlab.draw(cnnlab.viewer);
    cnnlab.fit(cnnlab.viewer, 640);
  }
});

addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  cnnlab.before.closed.forEach((each) => { each.open = false; });
  cnnlab.tables.forEach((table, place) => {
    if (table.page.len() !== cnnlab.before.lengths[place]) table.page.len(cnnlab.before.lengths[place]).draw();
  });
  if (cnnlab.viewer) {
    cnnlab.draw(cnnlab.viewer);
    cnnlab.fit(cnnlab.viewer, document.getElementById("plot").clientWidth);
  }
});

cnnlab.start();
