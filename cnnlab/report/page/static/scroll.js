"use strict";
// Boxes that scroll sideways: they show that they do, and keys reach them.

var cnnlab = {};

// Fades the edge behind which there is more; `static/parts.css` has the fades.
//   box: with a role and a label
cnnlab.scrolls = function (box) {
  const show = () => {
    const room = box.scrollWidth - box.clientWidth;
    box.classList.toggle("more-left", box.scrollLeft > 1);
    box.classList.toggle("more-right", room - box.scrollLeft > 1);
    if (room > 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  box.addEventListener("scroll", show, { passive: true });
  const observer = new ResizeObserver(show);
  [box, ...box.children].forEach((each) => observer.observe(each));
};

// The same for the box that DataTables puts around a table.
cnnlab.reachable = function (table, label) {
  const box = table.closest(".dt-layout-table");
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Table: " + label);
  cnnlab.scrolls(box);
};
