"""The grid as a heat map: two factors, and a panel for each level of a third."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from cnnlab.core.formats import number, span
from cnnlab.report.plots.levels import ordered
from cnnlab.report.plots.sheet import GREY, LIGHT, SMALL, panels
from cnnlab.report.plots.text import described, fitted, missing, row_of
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.summary import planned

CELL = 1.45, 0.78
"""Inches of a cell."""

HATCH = "///"
"""Of a cell that lacks runs."""


def heat_map(
    summary: pd.DataFrame, axes: Axes, row: str, column: str, colours: ScalarMappable, digits: int
) -> Axes:
    """The mean of each cell with half its interval's width; one that lacks runs is hatched.

    Args:
        summary: as `summary.summary` gives it, one row a cell; may have a column published
        axes: to draw on
        row, column: the two factors
        colours: of the means
        digits: of a number, after the point
    """
    summary = summary if "published" in summary else summary.assign(published=np.nan)
    rows, columns = (ordered(summary[name]) for name in (row, column))
    place = [{level_text(level): k for k, level in enumerate(each)} for each in (rows, columns)]
    for cell in summary.to_dict("records"):
        at = place[1][level_text(cell[column])], place[0][level_text(cell[row])]
        _cell(axes, at, colours, cell, digits)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    axes.grid(False)
    texts = [fitted(level_text(level), CELL[0] - 0.1, SMALL, 2) for level in columns]
    axes.set_xticks(np.arange(len(columns)) + 0.5, texts, size=SMALL)
    texts = [fitted(level_text(level), 1.2, SMALL, 3) for level in rows]
    axes.set_yticks(np.arange(len(rows)) + 0.5, texts, size=SMALL)
    axes.set_xlabel(fitted(column, CELL[0] * len(columns), 10))
    axes.set_ylabel(fitted(row, CELL[1] * len(rows), 10))
    return axes


def _cell(
    axes: Axes, at: tuple[int, int], colours: ScalarMappable, cell: Mapping[str, Any], digits: int
) -> None:
    x, y = at
    colour = colours.to_rgba(cell["mean"]) if cell["n"] else (0.87, 0.87, 0.87, 1)
    bright = np.dot(colour[:3], (0.299, 0.587, 0.114)) > 0.5
    ink, hatch = ("black", "0.35") if bright else ("white", "0.8")
    lacks = bool(missing(cell))
    axes.add_patch(
        Rectangle(
            (x, y), 1, 1, facecolor=colour, edgecolor=hatch if lacks else "white", lw=0,
            hatch=HATCH if lacks else None, label="lacks runs" if lacks else "whole",
        )
    )  # fmt: skip
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", lw=1.5))
    both = {"ha": "center", "color": ink, "multialignment": "center"}
    behind = {"boxstyle": "round,pad=0.15", "facecolor": colour, "lw": 0} if lacks else None
    axes.text(x + 0.5, y + 0.5, _text(cell, digits), va="center", size=SMALL, bbox=behind, **both)


def _text(cell: Mapping[str, Any], digits: int) -> str:
    """What was measured, and what is missing."""
    lines = [number(cell["mean"], digits)] if cell["n"] else []
    if cell["n"] > 1:
        lines.append(_interval(cell, digits))
    if not pd.isna(cell["published"]):
        lines.append(f"published {number(cell['published'], digits)}")
    lacks = missing(cell).replace(", ", "\n")
    if cell["n"] and lacks:
        lacks = f"{cell['n']} of {planned(cell)}; {lacks}"
    return "\n".join(filter(None, (*lines, lacks)))


def _interval(cell: Mapping[str, Any], digits: int) -> str:
    """Half of its width; both ends where one is cut at the metric's limit."""
    below, above = cell["mean"] - cell["ci_low"], cell["ci_high"] - cell["mean"]
    if np.isclose(below, above):
        return f"±{number(above, digits)}"
    return span(cell["ci_low"], cell["ci_high"], digits)


def heat_maps(analysis: Analysis, summary: pd.DataFrame) -> tuple[Figure, list[tuple[Any, str]]]:
    """The figure without its title, and its legend: a panel for each level of a third factor.

    Args:
        analysis: of the sweep
        summary: those of its variants that are shown
    """
    factors, given = analysis.sweep.factors, analysis.published
    given = given[given["metric"] == analysis.metric.name].set_index("variant")["published"]
    summary = summary.assign(published=given.astype(float))
    *split, row, column = sorted(factors, key=lambda name: summary[name].map(level_text).nunique())
    columns, rows = (summary[name].map(level_text).nunique() for name in (column, row))
    levels = ordered(summary[split[0]]) if split else [None]
    width = 1.1 + CELL[0] * columns
    figure, grid = panels(
        len(levels), width=width, height=0.9 + CELL[1] * rows, columns=max(int(11 / width), 1)
    )
    finite = summary["mean"].dropna()
    low, high = (finite.min(), finite.max()) if len(finite) else (0, 1)
    bright = "cividis_r" if analysis.metric.less_is_better else "cividis"  # what is better
    colours = ScalarMappable(Normalize(low - 5e-4, high + 5e-4), bright)  # also if all are equal
    for axes, level in zip(grid, levels, strict=True):
        cells = summary
        if split:
            cells = summary[summary[split[0]].map(level_text) == level_text(level)]
            axes.set_title(
                fitted(described(row_of(cells, cells.index[0]), split), width, 9.5), size=9.5
            )
        heat_map(cells, axes, row, column, colours, analysis.metric.digits)
    if len(finite):
        bar = figure.colorbar(colours, ax=grid, aspect=15, pad=0.02)
        bar.set_label(fitted(analysis.metric.title, 2.2, SMALL, 2), size=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
    lacking = any(missing(cell) for cell in summary.to_dict("records"))
    sign = Patch(facecolor=LIGHT, edgecolor=GREY, hatch=HATCH, lw=0)
    return figure, [(sign, "lacks runs: the mean is of the others")] if lacking else []
