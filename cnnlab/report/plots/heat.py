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

from cnnlab.report.plots.levels import ordered
from cnnlab.report.plots.sheet import GREY, LIGHT, SMALL, panels
from cnnlab.report.plots.text import described, fitted, missing, row_of
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import shown
from cnnlab.statistics.summary import LOSSES

CELL = 1.45, 0.78
"""Inches of a cell."""

HATCH = "///"
"""Of a cell that lacks runs."""


def heat_map(
    summary: pd.DataFrame, axes: Axes, row: str, column: str, colours: ScalarMappable
) -> Axes:
    """The mean of each cell with half its interval's width; one that lacks runs is hatched.

    Args:
        summary: as `summary.summary` gives it, one row a cell; may have a column published
        axes: to draw on
        row, column: the two factors
        colours: of the means
    """
    summary = summary if "published" in summary else summary.assign(published=np.nan)
    rows, columns = (ordered(summary[name]) for name in (row, column))
    place = [{shown(level): k for k, level in enumerate(each)} for each in (rows, columns)]
    for cell in summary.to_dict("records"):
        _cell(axes, cell, place[1][shown(cell[column])], place[0][shown(cell[row])], colours)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    axes.grid(False)
    texts = [fitted(shown(level), CELL[0] - 0.1, SMALL, 2) for level in columns]
    axes.set_xticks(np.arange(len(columns)) + 0.5, texts, size=SMALL)
    texts = [fitted(shown(level), 1.2, SMALL, 3) for level in rows]
    axes.set_yticks(np.arange(len(rows)) + 0.5, texts, size=SMALL)
    axes.set_xlabel(fitted(column, CELL[0] * len(columns), 10))
    axes.set_ylabel(fitted(row, CELL[1] * len(rows), 10))
    return axes


def _cell(axes: Axes, cell: Mapping[str, Any], x: int, y: int, colours: ScalarMappable) -> None:
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
    big, small = _texts(cell)
    both = {"ha": "center", "color": ink, "multialignment": "center"}
    behind = {"boxstyle": "round,pad=0.15", "facecolor": colour, "lw": 0} if lacks else None
    text = "\n".join(filter(None, (big, small)))
    axes.text(x + 0.5, y + 0.5, text, va="center", size=SMALL, bbox=behind, **both)


def _texts(cell: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured, and what is missing."""
    value = f"{cell['mean']:.3f}" if cell["n"] else ""
    if cell["n"] > 1:
        value += f"\n±{(cell['ci_high'] - cell['ci_low']) / 2:.3f}"
    if not pd.isna(cell["published"]):
        value += f"\npublished {cell['published']:.3f}"
    lacks = missing(cell).replace(", ", "\n")
    if cell["n"] and lacks:
        planned = cell["n"] + cell["failed"] + cell["diverged"] + cell["pending"]
        lacks = f"{cell['n']} of {planned}; {lacks}"
    return value.strip(), lacks


def heat_maps(analysis: Analysis) -> tuple[Figure, list[tuple[Any, str]]]:
    """The figure without its title, and its legend: a panel for each level of a third factor."""
    factors, given = analysis.sweep.factors, analysis.published
    given = given[given["metric"] == analysis.metric].set_index("variant")["published"]
    summary = analysis.summary.assign(published=given.astype(float))
    *split, row, column = sorted(factors, key=lambda name: summary[name].map(shown).nunique())
    columns, rows = (summary[name].map(shown).nunique() for name in (column, row))
    levels = ordered(summary[split[0]]) if split else [None]
    width = 1.1 + CELL[0] * columns
    figure, grid = panels(
        len(levels), width=width, height=0.9 + CELL[1] * rows, columns=max(int(11 / width), 1)
    )
    finite = summary["mean"].dropna()
    low, high = (finite.min(), finite.max()) if len(finite) else (0, 1)
    bright = "cividis_r" if analysis.metric in LOSSES else "cividis"  # what is better
    colours = ScalarMappable(Normalize(low - 5e-4, high + 5e-4), bright)  # also if all are equal
    for axes, level in zip(grid, levels, strict=True):
        cells = summary
        if split:
            cells = summary[summary[split[0]].map(shown) == shown(level)]
            axes.set_title(
                fitted(described(row_of(cells, cells.index[0]), split), width, 9.5), size=9.5
            )
        heat_map(cells, axes, row, column, colours)
    if len(finite):
        bar = figure.colorbar(colours, ax=grid, aspect=15, pad=0.02)
        bar.set_label(fitted(analysis.label, 2.2, SMALL, 2), size=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
    lacking = any(missing(cell) for cell in summary.to_dict("records"))
    sign = Patch(facecolor=LIGHT, edgecolor=GREY, hatch=HATCH, lw=0)
    return figure, [(sign, "lacks runs: the mean is of the others")] if lacking else []
