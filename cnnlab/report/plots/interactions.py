"""Whether one factor's effect depends on another: lines that are not parallel."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cnnlab.core.formats import probability
from cnnlab.report.lost import lost_levels, told
from cnnlab.report.plots.levels import label_levels, numeric, ordered, places, shared, signs
from cnnlab.report.plots.sheet import GREY, NOTE, SMALL, empty, finished, panels, styled
from cnnlab.report.plots.text import basis, fitted
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.crossing import Crossing, crossing
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.paired import paired_t

PANELS = 6
"""Pairs of factors, the strongest first."""

LINES = 5
"""Lines in a panel; of more levels, so many evenly among them."""

BARS = 12
"""More intervals along a line are a band."""

WIDTH, HEIGHT = 4.2, 2.8


def cell_means(cells: Crossing, limits: tuple[float, float]) -> pd.DataFrame:
    """The mean of each cell over seeds; within a seed over the combinations of all other factors.

    The seeds are those of the test; but where less than two have all cells, means are of what there
    is, which is then said.

    Args:
        cells: of a pair of factors
        limits: of the metric, at which intervals end

    Returns:
        a, b (the levels), mean, low, high (of the 95% t interval, NaN where there is none), partial
        (whether means are of what there is)
    """
    values = cells.whole
    partial = len(values) < min(2, len(cells.values))
    if partial:
        count = (~np.isnan(cells.values)).sum(axis=1)
        total = np.nansum(cells.values, axis=1)
        values = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    tests = paired_t(values.reshape(len(values), -1))
    table = pd.DataFrame(product(*cells.levels), columns=["a", "b"], dtype=object)
    # What least squares put in the place of a lost run may lie beyond a limit too.
    ends = {"mean": "difference", "low": "ci_low", "high": "ci_high"}
    within = {name: np.clip(tests[of], *limits) for name, of in ends.items()}
    return table.assign(**within, partial=partial)


def lines(
    table: pd.DataFrame, axes: Axes, inches: float, of: Mapping[str, tuple[str, str]]
) -> Axes:
    """Means with their intervals along one factor, a line for each level of the other.

    Args:
        table: of `cell_means`; a goes along the axis
        axes: to draw on
        inches: the length of the x axis
        of: the colour and the marker of each level of b
    """
    across, levels = ordered(table["a"]), ordered(table["b"])
    at, _ = places(across)
    place = dict(zip(map(level_text, across), at, strict=True))
    if len(levels) > LINES:
        levels = [levels[k] for k in np.linspace(0, len(levels) - 1, LINES).round().astype(int)]
    step = min(0.022, np.diff(at).min() / 8) if len(at) > 1 else 0
    for k, level in enumerate(levels):
        rows = table[table["b"].map(level_text) == level_text(level)]
        rows = rows.assign(x=rows["a"].map(level_text).map(place)).sort_values("x")
        aside = (k - (len(levels) - 1) / 2) * step  # so that intervals do not hide one another
        few, (colour, marker) = len(across) <= BARS, of[level_text(level)]
        ends = (rows["mean"] - rows["low"], rows["high"] - rows["mean"]) if few else None
        axes.errorbar(
            rows["x"] + aside, rows["mean"], ends, color=colour,
            marker=marker if few else None, capsize=2.5, ms=5, lw=1.6, elinewidth=1,
            label=level_text(level),
        )  # fmt: skip
        if not few:
            axes.fill_between(rows["x"], rows["low"], rows["high"], color=colour, alpha=0.2, lw=0)
    axes.set_xlim(-0.08, 1.08)
    label_levels(axes, across, at, inches)
    return axes


@styled
def interactions_figure(analysis: Analysis) -> Figure:
    """A panel for each pair of factors whose levels cross, the strongest first."""
    note, tests = basis(analysis.sweep, analysis.summary), analysis.interactions
    if tests.empty:
        count = len(analysis.sweep.factors)
        why = "no two factors cross in finished runs"
        why = why if count > 1 else f"the sweep has {count or 'no'} factor"
        return empty(f"Nothing can interact: {why}.", "No interaction to show", note)
    strongest = tests.sort_values(["p", "F"], ascending=[True, False], kind="stable")[:PANELS]
    figure, grid = panels(
        len(strongest), width=WIDTH, height=HEIGHT, columns=3, share=(False, True)
    )
    for axes, test in zip(grid, strongest.to_dict("records"), strict=True):
        _panel(axes, analysis, test)
    for place, axes in enumerate(grid):
        if place % axes.get_gridspec().ncols == 0:
            axes.set_ylabel(fitted(analysis.metric.title, HEIGHT - 0.4, NOTE, 2), size=NOTE)
    if ends := _ends(grid):
        note += f". {ends}: 95% t interval of a mean over seeds; the test compares within seeds"
    note += shared(analysis.summary, analysis.sweep.factors)
    if len(tests) > PANELS:
        note += f". The strongest {PANELS} of {len(tests)} pairs"
    lost = told(lost_levels(analysis.sweep.runs, analysis.sweep.factors))
    return finished(figure, _title(tests), note, foot=lost)


def _ends(grid: Sequence[Axes]) -> str:
    """What shows intervals: bars, bands or both; empty where no mean has one."""
    bands = any(isinstance(each, PolyCollection) for axes in grid for each in axes.collections)
    bars = any(
        segment.size and np.isfinite(segment).all()
        for axes in grid
        for line in axes.containers
        for bar in line.lines[2]
        for segment in bar.get_segments()
    )
    return " and ".join(["bars"] * bars + ["bands"] * bands).capitalize()


def _panel(axes: Axes, analysis: Analysis, test: Mapping[str, Any]) -> None:
    across, by = _roles(analysis, test["factor"], test["other"])
    factor = {each.name: each for each in analysis.matrix.factors}
    cells = crossing(analysis.matrix, factor[across], factor[by])
    table = cell_means(cells, analysis.metric.limits)
    every = signs(analysis.summary, analysis.sweep.factors)
    of = {level: sign for (name, level), sign in every.items() if name == by}
    lines(table, axes, WIDTH - 1.7, of)
    log = ", log scale" if places(ordered(table["a"]))[1] == "log" else ""
    axes.set_xlabel(fitted(across, WIDTH - 2.4, NOTE) + log, size=NOTE)
    handles = [line for line, *_ in axes.containers]
    texts = [fitted(line.get_label(), 1, SMALL, 2) for line in axes.containers]
    name = fitted(by, 1.1, SMALL, 2)
    levels = table["b"].map(level_text).nunique()
    if levels > LINES:
        name += f"\n({LINES} of {levels})"
    # A label that begins with _ would be left out.
    texts = [f" {text}" if text.startswith("_") else text for text in texts]
    axes.legend(
        [Line2D([], [], color=h.get_color(), marker=h.get_marker(), ms=5) for h in handles], texts,
        title=name, fontsize=SMALL, title_fontsize=SMALL, frameon=False, handlelength=1.5,
        loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0, alignment="left",
    )  # fmt: skip
    left_out = f"without {test['left_out']}" if test["left_out"] else ""
    partial = "some runs are missing: means of those there are" if table["partial"].any() else ""
    heads = [f"{test['factor']} and {test['other']}", _tested(test), left_out, partial]
    heads = [fitted(text, WIDTH - 0.4, NOTE, 2) for text in heads if text]
    colour = "0" if test["verdict"] == "interaction" else GREY
    axes.set_title("\n".join(heads), size=NOTE, color=colour)


def _roles(analysis: Analysis, one: str, other: str) -> tuple[str, str]:
    """Which factor goes along the axis: the one of numbers, else the one with more levels."""

    def key(name: str) -> tuple[bool, int]:
        levels = ordered(analysis.summary[name])
        return numeric(levels), len(levels)

    return (one, other) if key(one) >= key(other) else (other, one)


def _tested(test: Mapping[str, Any]) -> str:
    if test["verdict"] == "no verdict":
        return str(test["why"])
    return (
        f"F({test['df']}, {test['df_residual']}) = {test['F']:.4g}, {probability(test['p_holm'])}"
        f"{' (Holm)' if test['comparisons'] > 1 else ''}: {test['verdict']}, {test['n']} seeds"
    )


def _title(tests: pd.DataFrame) -> str:
    real = tests[tests["verdict"] == "interaction"].sort_values("p", kind="stable")
    if len(real):
        row = real.iloc[0]
        more = f", and {len(real) - 1} more of {len(tests)} pairs interact" if real[1:].size else ""
        return (
            f"What {row['factor']} changes depends on {row['other']} "
            f"({probability(row['p_holm'])}){more}"
        )
    if (tests["verdict"] == "no verdict").all():
        return f"No test of interactions: {tests['why'].iloc[0]}"
    return "No evidence that what one factor changes depends on another"
