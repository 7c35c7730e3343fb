"""Numbers as they are read: one form in sentences, pictures, tables and the terminal.

A row is one of `statistics.effects`: metric, difference, ci_low, ci_high, in the metric's own unit.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cnnlab.core.metrics import METRICS, Metric

NONE = "-"
"""In the place of a number that there is not."""

FEW = 3
"""As many of a list are named in a sentence; the rest is counted."""


def number(value: float | None, digits: int, sign: str = "-") -> str:
    """A number with so many digits after the point.

    Args:
        value: to be written
        digits: after the point
        sign: + for a plus before what is not negative
    """
    if value is None or not math.isfinite(value):
        return NONE
    # As a browser's toFixed rounds it; + 0 turns -0 into 0.
    rounded = Decimal(float(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP) + 0
    return f"{rounded:{sign}.{digits}f}"


def span(low: float | None, high: float | None, digits: int, sign: str = "-") -> str:
    """An interval: `0.6611 to 0.6702`."""
    ends = [number(end, digits, sign) for end in (low, high)]
    return NONE if NONE in ends else " to ".join(ends)


def difference(row: Mapping[str, Any], sign: str = "+") -> str:
    """A row's difference in the unit of its metric's differences: `+1.9`."""
    return number(_scaled(row, "difference"), interval_digits(row), sign)


def interval(row: Mapping[str, Any]) -> str:
    """The interval of a row's difference, in the same unit: `1.2 to 2.6`."""
    return span(_scaled(row, "ci_low"), _scaled(row, "ci_high"), interval_digits(row))


def interval_digits(row: Mapping[str, Any]) -> int:
    """So many digits that half of a row's interval shows: 0.7 has one, 0.07 two.

    And so many that an interval beside 0 does not end in 0.0.
    """
    low, high = _scaled(row, "ci_low"), _scaled(row, "ci_high")
    half = (high - low) / 2
    if not half > 0:  # NaN too; without an interval the last digit would say too much
        return METRICS[row["metric"]].difference_digits - 1
    digits = min(max(-math.floor(math.log10(half)), 1), 6)
    nearer = min(abs(low), abs(high))
    if low * high > 0 and round(nearer, digits) == 0:
        digits = min(-math.floor(math.log10(nearer)), 6)
    return digits


def _scaled(row: Mapping[str, Any], key: str) -> float:
    return METRICS[row["metric"]].scale * row[key]


def amount(value: float, metric: Metric) -> str:
    """A size that somebody chose: `0.5 points`."""
    return f"{metric.scale * value:.6g} {metric.unit}"


def p_value(p: float | None) -> str:
    """`0.013`, or `< 0.001`."""
    return "< 0.001" if p is not None and p < 0.001 else number(p, 3)


def probability(p: float) -> str:
    """`p = 0.013`, or `p < 0.001`."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def count(size: int, what: str) -> str:
    """`1 run`, `2 runs`, `10,000 runs`."""
    return f"{size:,} {what}{'' if size == 1 else 's'}"


def few(words: Sequence[str], total: int | None = None) -> str:
    """`a; b`, or `a; b; c and 7 more`.

    Args:
        words: of which the first FEW are named
        total: how many there are; None: as many as are given
    """
    more = (len(words) if total is None else total) - FEW
    return "; ".join(words[:FEW]) + (f" and {more} more" if more > 0 else "")


def capital(words: str) -> str:
    """With a capital at the beginning, and the rest as it is."""
    return words[:1].upper() + words[1:]


def byte_size(count: float) -> str:
    """`12 B`, `1.5 kB`, `170 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def as_typed(value: Any, *, padded: bool = False) -> str:
    """A value as it would be typed on a command line: `true`, `null`, `1e6`, `[0,1]`.

    A number is told in full: read again it is the same.

    Args:
        value: a setting
        padded: exponents as Python writes them, `1e+06`, as names of folders have had them since
            the first version
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        whole = short if float(short) == value else repr(value)
        return whole if padded else re.sub(r"e\+?(-?)0?", r"e\1", whole)
    if isinstance(value, list | tuple):
        return f"[{','.join(as_typed(each, padded=padded) for each in value)}]"
    return str(value)


def short(text: str) -> str:
    """What was typed, a decimal number in its short form: `1000000.0` and `1e+06` are `1e6`."""
    try:
        return text if text.lstrip("+-").isdecimal() else as_typed(float(text))
    except ValueError:
        return text
