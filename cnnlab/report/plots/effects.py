"""What each level of each factor changes: a forest plot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cnnlab.core.formats import amount, count, difference, interval
from cnnlab.core.metrics import METRICS
from cnnlab.report.lost import lost_levels, told
from cnnlab.report.plots.dots import limits
from cnnlab.report.plots.sheet import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    LIGHT,
    NOTE,
    SMALL,
    VERMILLION,
    empty,
    finished,
    panels,
    styled,
)  # fmt: skip
from cnnlab.report.plots.text import basis, fitted, measured
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.effects import AVERAGE, SIMPLE, WITHOUT
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.verdicts import LOST

SIGNS = {
    "helps": (BLUE, "^"), "hurts": (VERMILLION, "v"), "equivalent": (GREEN, "s"),
    "no evidence": (GREY, "o"), "no verdict": (GREY, "o"),
}  # fmt: skip
"""Of each verdict: a colour, and a shape for those who cannot tell the colours apart.

Where there is no verdict the circle is empty.
"""

AVERAGES, ROWS = 16, 40
"""Rows of averages, and of all; more cannot be read."""

ENDS = ("all_low", "ci_low", "ci_high", "all_high")
"""Of both intervals."""

INNER = 6
"""Levels of another factor that an effect is shown at; of more, the two ends."""

NAME, BESIDE = 2.5, 3.3
"""Inches of a row's name, and of its numbers."""

WIDTH = 9.5

THICK, THIN = 3.5, 0.9
"""Points of a line: a 95% interval, and one of those that hold all at once."""


def forest(
    rows: Sequence[Mapping[str, Any]], dots: Sequence[np.ndarray], smallest: float, axes: Axes
) -> Axes:
    """A row a comparison: difference, 95% interval, each seed's difference, the verdict's sign.

    Args:
        rows: of `cnnlab.statistics.effects.effects`; all but averages are indented
        dots: each row's differences, one a seed
        smallest: the smallest difference that would matter, which is shaded
        axes: to draw on
    """
    scale = METRICS[rows[0]["metric"]].scale
    near = scale * smallest
    axes.axvspan(-near, near, color=LIGHT, lw=0, zorder=0, label="smallest")
    axes.axvline(0, color=GREY, lw=1, zorder=1)
    for place, (row, seeds) in enumerate(zip(rows, dots, strict=True)):
        _row(axes, place, row, seeds, scale)
    table = scale * pd.DataFrame(rows)[["difference", *ENDS]].astype(float)
    points = np.concatenate([scale * np.concatenate(dots), table["difference"], [-near, near]])
    low, high = table[list(ENDS[:2])].min(axis=1), table[list(ENDS[2:])].max(axis=1)
    limits(axes, points[np.isfinite(points)], low, high)
    axes.set_yticks([])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color=LIGHT, lw=0.6)
    return axes


def _row(axes: Axes, place: int, row: Mapping[str, Any], seeds: np.ndarray, scale: float) -> None:
    """One comparison; `scale` leads from the metric's unit to that of the axis."""
    colour, marker = SIGNS[row["verdict"]]
    inner = row["kind"] != AVERAGE
    if len(seeds) > 1:
        axes.plot(
            scale * seeds, np.full(len(seeds), place + 0.27), ".", color=colour, ms=4, alpha=0.55,
            label="seed",
        )  # fmt: skip
    together = scale * row["all_low"], scale * row["all_high"]
    axes.hlines(place, *together, color=colour, lw=THIN)
    ends = scale * row["ci_low"], scale * row["ci_high"]
    axes.hlines(place, *ends, color=colour, lw=THICK - 1 if inner else THICK)
    axes.plot(
        scale * row["difference"], place, marker, color=colour, ms=6 if inner else 8.5, zorder=5,
        mfc=_filling(row["verdict"]), label=row["verdict"],
    )  # fmt: skip
    name = (
        f"{'at' if row['kind'] == SIMPLE else 'without'} {row['at']}" if inner
        else f"{row['factor']}: {level_text(row['level'])} against {level_text(row['baseline'])}"
    )  # fmt: skip
    size, room = (SMALL, NAME - 0.25) if inner else (9, NAME)
    axes.annotate(
        fitted(name, room, size, 2), (0, place), (-room * 72 - 6, 0), size=size, va="center",
        xycoords=("axes fraction", "data"), textcoords="offset points",
        color=GREY if inner else "0", in_layout=False,
    )  # fmt: skip
    lost = sum(row[key] for key in LOST) > 0
    axes.annotate(
        fitted(_numbers(row), BESIDE, SMALL), (1, place), (8, 0), size=SMALL, va="center",
        xycoords=("axes fraction", "data"), textcoords="offset points",
        color=VERMILLION if lost else DARK, in_layout=False,
    )  # fmt: skip


def _filling(verdict: str) -> str:
    return "white" if verdict == "no verdict" else SIGNS[verdict][0]


def _numbers(row: Mapping[str, Any]) -> str:
    """Difference, interval, pairs, and those that were lost."""
    if not row["n_pairs"]:
        return _lost(row, str(row["why"]))
    ends = f" ({interval(row)})" if row["ci_low"] == row["ci_low"] else ""
    return _lost(row, f"{difference(row)}{ends}, {count(row['n_pairs'], 'pair')}")


def _lost(row: Mapping[str, Any], text: str) -> str:
    """Adds the pairs that were lost, and why, as far as there is room."""
    counts = {key.removeprefix("lost_"): int(row[key]) for key in LOST if row[key]}
    if not counts:
        return text
    reasons = ", ".join(f"{pairs} {reason}" for reason, pairs in counts.items())
    whole = f"{text}; lost {reasons}"
    return (
        whole if measured(whole) * SMALL / 72 <= BESIDE else f"{text}; {sum(counts.values())} lost"
    )


@styled
def effects_figure(analysis: Analysis) -> Figure:
    """The averages, and below each what it is at the levels of the other factors."""
    note = basis(analysis.sweep, analysis.summary)
    title = analysis.sentences[0]
    if analysis.effects.empty:
        return empty("One variant: there is nothing to compare it with.", title, note)
    lost = lost_levels(analysis.sweep.runs, analysis.sweep.factors)
    shown = _without(analysis.effects, [*lost])
    if shown.empty:
        return empty("Nothing that finished can be compared.", title, f"{note}. {told(lost)}")
    places, left_out = chosen(shown, analysis.interactions)
    rows = analysis.effects.loc[places].to_dict("records")
    dots = [seeds[~np.isnan(seeds)] for seeds in analysis.differences[places]]
    figure, (axes,) = panels(1, width=WIDTH, height=0.65 + 0.27 * max(len(rows), 2))
    forest(rows, dots, analysis.smallest, axes)
    metric = analysis.metric
    axes.set_xlabel(f"difference in {metric.label} ({metric.unit})", size=NOTE)
    note += (
        ". A pair: two runs of one seed that differ in this factor only; their differences are "
        "averaged within a seed"
    )
    note += _families(rows, analysis.one_family)
    if left_out:
        note += f". {len(rows)} of {len(rows) + left_out:,} rows: the most certain; "
        note += "of many levels the two ends"
    sides = (NAME + 0.1, BESIDE + 0.1)
    return finished(figure, title, note, _legend(rows, analysis), sides, told(lost))


def _without(effects: pd.DataFrame, lost: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Leaves out the rows of levels at which every run diverged."""
    own = pd.Series(list(zip(effects["factor"], effects["level"].map(level_text), strict=True)))
    at = effects["at"].isin([f"{name}={level}" for name, level in lost])
    return effects[~(own.isin(lost).to_numpy() | ((effects["kind"] == SIMPLE) & at))]


def _families(rows: Sequence[Mapping[str, Any]], one: bool) -> str:
    """Over what the verdicts are adjusted, and why an average may say more than its levels."""
    note = ""
    tested = next((row["comparisons"] for row in rows if row["kind"] == AVERAGE), 0)
    if tested:
        note += ". Thin: 95% for all of a kind at once. Verdicts after Holm over "
        note += count(tested, "comparison")
    family = next((row["comparisons"] for row in rows if row["kind"] == SIMPLE), 0)
    if family:
        where = "" if one else f", tested as {family} of their own"
        note += (
            f". Indented: the same at one level of another factor{where}, each of fewer runs: an "
            "average may help where no indented row alone has evidence"
        )
    if any(row["kind"] == WITHOUT for row in rows):
        note += ". Without: the average less a cell that makes it uncertain; not tested"
    return note


def _legend(rows: Sequence[Mapping[str, Any]], analysis: Analysis) -> list[tuple[Any, str]]:
    there = {row["verdict"] for row in rows}
    signs = [
        (Line2D([], [], color=colour, marker=marker, lw=0, ms=8, mfc=_filling(verdict)), verdict)
        for verdict, (colour, marker) in SIGNS.items()
        if verdict in there
    ]
    if max(row["n_pairs"] for row in rows) > 1:
        signs.append((Line2D([], [], color=GREY, marker=".", lw=0, ms=5), "a seed"))
    ends = pd.DataFrame(rows)[list(ENDS)].notna().any()
    if ends["ci_low"]:
        signs.append((Line2D([], [], color=GREY, lw=THICK), "95% interval"))
    if ends["all_low"]:
        signs.append((Line2D([], [], color=GREY, lw=THIN), "95%, all at once"))
    near = amount(analysis.smallest, analysis.metric)
    return [*signs, (Patch(color=LIGHT, lw=0), f"within ±{near}")]


# --- which rows


def chosen(effects: pd.DataFrame, interactions: pd.DataFrame) -> tuple[list[int], int]:
    """Which rows of the effects to show, in their order, and how many are not."""
    averages = effects[effects["kind"] == AVERAGE]
    rank = averages.assign(size=-averages["difference"].abs())
    rank = rank.sort_values(["p", "size"], kind="stable")
    of_each = max(AVERAGES // averages["factor"].nunique(), 1)
    rank = rank.groupby("factor", sort=False).head(of_each).head(ROWS)
    kept = averages.loc[sorted(rank.index)]
    inner = _inner(effects, interactions, kept, ROWS - len(kept))
    without = effects[effects["kind"] == WITHOUT]
    for k, row in kept.iterrows():
        same = (without["factor"] == row["factor"]) & (
            without["level"].map(level_text) == level_text(row["level"])
        )
        inner[k] = [*without.index[same], *inner.get(k, [])]
    rows = [row for outer in kept.index for row in (outer, *inner[outer])]
    return rows, len(effects) - len(rows)


def _inner(
    effects: pd.DataFrame, interactions: pd.DataFrame, kept: pd.DataFrame, room: int
) -> dict[int, list[int]]:
    """Rows of simple effects below each average: those of the strongest interactions first."""
    simple = effects[effects["kind"] == SIMPLE]
    strength = {
        frozenset((row["factor"], row["other"])): (row["p"] if row["p"] == row["p"] else 2)
        for row in interactions.to_dict("records")
    }
    place = {
        (row["factor"], level_text(row["level"])): k for k, row in kept.to_dict("index").items()
    }
    other = simple["at"].str.partition("=")[0] if len(simple) else simple["at"]
    keys = [simple["factor"], simple["level"].map(level_text), other]
    groups = [
        (
            not rows["n_pairs"].any(),
            strength.get(frozenset((name, by)), 3),
            place[name, level],
            rows,
        )
        for (name, level, by), rows in simple.groupby(keys, sort=False)
        if (name, level) in place
    ]
    below: dict[int, list[int]] = {}
    for *_, k, rows in sorted(groups, key=lambda each: each[:3]):
        if len(rows) > INNER:
            known = rows["difference"].dropna()
            rows = rows.loc[sorted({known.idxmin(), known.idxmax()})] if len(known) else rows[:0]
        if len(rows) <= room:
            below.setdefault(k, []).extend(rows.index)
            room -= len(rows)
    return below
