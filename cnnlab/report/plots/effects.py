"""What each level of each factor changes: a forest plot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cnnlab.report.plots.dots import limits
from cnnlab.report.plots.pairs import seed_differences
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
)  # fmt: skip
from cnnlab.report.plots.text import basis, difference, digits, fitted, measured, scale, unit
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import shown
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

SIMPLE = 6
"""Levels of another factor that an effect is shown at; of more, the two ends."""

NAME, TOLD = 2.5, 3.3
"""Inches of a row's name, and of its numbers."""

WIDTH = 9.5


def forest(
    rows: Sequence[Mapping[str, Any]], dots: Sequence[np.ndarray], smallest: float, axes: Axes
) -> Axes:
    """A row a comparison: difference, 95% interval, each seed's difference, the verdict's sign.

    Args:
        rows: of `cnnlab.statistics.effects.effects`; those with `at` are indented
        dots: each row's differences, one a seed
        smallest: the smallest difference that would matter, which is shaded
        axes: to draw on
    """
    table = pd.DataFrame(rows)
    metric = table["metric"].iloc[0]
    columns = ["difference", "ci_low", "ci_high"]
    table[columns] = table[columns].astype(float) * scale(metric)
    near = smallest * scale(metric)
    axes.axvspan(-near, near, color=LIGHT, lw=0, zorder=0, label="smallest")
    axes.axvline(0, color=GREY, lw=1, zorder=1)
    for place, (row, seeds) in enumerate(zip(table.to_dict("records"), dots, strict=True)):
        _row(axes, place, row, seeds * scale(metric))
    points = np.concatenate([*dots, table["difference"] / scale(metric), [-smallest, smallest]])
    points = scale(metric) * points[np.isfinite(points)]
    limits(axes, points, table["ci_low"], table["ci_high"])
    axes.set_yticks([])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color=LIGHT, lw=0.6)
    return axes


def _row(axes: Axes, place: int, row: Mapping[str, Any], seeds: np.ndarray) -> None:
    """Numbers of `row` are in the unit of the axis already."""
    colour, marker = SIGNS[row["verdict"]]
    inner = bool(row["at"])
    if len(seeds) > 1:
        axes.plot(
            seeds, np.full(len(seeds), place + 0.27), ".", color=colour, ms=4, alpha=0.55,
            label="seed",
        )  # fmt: skip
    axes.hlines(place, row["ci_low"], row["ci_high"], color=colour, lw=1.2 if inner else 2.2)
    axes.plot(
        row["difference"], place, marker, color=colour, ms=6 if inner else 8.5, zorder=5,
        mfc=_filling(row["verdict"]), label=row["verdict"],
    )  # fmt: skip
    name = (
        f"at {row['at']}" if inner
        else f"{row['factor']}: {shown(row['level'])} against {shown(row['baseline'])}"
    )  # fmt: skip
    size, room = (SMALL, NAME - 0.25) if inner else (9, NAME)
    axes.annotate(
        fitted(name, room, size, 2), (0, place), (-room * 72 - 6, 0), size=size, va="center",
        xycoords=("axes fraction", "data"), textcoords="offset points",
        color=GREY if inner else "0", in_layout=False,
    )  # fmt: skip
    lost = sum(row[key] for key in LOST) > 0
    axes.annotate(
        fitted(_told(row), TOLD, SMALL), (1, place), (8, 0), size=SMALL, va="center",
        xycoords=("axes fraction", "data"), textcoords="offset points",
        color=VERMILLION if lost else DARK, in_layout=False,
    )  # fmt: skip


def _filling(verdict: str) -> str:
    return "white" if verdict == "no verdict" else SIGNS[verdict][0]


def _told(row: Mapping[str, Any]) -> str:
    """Difference, interval, pairs, and those that were lost; numbers are in the axis's unit."""
    if not row["n_pairs"]:
        return _lost(row, str(row["why"]))
    metric, one = row["metric"], scale(row["metric"])
    low, high, count = row["ci_low"] / one, row["ci_high"] / one, row["n_pairs"]
    places = digits((high - low) / 2, metric)
    value = difference(row["difference"] / one, metric, places)
    interval = ""
    if low == low:
        ends = (difference(end, metric, places, "-") for end in (low, high))
        interval = " ({} to {})".format(*ends)
    return _lost(row, f"{value}{interval}, {count} pair{'s' * (count != 1)}")


def _lost(row: Mapping[str, Any], text: str) -> str:
    """Adds the pairs that were lost, and why, as far as there is room."""
    counts = {key.removeprefix("lost_"): int(row[key]) for key in LOST if row[key]}
    if not counts:
        return text
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    whole = f"{text}; lost {reasons}"
    return whole if measured(whole) * SMALL / 72 <= TOLD else f"{text}; {sum(counts.values())} lost"


def effects_figure(analysis: Analysis) -> Figure:
    """The averages, and below each what it is at the levels of the other factors."""
    note = basis(analysis.sweep, analysis.summary)
    title = analysis.sentences[0]
    if analysis.effects.empty:
        return empty("One variant: there is nothing to compare it with.", title, note)
    rows, left_out = chosen(analysis.effects, analysis.interactions)
    sweep, metric = analysis.sweep, analysis.metric
    dots = seed_differences(sweep.runs, sweep.factors, metric, rows)
    figure, (axes,) = panels(1, width=WIDTH, height=0.65 + 0.27 * max(len(rows), 2))
    forest(rows, dots, analysis.smallest, axes)
    what = analysis.label.removesuffix(" (nats)")
    axes.set_xlabel(f"difference in {what} ({unit(metric)})", size=NOTE)
    note += (
        ". A pair: two runs of one seed that differ in this factor only; their differences are "
        "averaged within a seed"
    )
    if rows[0]["comparisons"]:
        note += ". Lines: 95% t intervals; verdicts after Holm over "
        note += f"{rows[0]['comparisons']} comparisons"
    family = next((row["comparisons"] for row in rows if row["at"]), 0)
    if family:
        note += f", and over {family} of the indented kind"
    if left_out:
        note += f". {len(rows)} of {len(rows) + left_out:,} rows: the most certain; "
        note += "of many levels the two ends"
    return finished(figure, title, note, _legend(rows, analysis), (NAME + 0.1, TOLD + 0.1))


def _legend(rows: Sequence[Mapping[str, Any]], analysis: Analysis) -> list[tuple[Any, str]]:
    there = {row["verdict"] for row in rows}
    signs = [
        (Line2D([], [], color=colour, marker=marker, lw=2, ms=8, mfc=_filling(verdict)), verdict)
        for verdict, (colour, marker) in SIGNS.items()
        if verdict in there
    ]
    near = difference(analysis.smallest, analysis.metric, 3, "-").rstrip("0").rstrip(".")
    if max(row["n_pairs"] for row in rows) > 1:
        signs.append((Line2D([], [], color=GREY, marker=".", lw=0, ms=5), "a seed"))
    return [*signs, (Patch(color=LIGHT, lw=0), f"within ±{near} {unit(analysis.metric)}")]


# --- which rows


def chosen(effects: pd.DataFrame, interactions: pd.DataFrame) -> tuple[list[dict[str, Any]], int]:
    """The rows to show, in their order, and how many are not."""
    averages = effects[effects["at"] == ""]
    rank = averages.assign(size=-averages["difference"].abs())
    rank = rank.sort_values(["p", "size"], kind="stable")
    count = max(AVERAGES // averages["factor"].nunique(), 1)
    rank = rank.groupby("factor", sort=False).head(count).head(ROWS)
    kept = averages.loc[sorted(rank.index)].to_dict("records")
    inner = _inner(effects, interactions, kept, ROWS - len(kept))
    rows = [row for k, outer in enumerate(kept) for row in (outer, *inner.get(k, []))]
    return rows, len(effects) - len(rows)


def _inner(
    effects: pd.DataFrame, interactions: pd.DataFrame, kept: list[dict[str, Any]], room: int
) -> dict[int, list[dict[str, Any]]]:
    """Simple effects below each average: those of the strongest interactions first."""
    simple = effects[effects["at"] != ""]
    strength = {
        frozenset((row["factor"], row["other"])): (row["p"] if row["p"] == row["p"] else 2)
        for row in interactions.to_dict("records")
    }
    place = {(row["factor"], shown(row["level"])): k for k, row in enumerate(kept)}
    other = simple["at"].str.partition("=")[0] if len(simple) else simple["at"]
    keys = [simple["factor"], simple["level"].map(shown), other]
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
    found: dict[int, list[dict[str, Any]]] = {}
    for *_, k, rows in sorted(groups, key=lambda each: each[:3]):
        if len(rows) > SIMPLE:
            known = rows["difference"].dropna()
            rows = rows.loc[sorted({known.idxmin(), known.idxmax()})] if len(known) else rows[:0]
        if len(rows) <= room:
            found.setdefault(k, []).extend(rows.to_dict("records"))
            room -= len(rows)
    return found
