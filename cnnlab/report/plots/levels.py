"""A factor's levels: their order, their place on an axis, their colour."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from cnnlab.report.plots.sheet import COLOURS, SMALL
from cnnlab.report.plots.text import fitted, measured
from cnnlab.statistics.matrix import level_text

DECADE = 10.0
"""Positive numbers that span as much stand at their logarithms."""

NEAR = 0.02
"""Of an axis: numbers nearer than that could not be told apart; then all stand evenly."""


PALETTE = [
    *COLOURS[:3], "#332288", COLOURS[4], COLOURS[3], COLOURS[5], "#882255", COLOURS[9],
]  # fmt: skip
"""seaborn's colorblind palette; for its palest ones, and for the grey of what has no level, two of
Tol's muted one. In this order any four that follow one another differ most for the colour-blind."""

MARKERS = "osD^vPhp*"


def signs(summary: pd.DataFrame, factors: Sequence[str]) -> dict[tuple[str, str], tuple[str, str]]:
    """The colour and the marker of each level of each factor, the same in all of a report.

    Each factor goes on in the palette where the one before it ended: no two levels of a report have
    one colour, as long as there are no more levels than colours. A factor that alone has more has
    shades, from dark to light.

    Args:
        summary: a column a factor, as `cnnlab.statistics.summary.summary` gives it
        factors: of the sweep

    Returns:
        by factor and level as it is typed
    """
    found: dict[tuple[str, str], tuple[str, str]] = {}
    first = 0
    for name in factors:
        levels = [level_text(level) for level in ordered(summary[name])]
        if len(levels) > len(PALETTE):
            colours = [
                to_hex(each) for each in colormaps["viridis"](np.linspace(0, 0.9, len(levels)))
            ]
        else:
            colours = [PALETTE[(first + k) % len(PALETTE)] for k in range(len(levels))]
            first += len(levels)
        for k, (level, colour) in enumerate(zip(levels, colours, strict=True)):
            found[name, level] = colour, MARKERS[k % len(MARKERS)]
    return found


def shared(summary: pd.DataFrame, factors: Sequence[str]) -> str:
    """What a picture says where factors must share colours; empty where they need not."""
    counts = [summary[name].map(level_text).nunique() for name in factors]
    few = sum(count for count in counts if count <= len(PALETTE))
    return (
        ". Colours come again from one factor to another, never within one"
        if few > len(PALETTE)
        else ""
    )


def ordered(values: Iterable[Any]) -> list[Any]:
    """The distinct levels: numbers ascending, all else in the order of the sweep."""
    levels = list({level_text(value): value for value in values}.values())
    return sorted(levels) if numeric(levels) else levels


def numeric(levels: Sequence[Any]) -> bool:
    """Whether all levels are finite numbers."""
    numbers = (isinstance(x, Real) and not isinstance(x, (bool, np.bool_)) for x in levels)
    return all(numbers) and bool(np.isfinite(np.array(levels, float)).all())


def places(levels: Sequence[Any]) -> tuple[np.ndarray, str]:
    """Each level's place on an axis from 0 to 1, and what that is: `log`, `linear` or `even`."""
    even = np.linspace(0, 1, len(levels)) if len(levels) > 1 else np.array([0.5])
    if len(levels) < 2 or not numeric(levels):
        return even, "even"
    numbers = np.array(levels, float)
    kind = "linear"
    if numbers.min() > 0 and numbers.max() / numbers.min() >= DECADE:
        numbers, kind = np.log10(numbers), "log"
    at = (numbers - numbers[0]) / (numbers[-1] - numbers[0])
    return (even, "even") if np.diff(at).min() < min(NEAR, even[1] / 3) else (at, kind)


def label_levels(axes: Axes, levels: Sequence[Any], at: np.ndarray, inches: float) -> None:
    """Writes levels below an axis, as many as have room.

    Args:
        axes: whose x axis it is
        levels: as `ordered` gives them
        at: their places from 0 to 1
        inches: the axis's length
    """
    room = max(inches / max(len(levels), 1), 0.75)
    texts = [fitted(level_text(level), room, SMALL, 2) for level in levels]
    kept, end = [], -np.inf
    for k, text in enumerate(texts):
        half = max(map(measured, text.split("\n"))) * SMALL / 72 / 2 + 0.03
        if at[k] * inches - half >= end:
            kept.append(k)
            end = at[k] * inches + half
    axes.set_xticks(at[kept], [texts[k] for k in kept], size=SMALL)
