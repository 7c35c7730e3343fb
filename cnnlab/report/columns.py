"""Columns of tables for readers: what a cell holds, and the text that it becomes.

Markdown, LaTeX, the terminal, and a page whose browser runs no scripts take the text of `text`; a
browser makes the same of the values, in `static/cells.js`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cnnlab.core.formats import NONE, number, p_value, span
from cnnlab.core.metrics import Metric
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.phrases import seeds_needed

LOST = {
    "lost_diverged": "diverged", "lost_failed": "failed", "lost_pending": "pending",
    "lost_unmeasured": "without this metric",
}  # fmt: skip

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: in its head
        value: from a row of the table of statistics to the cell
        kind: what a cell is. text: a string; level: a string that sorts as a number where it is
            one; number and p: a number or None; mean: [number or None, whether runs are missing in
            it]; interval: [low, high] or None; verdict: [word, why]; missing: [[count, what], ...]
        digits: after the point
        sign: whether + is shown
        detail: 0, or 1 or 2 of a column that a narrow table does without; 2 goes first
    """

    head: str
    value: Callable[[Row], Any]
    kind: str = "text"
    digits: int = 0
    sign: bool = False
    detail: int = 0

    @property
    def shape(self) -> dict[str, Any]:
        """What the browser needs to know."""
        names = ("head", "kind", "digits", "sign", "detail")
        return {name: getattr(self, name) for name in names}


def text(cell: Any, column: Column) -> str:
    """A cell in words."""
    if cell is None:
        return NONE
    form = column.digits, "+" if column.sign else "-"
    words: dict[str, Callable[[], str]] = {
        "number": lambda: number(cell, *form),
        "mean": lambda: ("partial " if cell[1] else "") + number(cell[0], *form),
        "interval": lambda: span(*cell, *form),
        "p": lambda: p_value(cell),
        "verdict": lambda: f"{cell[0]}: {cell[1]}" if cell[1] else cell[0],
        "missing": lambda: ", ".join(f"{runs} {what}" for runs, what in cell) or NONE,
    }
    return words.get(column.kind, lambda: cell)()


def finite(value: Any, scale: float = 1) -> float | int | None:
    """A number for JSON: short, and None where there is none."""
    if value is None or not abs(value) < float("inf"):  # NaN too
        return None
    rounded = float(f"{scale * value:.6g}")
    return int(rounded) if rounded.is_integer() else rounded


# --- columns that several tables have


def plain(head: str, key: str, digits: int = 0, **more: Any) -> Column:
    """A number as it is."""
    return Column(head, lambda row: finite(row[key]), "number", digits, **more)


def probability(head: str, key: str, **more: Any) -> Column:
    """A p."""
    return Column(head, lambda row: finite(row[key]), "p", **more)


def levels(factors: Sequence[str]) -> list[Column]:
    """A column for each factor."""
    return [Column(name, lambda row, name=name: level_text(row[name]), "level") for name in factors]


def interval(digits: int, scale: float = 1, sign: bool = False) -> Column:
    """The 95% interval."""

    def ends(row: Row) -> list[float] | None:
        low, high = finite(row["ci_low"], scale), finite(row["ci_high"], scale)
        return None if low is None or high is None else [low, high]

    return Column("95% interval", ends, "interval", digits, sign)


def verdict() -> Column:
    """The verdict, and why there is none."""
    return Column("verdict", lambda row: [row["verdict"], str(row["why"])], "verdict")


def missing(head: str, table: pd.DataFrame, names: Mapping[str, str]) -> list[Column]:
    """How many runs or pairs are missing, and why; no column where none is.

    Args:
        head: of the column
        table: that it is of
        names: words for its columns that count them
    """
    some = {key: what for key, what in names.items() if table[key].any()}

    def counts(row: Row) -> list[list[Any]]:
        return [[int(row[key]), what] for key, what in some.items() if row[key]]

    return [Column(head, counts, "missing")] * bool(some)


def left_out(table: pd.DataFrame) -> list[Column]:
    """What a mean leaves out; no column where that is nothing."""
    some = bool(table["left_out"].astype(bool).any())
    return [Column("left out", lambda row: str(row["left_out"]) or None)] * some


def together(metric: Metric) -> Column:
    """The interval that holds together with those of the whole family."""

    def ends(row: Row) -> list[float] | None:
        low, high = (finite(row[end], metric.scale) for end in ("all_low", "all_high"))
        return None if low is None or high is None else [low, high]

    return Column("all at once", ends, "interval", metric.difference_digits, True, detail=2)


def comparison(table: pd.DataFrame, metric: Metric) -> list[Column]:
    """What was found of a comparison, and what it rests on."""
    scale, digits = metric.scale, metric.difference_digits

    def difference(row: Row) -> list[Any]:
        value = finite(row["difference"], scale)
        partial = any(row[key] for key in LOST) or bool(row["left_out"])
        return [value, value is not None and partial]

    seeds = Column("seeds needed", lambda row: seeds_needed(row), detail=2)
    agree = Column("same sign", lambda row: f"{row['agree']} of {row['n_pairs']}", detail=2)
    return [
        verdict(),
        Column(f"difference ({metric.unit})", difference, "mean", digits, sign=True),
        interval(digits, scale, sign=True),
        probability("p (Holm)", "p_holm"),
        probability("p equivalent", "p_equivalent", detail=2),
        *([together(metric)] * bool((table["comparisons"] > 1).any())),
        plain("seeds", "n_pairs"),
        *([agree] * bool((table["n_pairs"] > 1).any())),
        *([seeds] * bool(table["more_seeds"].notna().any())),
        *missing("missing pairs", table, LOST),
        *left_out(table),
    ]
