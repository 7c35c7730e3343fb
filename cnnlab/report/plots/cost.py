"""Accuracy against cost: parameters, multiplications, seconds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from cnnlab.core.formats import amount, capital, number
from cnnlab.report.plots.levels import DECADE, ordered, shared, signs
from cnnlab.report.plots.sheet import DARK, NOTE, empty, finished, panels, styled
from cnnlab.report.plots.text import basis, described, fitted, row_of
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.effects import AVERAGE
from cnnlab.statistics.matrix import level_text

COSTS = {
    "parameters": "parameters",
    "macs": "multiply-adds (MACs) an image",
    "own_seconds": "seconds of one run",
}

COLOURED = 6
"""Levels that colours and shapes tell apart."""

MANY = 2000
"""More dots than this are drawn as an image in the SVG."""

QUICKER = 0.95
"""Seconds vary by more than the rest from run to run."""

EQUAL = 1e-9
"""Costs that differ by a smaller share are the same."""


def costs(analysis: Analysis) -> pd.DataFrame:
    """The runs that are done or diverged, with `value`: of the metric, where they are done."""
    runs = analysis.sweep.runs
    runs = runs[runs["status"].isin(["done", "diverged"])].copy()
    for name in (*COSTS, analysis.metric.name):
        runs[name] = pd.to_numeric(runs[name]).astype(float)
    runs["value"] = runs[analysis.metric.name].where(runs["status"] == "done")
    return runs


def against_cost(
    runs: pd.DataFrame,
    cost: str,
    hue: str | None,
    axes: Axes,
    of: Mapping[tuple[str, str], tuple[str, str]],
) -> Axes:
    """A dot for each run, a ring for each variant's mean; diverged runs lie on the lower edge.

    Args:
        runs: of `costs`
        cost: the column along the x axis
        hue: the factor that has the colours
        axes: to draw on
        of: the colour and the marker of each level, of `cnnlab.report.plots.levels.signs`
    """
    levels = ordered(runs[hue]) if hue else [None]
    for level in levels:
        colour, marker = of[hue, level_text(level)] if hue else (DARK, "o")
        some = runs[runs[hue].map(level_text) == level_text(level)] if hue else runs
        axes.scatter(
            some[cost], some["value"], s=18, alpha=0.55, color=colour, marker=marker, lw=0,
            rasterized=len(runs) > MANY, label="run", zorder=3,
        )  # fmt: skip
        size = 60 if runs["variant"].nunique() <= 60 else 20
        means = some[some["value"].notna()].groupby("variant")[[cost, "value"]].mean()
        axes.scatter(
            means[cost], means["value"], s=size, facecolor="none", edgecolor=colour, lw=1.2,
            marker=marker, rasterized=len(means) > MANY, label="mean", zorder=4,
        )  # fmt: skip
    lost = runs[runs["status"] == "diverged"]
    axes.plot(
        lost[cost], np.zeros(len(lost)), "X", color="black", ms=7, clip_on=False, zorder=5,
        transform=axes.get_xaxis_transform(), label="diverged", in_layout=False,
    )  # fmt: skip
    _scale(axes, runs[cost].dropna())
    log = ", log scale" if axes.get_xscale() == "log" else ""
    axes.set_xlabel(COSTS[cost] + log, size=NOTE)
    return axes


def _scale(axes: Axes, values: pd.Series) -> None:
    """Logarithmic where costs span a decade; plain numbers below it."""
    if len(values) and values.min() > 0 and values.max() / values.min() >= DECADE:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    # Numbers that differ in their fourth digit are written in full.
    near = len(values) and values.max() - values.min() < 0.03 * values.abs().max()
    written = "{:,.0f}".format if near and values.min() > 1000 else short
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))


def short(value: float) -> str:
    """`83.1k`, `2.02M`, `0.5`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


@styled
def cost_figure(analysis: Analysis) -> Figure:
    """A panel for each cost in which runs differ."""
    note, runs = basis(analysis.sweep, analysis.summary), costs(analysis)
    title = _title(analysis, runs)
    done = runs[runs["value"].notna()]
    if done.empty:
        return empty("No finished run to show.", title, note)
    shown_costs, equal = [], []
    for name, words in COSTS.items():
        some = runs[name].dropna()
        if len(some) and some.max() - some.min() > EQUAL * some.abs().max():
            shown_costs.append(name)
        elif len(some):
            value = f"{some.iloc[0]:,.0f}" if name != "own_seconds" else f"{some.iloc[0]:.3g}"
            equal.append(f"{words}: {value} in every run")
    if equal:
        note += ". No panel for " + "; ".join(equal)
    if not shown_costs:
        return empty("All runs cost the same.", title, note)
    hue, of = _hue(analysis), signs(analysis.summary, analysis.sweep.factors)
    note += shared(analysis.summary, analysis.sweep.factors) if hue else ""
    figure, grid = panels(len(shown_costs), width=3.3, height=3.1, share=(False, True))
    for axes, name in zip(grid, shown_costs, strict=True):
        against_cost(runs, name, hue, axes, of)
    grid[0].set_ylabel(fitted(analysis.metric.title, 2.8, NOTE), size=NOTE)
    return finished(figure, title, note, _legend(runs, hue, of))


def _hue(analysis: Analysis) -> str | None:
    """The factor that has the colours: the one with the largest effect that has few levels."""
    summary = analysis.summary
    few = [
        name for name in analysis.sweep.factors
        if 1 < summary[name].map(level_text).nunique() <= COLOURED
    ]  # fmt: skip
    averages = analysis.effects[analysis.effects["kind"] == AVERAGE]
    size = averages["difference"].abs().groupby(averages["factor"]).max()
    return max(few, key=lambda name: np.nan_to_num(size.get(name, 0.0)), default=None)


def _legend(
    runs: pd.DataFrame, hue: str | None, of: Mapping[tuple[str, str], tuple[str, str]]
) -> list[tuple[Any, str]]:
    there = ordered(runs.loc[runs["value"].notna(), hue]) if hue else []
    legend = []
    for level in map(level_text, there):  # one whose runs all diverged has crosses only
        colour, marker = of[hue, level]
        legend.append((Line2D([], [], color=colour, marker=marker, lw=0, ms=6), f"{hue}={level}"))
    ring = {"mfc": "none", "lw": 0, "color": "0.3", "marker": "o"}
    legend.append((Line2D([], [], color="0.3", marker="o", lw=0, ms=4.5), "a run"))
    legend.append((Line2D([], [], **ring, ms=8), "a variant's mean"))
    if (runs["status"] == "diverged").any():
        legend.append((Line2D([], [], color="black", marker="X", lw=0, ms=7), "diverged"))
    return legend


def _title(analysis: Analysis, runs: pd.DataFrame) -> str:
    """The quickest variant that is as good as the best."""
    means = runs[runs["value"].notna()].groupby("variant")[["value", "own_seconds"]].mean()
    if means.empty:
        return f"No run has a {analysis.metric.title} yet"
    metric = analysis.metric
    best = means["value"].idxmin() if metric.less_is_better else means["value"].idxmax()
    behind = (means["value"] - means.at[best, "value"]).abs()
    seconds = means.loc[behind <= analysis.smallest, "own_seconds"].dropna()
    quick = seconds.idxmin() if len(seconds) else best
    factors = analysis.sweep.factors
    value = f"{metric.title} {number(means.at[best, 'value'], metric.digits)}"
    if len(means) > 1 and means["value"].nunique() == 1:
        return f"Every variant has the same {value}"
    if len(means) == 1:
        return f"{capital(value)}{_takes(means, best)}"
    which = f"{described(row_of(analysis.summary, best), factors)}: {value}"
    within = f"within {amount(analysis.smallest, metric)} of it"
    ratio = means.at[quick, "own_seconds"] / means.at[best, "own_seconds"]
    if not ratio < QUICKER:
        return f"Best is {which}{_takes(means, best)}; none {within} is quicker"
    name = described(row_of(analysis.summary, quick), factors)
    return f"Best is {which}; {name} is {within} and takes {ratio:.0%} of the seconds"


def _takes(means: pd.DataFrame, variant: int) -> str:
    seconds = means.at[variant, "own_seconds"]
    return f", {short(seconds)} seconds a run" if seconds == seconds else ""
