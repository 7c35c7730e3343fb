"""The tables of an analysis as the page shows them: columns with a kind, rows of plain values.

A browser makes text of the values, in `static/cells.js`; `text` does the same for readers whose
browser runs no scripts, such as the preview of a mail.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from cnnlab.core.metrics import LABELS
from cnnlab.report.page.words import Unit, chosen, compared, count, family
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import shown
from cnnlab.statistics.summary import LOSSES

MOST = 3000
"""Rows of a table; the files beside the page have all."""

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
    """

    head: str
    value: Callable[[Row], Any]
    kind: str = "text"
    digits: int = 0
    sign: bool = False

    @property
    def shape(self) -> dict[str, Any]:
        """What the browser needs to know."""
        return {"head": self.head, "kind": self.kind, "digits": self.digits, "sign": self.sign}


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        id: in the page
        title: of its section
        caption: its metric, how a run's number was chosen, its family
        columns: in order
        rows: their cells
        total: how many rows there are, MOST of them here
        file: that has all rows
    """

    id: str
    title: str
    caption: str
    columns: Sequence[Column]
    rows: list[list[Any]] = field(repr=False)
    total: int
    file: str

    @property
    def data(self) -> dict[str, Any]:
        """What the browser makes the table of."""
        return {"columns": [column.shape for column in self.columns], "rows": self.rows}


def tables(analysis: Analysis) -> list[Table]:
    """All tables of an analysis that have a row."""
    averages = analysis.effects[analysis.effects["at"] == ""]
    simple = analysis.effects[analysis.effects["at"] != ""]
    several = len(analysis.sweep.factors) > 1
    found = [
        _summary(analysis),
        _effects(
            analysis, averages, "effects", f"Effects{', averaged over the other factors' * several}"
        ),
        _effects(analysis, simple, "simple", "Effects at each level of the others"),
        _against(analysis),
        _interactions(analysis),
        _published(analysis),
    ]
    return [table for table in found if table.rows]


def text(cell: Any, column: Column) -> str:
    """A cell in words."""
    if cell is None:
        return "-"
    words: dict[str, Callable[[], str]] = {
        "number": lambda: _number(cell, column),
        "mean": lambda: ("partial " if cell[1] else "") + _number(cell[0], column),
        "interval": lambda: " to ".join(_number(end, column) for end in cell),
        "p": lambda: "< 0.001" if cell < 0.001 else f"{cell:.3f}",
        "verdict": lambda: f"{cell[0]}: {cell[1]}" if cell[1] else cell[0],
        "missing": lambda: ", ".join(f"{number} {what}" for number, what in cell) or "-",
    }
    return words.get(column.kind, lambda: cell)()


def _number(value: float | None, column: Column) -> str:
    if value is None:
        return "-"
    # As a browser's toFixed does it; + 0 turns -0 into 0.
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-column.digits), ROUND_HALF_UP) + 0
    return f"{rounded:{'+' if column.sign else '-'}.{column.digits}f}"


# --- one function a table


def _summary(analysis: Analysis) -> Table:
    metric, table = analysis.metric, analysis.summary
    several = bool(table["n"].max() > 1)
    states = [state for state in ("diverged", "failed", "pending") if table[state].any()]
    columns = [
        *_levels(analysis.sweep.factors),
        Column("mean" if several else "value", _partial_mean, "mean", 4),
        *([Column("95% interval", _interval(1), "interval", 4)] * several),
        Column("seeds", _seeds, "level"),
        *([Column("missing", _counts({each: each for each in states}), "missing")] * bool(states)),
    ]
    if several:
        columns += [
            Column("std", _plain("std"), "number", 4),
            Column("lowest" if metric in LOSSES else "best", _plain("best"), "number", 4),
        ]
    columns.append(Column("seconds a run", _plain("seconds"), "number", 1))
    note = "; mean over seeds with Student's 95% interval" if several else "; one seed, no interval"
    caption = f"{chosen(metric)}{note}. {count(len(table), 'variant')}."
    return _made("summary", "Variants", caption, columns, table, "summary.csv")


def _effects(analysis: Analysis, table: pd.DataFrame, name: str, title: str) -> Table:
    unit = Unit(analysis.metric)
    columns = [
        Column("factor", lambda row: str(row["factor"])),
        Column("level", lambda row: shown(row["level"]), "level"),
        Column("against", lambda row: shown(row["baseline"]), "level"),
        *([Column("at", lambda row: str(row["at"]))] * (name == "simple")),
        *_comparison(table, unit),
    ]
    if name == "effects" and (table["combinations"] > 1).any():
        columns.append(Column("averaged over", _plain("combinations"), "number"))
    caption = f"{compared(analysis.metric)} {family(table, 'comparison')}"
    return _made(name, title, caption, columns, table, "effects.csv")


def _against(analysis: Analysis) -> Table:
    table = analysis.against
    unit = Unit(analysis.metric)
    columns = [*_levels(analysis.sweep.factors), *_comparison(table, unit)]
    base = table["baseline"].iloc[0] if len(table) else ""
    caption = f"{compared(analysis.metric)} Baseline: {base}. {family(table, 'comparison')}"
    return _made("against", "Against the baseline", caption, columns, table, "against.csv")


def _interactions(analysis: Analysis) -> Table:
    table = analysis.interactions
    columns = [
        Column("factors", lambda row: f"{row['factor']} x {row['other']}"),
        Column("levels", lambda row: str(row["levels"])),
        Column("seeds", _plain("n"), "number"),
        Column("F", _plain("F"), "number", 2),
        Column("df", lambda row: f"{row['df']:.0f}, {row['df_residual']:.0f}"),
        Column("p", _plain("p"), "p"),
        Column("p (Holm)", _plain("p_holm"), "p"),
        Column("verdict", lambda row: [row["verdict"], str(row["why"])], "verdict"),
        *_left_out(table),
    ]
    caption = (
        f"{chosen(analysis.metric)}; does one factor's effect depend on the other? Two-way analysis"
        f" of variance within seeds (Greenhouse-Geisser). {family(table, 'test')}"
    )
    return _made("interactions", "Interactions", caption, columns, table, "interactions.csv")


def _published(analysis: Analysis) -> Table:
    table = analysis.published
    columns = [
        *_levels(analysis.sweep.factors),
        Column("metric", lambda row: LABELS.get(row["metric"], str(row["metric"]))),
        Column("published", _plain("published"), "number", 4),
        Column("ours (mean)", _plain("measured"), "number", 4),
        Column("difference", _plain("difference"), "number", 4, sign=True),
        Column("in deviations", _plain("deviations"), "number", 1, sign=True),
        Column("seeds", _plain("n"), "number"),
    ]
    caption = (
        "The metric, and the epoch that a run's number is of, stand in each row. In deviations:"
        " how far apart, in standard deviations of a single run of ours."
    )
    return _made(
        "published", "Published numbers beside ours", caption, columns, table, "published.csv"
    )


def _made(
    name: str, title: str, caption: str, columns: list[Column], table: pd.DataFrame, file: str
) -> Table:
    rows = [
        [column.value(row) for column in columns] for row in table.head(MOST).to_dict("records")
    ]
    return Table(name, title, caption, columns, rows, len(table), file)


# --- columns that several tables have


def _levels(factors: Sequence[str]) -> list[Column]:
    return [Column(name, lambda row, name=name: shown(row[name]), "level") for name in factors]


def _comparison(table: pd.DataFrame, unit: Unit) -> list[Column]:
    """What was found of a comparison, and what it rests on."""
    scale, digits = unit.scale, unit.digits
    seeds = table["more_seeds"].notna().any()
    lost = {key: what for key, what in LOST.items() if table[key].any()}

    def difference(row: Row) -> list[Any]:
        value = finite(row["difference"], scale)
        lost_some = any(row[key] for key in LOST) or bool(row["left_out"])
        return [value, value is not None and lost_some]

    return [
        Column("verdict", lambda row: [row["verdict"], str(row["why"])], "verdict"),
        Column(f"difference ({unit.name})", difference, "mean", digits, sign=True),
        Column("95% interval", _interval(scale), "interval", digits, sign=True),
        Column("p (Holm)", _plain("p_holm"), "p"),
        Column("p equivalent", _plain("p_equivalent"), "p"),
        Column("seeds", _plain("n_pairs"), "number"),
        *([Column("more seeds", _plain("more_seeds"), "number")] * bool(seeds)),
        *([Column("missing pairs", _counts(lost), "missing")] * bool(lost)),
        *_left_out(table),
    ]


def _left_out(table: pd.DataFrame) -> list[Column]:
    some = bool(table["left_out"].astype(bool).any())
    return [Column("left out", lambda row: str(row["left_out"]) or None)] * some


def _seeds(row: Row) -> str:
    """`5`, or `3 of 5` where some have no number."""
    planned = sum(row[key] for key in ("n", "failed", "diverged", "pending"))
    return str(row["n"]) if row["n"] == planned else f"{row['n']} of {planned}"


def _partial_mean(row: Row) -> list[Any]:
    """A mean never hides the runs that it leaves out."""
    return [finite(row["mean"]), bool(row["n"] and (row["failed"] or row["diverged"]))]


def _counts(names: Mapping[str, str]) -> Callable[[Row], Any]:
    return lambda row: [[int(row[key]), what] for key, what in names.items() if row[key]]


def _interval(scale: float) -> Callable[[Row], Any]:
    def ends(row: Row) -> list[float] | None:
        low, high = finite(row["ci_low"], scale), finite(row["ci_high"], scale)
        return None if low is None or high is None else [low, high]

    return ends


def _plain(key: str) -> Callable[[Row], Any]:
    return lambda row: finite(row[key])


def finite(value: Any, scale: float = 1) -> float | int | None:
    """A number for JSON: short, and None where there is none."""
    if value is None or not abs(value) < float("inf"):  # NaN too
        return None
    number = float(f"{scale * value:.6g}")
    return int(number) if number.is_integer() else number
