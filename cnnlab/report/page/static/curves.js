"use strict";
// The viewer of learning curves: uPlot draws, a list of checkboxes chooses, a slider reads out.

cnnlab.SHOWN = 8; // variants that are on at first, and by "Best"
cnnlab.BANDS = 12; // more variants than this are drawn without bands
cnnlab.COLOURS = 10;
cnnlab.SPLITS = { val: "validation", train: "training" };

cnnlab.curves = function () {
  const data = cnnlab.data("curves");
  if (data === null) return;
  const viewer = { data, form: document.getElementById("viewer"), plot: null, on: [] };
  viewer.form.hidden = false;
  viewer.form.addEventListener("submit", (event) => event.preventDefault());
  cnnlab.list(viewer);
  const slider = document.getElementById("epoch");
  slider.max = data.epochs.length - 1;
  slider.value = slider.max;
  slider.addEventListener("input", () => cnnlab.read(viewer, Number(slider.value), true));
  viewer.form.addEventListener("change", (event) => {
    if (event.target.name) cnnlab.draw(viewer);
  });
  cnnlab.switchOn(viewer, data.best.slice(0, cnnlab.SHOWN));
  const box = document.getElementById("plot");
  new ResizeObserver(() => cnnlab.fit(viewer, box.clientWidth)).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cnnlab.draw(viewer));
  cnnlab.viewer = viewer;
};

// --- the list of variants

cnnlab.list = function (viewer) {
  const list = document.getElementById("variant-list");
  viewer.boxes = viewer.data.variants.map(([, name, note], place) => {
    const box = cnnlab.element("input", { type: "checkbox", name: "variant", value: place });
    const label = cnnlab.element("label", {}, box, cnnlab.element("span", { class: "swatch" }), name);
    if (!cnnlab.has(viewer.data, place)) {
      box.disabled = true;
      label.append(" ", cnnlab.chip("no-verdict", "no curve"));
    }
    if (note) label.append(" ", cnnlab.chip("partial", note));
    list.append(label);
    return box;
  });
  const filter = document.getElementById("variant-filter");
  const found = (name) => name.toLowerCase().includes(filter.value.trim().toLowerCase());
  filter.addEventListener("input", () => viewer.boxes.forEach((box, place) => {
    box.parentElement.hidden = !found(viewer.data.variants[place][1]);
    box.parentElement.style.display = box.parentElement.hidden ? "none" : "";
  }));
  const button = (id, places) => document.getElementById(id).addEventListener("click", () =>
    cnnlab.switchOn(viewer, places()));
  button("variants-best", () => viewer.data.best.slice(0, cnnlab.SHOWN));
  button("variants-none", () => []);
  button("variants-found", () => viewer.data.best.filter((k) => found(viewer.data.variants[k][1])));
};

// Whether there is anything to draw of a variant: a loss that is not finite is none.
cnnlab.has = function (data, place) {
  const size = data.epochs.length;
  const some = (name) => data[name].mean.slice(place * size, (place + 1) * size).some((x) => x !== null);
  return ["val_loss", "val_accuracy", "train_loss", "train_accuracy"].some(some);
};

cnnlab.switchOn = function (viewer, places) {
  const wanted = new Set(places);
  viewer.boxes.forEach((box, place) => { box.checked = wanted.has(place) && !box.disabled; });
  cnnlab.draw(viewer);
};

// --- drawing

cnnlab.style = function (name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
};

// A variant keeps its colour while it is on; a free one is taken for each new one.
cnnlab.coloured = function (viewer) {
  const old = viewer.colours || new Map();
  const on = viewer.boxes.flatMap((box, place) => (box.checked ? [place] : []));
  const used = new Array(cnnlab.COLOURS).fill(0);
  const kept = new Map(on.filter((place) => old.has(place)).map((place) => [place, old.get(place)]));
  kept.forEach((colour) => { used[colour] += 1; });
  for (const place of on) {
    if (kept.has(place)) continue;
    const colour = used.indexOf(Math.min(...used));
    used[colour] += 1;
    kept.set(place, colour);
  }
  viewer.on = on;
  viewer.colours = kept;
};

cnnlab.chosen = function (viewer) {
  const form = new FormData(viewer.form);
  return { measure: form.get("measure"), splits: form.getAll("split") };
};

// The numbers of one variant and one split: mean, lowest, highest; each null or a list.
cnnlab.lines = function (data, split, measure, place) {
  const found = data[split + "_" + measure];
  const size = data.epochs.length;
  const cut = (values) => values.slice(place * size, (place + 1) * size);
  const mean = cut(found.mean).map((x) => (x === null ? null : x / 10000));
  if (found.low === null) return { mean, low: null, high: null };
  const off = (values, sign) => cut(values).map((x, k) =>
    x === null || mean[k] === null ? null : mean[k] + (sign * x) / 10000);
  return { mean, low: off(found.low, -1), high: off(found.high, 1) };
};

cnnlab.draw = function (viewer) {
  cnnlab.coloured(viewer);
  const { measure, splits } = cnnlab.chosen(viewer);
  const columns = [viewer.data.epochs], series = [{}], bands = [];
  for (const place of viewer.on) {
    const colour = cnnlab.style("--c" + viewer.colours.get(place));
    for (const split of splits) {
      const { mean, low, high } = cnnlab.lines(viewer.data, split, measure, place);
      if (low !== null && viewer.on.length <= cnnlab.BANDS) {
        columns.push(high, low);
        series.push(...[0, 0].map(() => ({ stroke: "transparent", points: { show: false } })));
        bands.push({ series: [series.length - 2, series.length - 1], fill: colour + "24" });
      }
      columns.push(mean);
      const dash = split === "train" ? [6, 5] : [];
      const points = { show: mean.filter((x) => x !== null).length < 2 }; // one point is no line
      series.push({ label: viewer.data.variants[place][1], stroke: colour, width: 2, dash, points });
    }
  }
  viewer.plot?.destroy();
  const box = document.getElementById("plot");
  viewer.plot = new uPlot(cnnlab.options(viewer, box, measure, series, bands), columns, box);
  cnnlab.marked(viewer, measure, splits);
  cnnlab.read(viewer, Number(document.getElementById("epoch").value), true);
};

cnnlab.height = function (width) {
  return Math.round(Math.min(Math.max(width * 0.5, 260), 420));
};

cnnlab.options = function (viewer, box, measure, series, bands) {
  const width = Math.max(box.clientWidth, 200);
  const axis = {
    stroke: cnnlab.style("--soft"), font: "13px system-ui, sans-serif",
    grid: { stroke: cnnlab.style("--rule"), width: 1 }, ticks: { show: false },
  };
  const all = viewer.data.epochs;
  const range = all.length === 1 ? () => [all[0] - 1, all[0] + 1] : undefined;
  return {
    width, height: cnnlab.height(width), series, bands,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false, range } },
    axes: [
      { ...axis, label: "epoch", labelFont: axis.font, labelSize: 20, size: 32, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] },
      { ...axis, label: measure === "loss" ? "loss (nats)" : "accuracy", labelFont: axis.font, labelSize: 22, size: 56 },
    ],
    hooks: {
      setCursor: [(plot) => {
        // A cursor that left the picture has no place.
        if (plot.cursor.idx !== null && plot.cursor.event) cnnlab.read(viewer, plot.cursor.idx, false);
      }],
    },
  };
};

cnnlab.fit = function (viewer, width) {
  if (viewer.plot && width > 0 && width !== viewer.plot.width) {
    viewer.plot.setSize({ width, height: cnnlab.height(width) });
  }
};

// Colours beside the names, and the picture in words.
cnnlab.marked = function (viewer, measure, splits) {
  viewer.boxes.forEach((box, place) => {
    const colour = viewer.colours.get(place);
    box.nextElementSibling.style.background = colour === undefined ? "" : `var(--c${colour})`;
  });
  const what = splits.map((split) => cnnlab.SPLITS[split]).join(" and ") || "nothing";
  const summed = `${viewer.on.length} of ${viewer.boxes.length} variants are drawn`;
  document.getElementById("variants-shown").textContent = summed;
  document.getElementById("plot").setAttribute(
    "aria-label", `Learning curves, ${what} ${measure} by epoch; ${summed}. The table below has the values.`,
  );
};

// --- the values at one epoch

cnnlab.READ = 50; // rows

cnnlab.read = function (viewer, index, move) {
  const { data } = viewer;
  const { measure, splits } = cnnlab.chosen(viewer);
  const slider = document.getElementById("epoch");
  slider.value = index;
  slider.setAttribute("aria-valuetext", "epoch " + data.epochs[index]);
  document.getElementById("epoch-shown").textContent = data.epochs[index];
  const table = document.getElementById("readout");
  const more = viewer.on.length > cnnlab.READ ? `, the first ${cnnlab.READ}` : "";
  table.caption.textContent = `Values at epoch ${data.epochs[index]}${more}: mean (lowest to highest)`;
  const heads = splits.map((split) => `${cnnlab.SPLITS[split]} ${measure}`);
  table.tHead.replaceChildren(cnnlab.element("tr", {}, ...["variant", ...heads].map((head) =>
    cnnlab.element("th", { scope: "col" }, head))));
  table.tBodies[0].replaceChildren(...viewer.on.slice(0, cnnlab.READ).map((place) =>
    cnnlab.valueRow(viewer, place, index, measure, splits)));
  if (move && viewer.plot) {
    const left = viewer.plot.valToPos(data.epochs[index], "x");
    viewer.plot.setCursor({ left, top: 0 }, false);
  }
};

cnnlab.valueRow = function (viewer, place, index, measure, splits) {
  const swatch = cnnlab.element("span", { class: "swatch" });
  swatch.style.background = `var(--c${viewer.colours.get(place)})`;
  const cells = splits.map((split) => {
    const { mean, low, high } = cnnlab.lines(viewer.data, split, measure, place);
    if (mean[index] === null) return cnnlab.element("td", {}, "-");
    const range = low === null ? "" : ` (${low[index].toFixed(4)} to ${high[index].toFixed(4)})`;
    return cnnlab.element("td", {}, mean[index].toFixed(4) + range);
  });
  const name = cnnlab.element("th", { scope: "row" }, swatch, viewer.data.variants[place][1]);
  return cnnlab.element("tr", {}, name, ...cells);
};
