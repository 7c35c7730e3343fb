"""Each variant as a row: a dot for each run, the mean with its interval, what is missing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cnnlab.report.plots.heat import HATCH
from cnnlab.report.plots.sheet import DARK, GREY, LIGHT, SMALL, VERMILLION, panels
from cnnlab.report.plots.text import described, fitted, missing, seeds
from cnnlab.statistics.analysis import Analysis

ROWS = 40
"""More variants than this make a picture too tall; then it shows the best."""

NAME, BESIDE = 2.6, 1.7
"""Inches that a variant's name has, and what is told of its seeds."""


def dots(
    runs: pd.DataFrame, summary: pd.DataFrame, factors: Sequence[str], metric: str, axes: Axes
) -> Axes:
    """A dot for each run, each variant's mean with its 95% t interval where n > 1, and a cross
    for a published number. What a variant lacks stands at the right; one without any is hatched.

    Args:
        runs: as in `cnnlab.records.reading.sweeps.Sweep`
        summary: as `cnnlab.statistics.summary.summary` gives it
        factors: that name the variants
        metric: the column of `runs` that `summary` summarises
        axes: to draw on
    """
    places = {variant: place for place, variant in enumerate(summary.index)}
    runs = runs[runs["variant"].isin(places)]
    done = runs[runs["status"] == "done"]
    values = pd.to_numeric(done[metric]).astype(float)
    axes.scatter(
        values, done["variant"].map(places), s=20, alpha=0.6, color=GREY, label="run", zorder=4,
        linewidths=0,
    )  # fmt: skip
    points = [values.dropna()]
    if f"published.{metric}" in runs:
        given = runs.dropna(subset=f"published.{metric}").drop_duplicates("variant")
        points.append(given[f"published.{metric}"])
        axes.scatter(
            points[-1], given["variant"].map(places), marker="x", color=DARK, s=45, lw=2,
            label="published", zorder=5,
        )  # fmt: skip
    intervals(axes, summary["mean"], summary["ci_low"], summary["ci_high"], range(len(summary)))
    points = np.concatenate([*points, summary["mean"].dropna()]).astype(float)
    limits(axes, points, summary["ci_low"], summary["ci_high"])
    _rows(axes, summary, factors)
    return axes


def intervals(axes: Axes, mean: pd.Series, low: pd.Series, high: pd.Series, at: Any) -> None:
    """Means as diamonds; intervals as lines where there are any."""
    axes.hlines(at, low, high, color="black", lw=1.3, zorder=3, label="interval")
    axes.plot(mean, at, "D", ms=5.5, color="black", zorder=5, label="mean", mec="white", mew=0.6)


def limits(axes: Axes, points: np.ndarray, low: pd.Series, high: pd.Series) -> None:
    """Two seeds may have an interval that would flatten all else: it runs off, with an arrow."""
    if not len(points):
        axes.set_xlim(0, 1)
        axes.set_xticks([])
        return
    least, most = points.min(), points.max()
    reach = max(most - least, 1e-3 * max(abs(most), 1e-3))
    least, most = least - 1.2 * reach, most + 1.2 * reach
    ends = [float(each) for each in (*low, *high) if np.isfinite(each)]
    left = max(least, min([*points, *ends]) - 0.06 * reach)
    right = min(most, max([*points, *ends]) + 0.06 * reach)
    axes.set_xlim(left, right)
    for edge, marker, cut in ((left, "<", low < left), (right, ">", high > right)):
        rows = np.flatnonzero(cut)
        axes.plot(
            np.full(len(rows), edge), rows, marker, color="black", ms=5, clip_on=False, lw=0,
            zorder=6, label="cut", in_layout=False,
        )  # fmt: skip


def _rows(axes: Axes, summary: pd.DataFrame, factors: Sequence[str]) -> None:
    rows = summary.to_dict("records")
    names = [fitted(described(row, factors), NAME, SMALL, 2) for row in rows]
    axes.set_yticks(range(len(rows)), names, size=SMALL)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", color=LIGHT, lw=0.6)
    for place, row in enumerate(rows):
        lacks = bool(missing(row))
        axes.annotate(
            fitted(seeds(row), BESIDE, SMALL, 2), (1, place), (10, 0), size=SMALL, va="center",
            xycoords=("axes fraction", "data"), textcoords="offset points",
            color=VERMILLION if lacks else GREY, in_layout=False,
        )  # fmt: skip
        if not row["n"]:
            axes.axhspan(
                place - 0.35, place + 0.35, facecolor=LIGHT, edgecolor=GREY, hatch=HATCH, lw=0,
                label="no result",
            )  # fmt: skip


def dots_sheet(analysis: Analysis, summary: pd.DataFrame) -> tuple[Figure, list[tuple[Any, str]]]:
    """The figure without its title, and its legend."""
    sweep = analysis.sweep
    figure, (axes,) = panels(1, width=8, height=0.7 + 0.3 * max(len(summary), 2))
    dots(sweep.runs, summary, sweep.factors, analysis.metric.name, axes)
    axes.set_xlabel(analysis.metric.title)
    signs = [(Line2D([], [], marker="o", color=GREY, alpha=0.6, lw=0, ms=5), "a run")]
    if summary["n"].max() > 1:
        signs.append((Line2D([], [], marker="D", color="black", ms=5), "mean, 95% t interval"))
    if f"published.{analysis.metric.name}" in sweep.runs:
        cross = Line2D([], [], marker="x", color=DARK, lw=0, mew=2)
        signs.append((cross, "published"))
    if not summary["n"].all():
        signs.append((Patch(facecolor=LIGHT, edgecolor=DARK, hatch=HATCH, lw=0), "no result"))
    return figure, signs
