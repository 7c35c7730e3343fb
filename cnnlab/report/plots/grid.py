"""The result of each variant: a heat map where two or three factors cross, else dots."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cnnlab.core.formats import capital, number, span
from cnnlab.report.lost import at_lost, lost_levels, told
from cnnlab.report.plots.dots import BESIDE, ROWS, dots_sheet
from cnnlab.report.plots.heat import heat_maps
from cnnlab.report.plots.sheet import finished, styled
from cnnlab.report.plots.text import basis, described, row_of, seeds
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import level_text

COLUMNS, LINES, PANELS = 8, 12, 6
"""A larger heat map cannot be taken in."""

FILLED = 0.5
"""Share of a heat map's cells that must be in the sweep."""


@styled
def grid_figure(analysis: Analysis) -> Figure:
    """What each variant reached."""
    note = basis(analysis.sweep, analysis.summary)
    lost = lost_levels(analysis.sweep.runs, analysis.sweep.factors)
    summary = analysis.summary[~at_lost(analysis.summary, [*lost])]
    if is_map(summary, analysis.sweep.factors):
        figure, legend, right = *heat_maps(analysis, summary), 0
        if summary["n"].max() > 1:
            note += ". Below a mean: its 95% t interval over seeds"
    else:
        if len(summary) > ROWS:
            note += f". The best {ROWS} of {len(summary):,} variants"
            ascending = analysis.metric.less_is_better
            order = summary["mean"].sort_values(ascending=ascending, kind="stable")
            summary = summary.loc[order.index[:ROWS]]
        figure, legend, right = *dots_sheet(analysis, summary), BESIDE + 0.1
    return finished(figure, finding(analysis), note, legend, (0, right), told(lost))


def is_map(summary: pd.DataFrame, factors: list[str]) -> bool:
    """Whether the variants are the cells of a table that is full and small enough."""
    if len(factors) not in (2, 3):
        return False
    *split, row, column = sorted(summary[name].map(level_text).nunique() for name in factors)
    small = row <= LINES and column <= COLUMNS and (not split or split[0] <= PANELS)
    full = len(summary) >= FILLED * row * column * (split[0] if split else 1)
    return small and full and row > 1


def finding(analysis: Analysis) -> str:
    """The best variant, in a line."""
    summary, label, digits = analysis.summary, analysis.metric.title, analysis.metric.digits
    means = summary["mean"].dropna()
    if means.empty:
        return f"No run has a {label} yet"
    if len(means) > 1 and means.nunique() == 1:
        return f"Every variant has the same {label}, {number(means.iloc[0], digits)}"
    best = means.idxmin() if analysis.metric.less_is_better else means.idxmax()
    row = row_of(summary, best)
    value = f"{label} {number(means[best], digits)} ({_certainty(row, digits)})"
    if len(summary) == 1:
        return capital(value)
    direction = "Lowest" if analysis.metric.less_is_better else "Highest"
    mean = " mean" if summary["n"].max() > 1 else ""
    return f"{direction}{mean} with {described(row, analysis.sweep.factors)}: {value}"


def _certainty(row: Mapping[str, Any], digits: int) -> str:
    ends = span(row["ci_low"], row["ci_high"], digits)
    return f"95% CI {ends}, {seeds(row)}" if row["n"] > 1 else seeds(row)
