"""Learning curves: a panel for each combination of all factors but one, which has the colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cnnlab.core.formats import number
from cnnlab.report.lost import at_lost, lost_levels, told
from cnnlab.report.plots.levels import ordered, shared, signs
from cnnlab.report.plots.sheet import (
    COLOURS,
    DARK,
    GREY,
    NOTE,
    SMALL,
    empty,
    finished,
    outer,
    panels,
    styled,
)
from cnnlab.report.plots.text import basis, described, fitted, missing, row_of
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import level_text

MANY = 4
"""More curves of one colour each than this are hard to tell apart in a panel."""

PANELS = 12
"""More panels than this cannot be taken in; then all curves share one."""

NAMED = 3
"""So many of the best have a colour where all curves share a panel."""

WIDTH, HEIGHT = 3.1, 2.5


def curves(epochs: pd.DataFrame, diverged: set[str], axes: Axes, colour: str, what: str) -> Axes:
    """One variant's curves: validation solid, training dashed.

    The line is the mean of the runs that are done, as far as all of them go; the band is from the
    lowest to the highest of them. It is no interval: variants are compared within seeds, so whether
    two bands overlap says nothing. What single runs have beyond, and runs that diverged, are thin
    lines; a cross marks where one diverged.

    Args:
        epochs: of one variant, as in `cnnlab.records.reading.sweeps.Sweep`
        diverged: run ids
        axes: to draw on
        colour: of this variant
        what: accuracy or loss
    """
    ended = epochs["run_id"].isin(diverged)
    for split, style in (("val", "-"), ("train", "--")):
        table = epochs[~ended].pivot_table(f"{split}_{what}", "epoch", "run_id")
        if not table.empty:
            common = table.apply(pd.Series.last_valid_index).min()
            mean = table.loc[:common].mean(axis="columns")
            marker = "o" if len(mean) == 1 else None  # one epoch makes no line
            axes.plot(mean.index, mean, style, color=colour, marker=marker, lw=1.6, label=split)
            if split == "val" and table.shape[1] > 1:
                low, high = table.loc[:common].min(axis=1), table.loc[:common].max(axis=1)
                axes.fill_between(mean.index, low, high, color=colour, alpha=0.2, lw=0)
            axes.plot(table.loc[common:], style, color=colour, lw=0.6)
    for _, run in epochs[ended].groupby("run_id"):
        axes.plot(run["epoch"], run[f"val_{what}"], color=colour, lw=0.6)
        axes.plot(
            run["epoch"].iloc[-1:], run[f"val_{what}"].iloc[-1:], "X", color=colour, ms=7,
            label="diverged",
        )  # fmt: skip
    return axes


@styled
def curves_figure(analysis: Analysis) -> Figure:
    """All learning curves of a sweep: losses where the metric is one, else accuracies."""
    epochs, what = analysis.sweep.epochs, _what(analysis)
    note = basis(analysis.sweep, analysis.summary)
    if epochs[f"val_{what}"].notna().sum() == 0:
        return empty("No epoch of a finished run to show.", "No learning curves yet", note)
    lost = lost_levels(analysis.sweep.runs, analysis.sweep.factors)
    hue, split = _split(analysis, analysis.summary[~at_lost(analysis.summary, [*lost])])
    if len(split) > PANELS:
        return _one_panel(analysis, note)
    figure, grid = panels(len(split), width=WIDTH, height=HEIGHT, share=(True, True))
    room = figure.get_figwidth() / min(len(split), grid[0].get_gridspec().ncols) - 0.6
    colours = _colours(analysis, hue, split)
    for axes, (name, rows) in zip(grid, split, strict=True):
        _panel(axes, analysis, rows, hue, colours)
        _head(axes, name, rows, hue, room)
    outer(grid, "epoch", f"{what}{' (nats)' * (what == 'loss')}")
    _limits(grid[0], what)
    note += _words(grid)
    if hue:
        note += shared(analysis.summary, analysis.sweep.factors)
    named = [
        (Line2D([], [], color=colour, lw=3), f"{hue}={level}") for level, colour in colours.items()
    ]
    legend = [*named, *_signs(grid)]
    return finished(figure, _title(analysis, what), note, legend, foot=told(lost))


def _colours(
    analysis: Analysis, hue: str | None, split: Sequence[tuple[str, pd.DataFrame]]
) -> dict[str, str]:
    """The colour of each level that has a line, the levels in their order."""
    if hue is None:
        return {}
    of = signs(analysis.summary, analysis.sweep.factors)
    rows = pd.concat([rows for _, rows in split])
    there = rows.loc[rows.index.isin(set(analysis.sweep.epochs["variant"])), hue]
    return {level_text(level): of[hue, level_text(level)][0] for level in ordered(there)}


def _panel(
    axes: Axes,
    analysis: Analysis,
    rows: pd.DataFrame,
    hue: str | None,
    colours: Mapping[str, str],
) -> None:
    epochs = analysis.sweep.epochs
    of = dict(list(epochs[epochs["variant"].isin(rows.index)].groupby("variant")))
    for variant, row in rows.to_dict("index").items():
        if variant in of:
            colour = colours[level_text(row[hue])] if hue else DARK
            curves(of[variant], _diverged(analysis), axes, colour, _what(analysis))


def _what(analysis: Analysis) -> str:
    return "loss" if analysis.metric.less_is_better else "accuracy"


def _diverged(analysis: Analysis) -> set[str]:
    runs = analysis.sweep.runs
    return set(runs.loc[runs["status"] == "diverged", "run_id"])


def _split(
    analysis: Analysis, summary: pd.DataFrame
) -> tuple[str | None, list[tuple[str, pd.DataFrame]]]:
    """The factor that has the colours, and each panel's name and variants, of a summary's."""
    factors = analysis.sweep.factors
    texts = summary[factors].map(level_text)
    counts = texts.nunique()
    hue = None
    if len(summary) == counts.prod():  # every combination is there
        few = [name for name in factors if 1 < counts[name] <= MANY]
        hue = max(few, key=lambda name: counts[name], default=None)
    others = [name for name in factors if name != hue]
    if not others:
        return hue, [("", summary)]
    groups = [summary.loc[rows.index] for _, rows in texts.groupby(others, sort=False)]
    return hue, [(described(row_of(rows, rows.index[0]), others), rows) for rows in groups]


def _head(axes: Axes, name: str, rows: pd.DataFrame, hue: str | None, inches: float) -> None:
    """Above a panel: what it is of, and what is not in it."""
    lacks = "; ".join(
        f"{hue}={level_text(row[hue])}: {missing(row)}" if hue else missing(row)
        for row in rows.to_dict("records")
        if missing(row)
    )
    texts = [fitted(text, inches, NOTE, 2) for text in (name, lacks)]
    axes.set_title("\n".join(filter(None, texts)), size=NOTE)
    if not axes.lines:
        axes.text(
            0.5, 0.5, "no finished run", ha="center", transform=axes.transAxes, color=GREY,
            size=SMALL,
        )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)


def _limits(axes: Axes, what: str) -> None:
    """One run whose loss explodes does not flatten the others."""
    if what == "loss":
        lines = [line for each in axes.figure.axes for line in each.lines]
        tops = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines])
        low, high = np.nanquantile(tops, [0, 0.98])
        axes.set_ylim(low - 0.08 * (high - low) - 1e-3, high + 0.08 * (high - low) + 1e-3)


def _words(grid: Sequence[Axes]) -> str:
    """What the note says of the lines: bands only where there are some."""
    return ". Line: mean; band: lowest to highest seed" if _banded(grid) else ""


def _banded(grid: Sequence[Axes]) -> bool:
    return any(isinstance(each, PolyCollection) for axes in grid for each in axes.collections)


def _signs(grid: Sequence[Axes]) -> list[tuple[Any, str]]:
    legend = [
        (Line2D([], [], color=DARK, lw=1.6), "validation"),
        (Line2D([], [], color=DARK, lw=1.6, ls="--"), "training"),
    ]
    if _banded(grid):
        legend.append((Patch(color=DARK, alpha=0.2, lw=0), "all seeds"))
    if any(line.get_label() == "diverged" for axes in grid for line in axes.lines):
        legend.append((Line2D([], [], color=DARK, marker="X", lw=0, ms=7), "diverged"))
    return legend


def _means(analysis: Analysis, what: str) -> pd.DataFrame:
    """The mean validation curve of each variant, a column each, of the runs that are done."""
    epochs = analysis.sweep.epochs
    done = epochs[~epochs["run_id"].isin(_diverged(analysis))]
    return done.groupby(["epoch", "variant"])[f"val_{what}"].mean().unstack("variant")


def _title(analysis: Analysis, what: str) -> str:
    means = _means(analysis, what).dropna(axis="columns", how="all")
    if means.empty:
        return "No run is done yet"
    best = means.min() if what == "loss" else means.max()
    variant = best.idxmin() if what == "loss" else best.idxmax()
    peak = means[variant].idxmin() if what == "loss" else means[variant].idxmax()
    last = means[variant].last_valid_index()
    value = f"{number(best[variant], analysis.metric.digits)} at epoch {peak} of {last}"
    mean = "Mean validation" if analysis.summary["n"].max() > 1 else "Validation"
    which = "lowest" if what == "loss" else "highest"
    if len(means.columns) == 1:
        return f"{mean} {what} is {which}, {value}"
    if best.nunique() == 1:
        return f"{mean} {what} is the same in every variant: {value}"
    row = row_of(analysis.summary, variant)
    return f"{mean} {what} is {which} with {described(row, analysis.sweep.factors)}: {value}"


# --- of very many variants


def _one_panel(analysis: Analysis, note: str) -> Figure:
    """All mean validation curves in grey; the best, and the worst, in colours."""
    what = _what(analysis)
    means = _means(analysis, what)
    figure, (axes,) = panels(1, width=8, height=4.2)
    lines = [means[variant].dropna() for variant in means]
    points = [np.column_stack([line.index, line]) for line in lines]
    axes.add_collection(LineCollection(points, color="0.75", lw=0.5, rasterized=True))
    best = means.min() if what == "loss" else -means.max()
    order = best.dropna().sort_values(kind="stable").index
    chosen = dict(zip(order, range(NAMED), strict=False)) | dict.fromkeys(order[-1:], NAMED)
    names, legend = ["best", "second", "third", "worst"], []
    for variant, k in chosen.items():
        one = analysis.sweep.epochs[analysis.sweep.epochs["variant"] == variant]
        curves(one, _diverged(analysis), axes, COLOURS[k], what)
        name = described(row_of(analysis.summary, variant), analysis.sweep.factors)
        legend.append((Line2D([], [], color=COLOURS[k], lw=3), f"{names[k]}: {name}"))
    axes.autoscale_view()
    outer([axes], "epoch", f"{what}{' (nats)' * (what == 'loss')}")
    _limits(axes, what)
    axes.xaxis.get_major_locator().set_params(integer=True)
    note += f"{_words([axes])}. Colours: of variants, not of levels"
    note += f". Grey: mean validation of each of {len(order):,} variants"
    if len(analysis.summary) > len(order):
        note += f"; without a finished run: {len(analysis.summary) - len(order):,}"
    legend.append((Line2D([], [], color="0.75", lw=1), "all variants"))
    return finished(figure, _title(analysis, what), note, [*legend, *_signs([axes])])
