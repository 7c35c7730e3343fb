"""Where a factor's levels stand on an axis."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cnnlab.report.plots.sheet import SMALL
from cnnlab.report.plots.text import fitted, measured
from cnnlab.statistics.matrix import level_text

DECADE = 10.0
"""Positive numbers that span as much stand at their logarithms."""

NEAR = 0.02
"""Of an axis: numbers nearer than that could not be told apart; then all stand evenly."""


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
