"""Whether one factor's effect depends on another: lines that are not parallel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from cnnlab.report.plots.levels import label_levels, numeric, ordered, places
from cnnlab.report.plots.sheet import COLOURS, GREY, NOTE, SMALL, empty, finished, panels
from cnnlab.report.plots.text import basis, fitted
from cnnlab.statistics import matrix as cells
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import shown
from cnnlab.statistics.summary import LEVEL

PANELS = 6
"""Pairs of factors, the strongest first."""

LINES = 5
"""Lines in a panel; of more levels, so many evenly among them."""

BARS = 12
"""More intervals along a line are a band."""

MARKERS = "osD^v"
WIDTH, HEIGHT = 4.2, 2.8


def cell_means(analysis: Analysis, one: str, other: str) -> pd.DataFrame:
    """The mean of each cell of two factors, over seeds; within a seed over all other factors.

    Only those combinations of the other factors count that have all cells, as in
    `cnnlab.statistics.interactions`; if none has, each cell has what there is.

    Returns:
        a, b (the levels), mean, half (of the 95% t interval, NaN for n < 2), n, partial (whether
        means are of what there is, because too few seeds have all)
    """
    sweep = analysis.sweep
    table = cells.matrix(sweep.runs, sweep.factors, analysis.metric)
    factor = {each.name: each for each in table.factors}
    a, b = factor[one], factor[other]
    rest = [each for each in table.factors if each not in (a, b)]
    cell = a.codes * len(b.levels) + b.codes
    rows = np.flatnonzero(~np.isnan(table.values).all(axis=1))
    group = cells.combinations(rest, len(cell))
    whole = np.bincount(group[rows], minlength=len(cell)) == len(np.unique(cell))
    if whole.any():
        rows = rows[whole[group[rows]]]
    keys, place = np.unique(cell[rows], return_inverse=True)
    values, partial = _averaged(table.values[rows], place, len(keys))
    found = pd.DataFrame({"a": [a.levels[key // len(b.levels)] for key in keys]}, dtype=object)
    found["b"] = pd.Series([b.levels[key % len(b.levels)] for key in keys], dtype=object)
    return found.assign(**_interval(values), partial=partial)


def _averaged(values: np.ndarray, group: np.ndarray, count: int) -> tuple[np.ndarray, bool]:
    """The mean of each group of rows in each column, NaN where one of them is NaN.

    But where that leaves a group with less than two columns, the means of all are of what there
    is, which is then told.
    """
    there = ~np.isnan(values)
    number, total = np.zeros((2, count, values.shape[1]))
    np.add.at(number, group, there)
    np.add.at(total, group, np.where(there, values, 0))
    whole = number == np.bincount(group, minlength=count)[:, None]
    partial = bool((whole.sum(axis=1) < min(2, values.shape[1])).any())
    kept = number > 0 if partial else whole
    return np.where(kept, total / np.maximum(number, 1), np.nan), partial


def _interval(values: np.ndarray) -> dict[str, np.ndarray]:
    """Of each row's mean; NaN is no value."""
    n = (~np.isnan(values)).sum(axis=1)
    mean = np.where(n > 0, np.nansum(values, axis=1) / np.maximum(n, 1), np.nan)
    square = np.nansum((values - mean[:, None]) ** 2, axis=1)
    freedom = np.maximum(n - 1, 1)
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(square / freedom / np.maximum(n, 1))
    return {"mean": mean, "half": np.where(n > 1, half, np.nan), "n": n}


def lines(table: pd.DataFrame, axes: Axes, inches: float) -> Axes:
    """Means with their intervals along one factor, a line for each level of the other.

    Args:
        table: of `cell_means`; a goes along the axis
        axes: to draw on
        inches: the length of the x axis
    """
    across, levels = ordered(table["a"]), ordered(table["b"])
    at, _ = places(across)
    place = dict(zip(map(shown, across), at, strict=True))
    if len(levels) > LINES:
        levels = [levels[k] for k in np.linspace(0, len(levels) - 1, LINES).round().astype(int)]
    step = min(0.022, np.diff(at).min() / 8) if len(at) > 1 else 0
    for k, level in enumerate(levels):
        rows = table[table["b"].map(shown) == shown(level)]
        rows = rows.assign(x=rows["a"].map(shown).map(place)).sort_values("x")
        aside = (k - (len(levels) - 1) / 2) * step  # so that intervals do not hide one another
        few = len(across) <= BARS
        axes.errorbar(
            rows["x"] + aside, rows["mean"], rows["half"] if few else None, color=COLOURS[k],
            marker=MARKERS[k] if few else None, capsize=2.5, ms=5, lw=1.6, elinewidth=1,
            label=shown(level),
        )  # fmt: skip
        if not few:
            ends = rows["mean"] - rows["half"], rows["mean"] + rows["half"]
            axes.fill_between(rows["x"], *ends, color=COLOURS[k], alpha=0.2, lw=0)
    axes.set_xlim(-0.08, 1.08)
    label_levels(axes, across, at, inches)
    return axes


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
            axes.set_ylabel(fitted(analysis.label, HEIGHT - 0.4, NOTE, 2), size=NOTE)
    if analysis.summary["n"].max() > 1:
        note += (
            ". Bars and bands: 95% t interval of a mean over seeds; the test compares within seeds"
        )
    if len(tests) > PANELS:
        note += f". The strongest {PANELS} of {len(tests)} pairs"
    return finished(figure, _title(tests), note)


def _panel(axes: Axes, analysis: Analysis, test: Mapping[str, Any]) -> None:
    across, by = _roles(analysis, test["factor"], test["other"])
    table = cell_means(analysis, across, by)
    lines(table, axes, WIDTH - 1.7)
    log = ", log scale" if places(ordered(table["a"]))[1] == "log" else ""
    axes.set_xlabel(fitted(across, WIDTH - 2.4, NOTE) + log, size=NOTE)
    handles = [line for line, *_ in axes.containers]
    texts = [fitted(line.get_label(), 1, SMALL, 2) for line in axes.containers]
    name = fitted(by, 1.1, SMALL, 2)
    levels = table["b"].map(shown).nunique()
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


def probability(p: float) -> str:
    """`p = 0.013`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def _title(tests: pd.DataFrame) -> str:
    found = tests[tests["verdict"] == "interaction"].sort_values("p", kind="stable")
    if len(found):
        row = found.iloc[0]
        more = (
            f", and {len(found) - 1} more of {len(tests)} pairs interact" if found[1:].size else ""
        )
        return (
            f"What {row['factor']} changes depends on {row['other']} "
            f"({probability(row['p_holm'])}){more}"
        )
    if (tests["verdict"] == "no verdict").all():
        return f"No test of interactions: {tests['why'].iloc[0]}"
    return "No evidence that what one factor changes depends on another"
