"""The tables of an analysis as they are read: columns with a kind, rows of plain values.

This is what the page, Markdown, LaTeX and the terminal show; each of them only draws it. The CSV
files are not read but computed with: they hold the statistics as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from cnnlab.config.schema import DRAWS
from cnnlab.core.formats import count, number
from cnnlab.core.metrics import METRICS, Metric
from cnnlab.report.captions import chosen, compared, covers, family, risk
from cnnlab.report.columns import (
    Column,
    Row,
    comparison,
    finite,
    interval,
    left_out,
    levels,
    missing,
    plain,
    probability,
    text,
    verdict,
)  # fmt: skip
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.effects import AVERAGE, SIMPLE, WITHOUT
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.summary import LACKING, planned

BESIDE = {"final_val_accuracy": "last epoch", "test_accuracy": "test"}
"""Heads of the metrics that are shown beside another."""

MOST = 3000
"""Rows of a table; the files beside the page have all."""


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

    def texts(self, most: int, detail: int = 2) -> pd.DataFrame:
        """The first rows in words, a column each.

        Args:
            most: rows
            detail: that a column may have at most
        """
        kept = [k for k, column in enumerate(self.columns) if column.detail <= detail]
        return pd.DataFrame(
            [[text(row[k], self.columns[k]) for k in kept] for row in self.rows[:most]],
            columns=[self.columns[k].head for k in kept],
        )


def tables(analysis: Analysis) -> list[Table]:
    """All tables of an analysis that have a row."""
    kind = analysis.effects["kind"]
    averages = analysis.effects[kind.isin([AVERAGE, WITHOUT])].sort_values(
        ["factor", "level"], key=lambda column: pd.factorize(column)[0], kind="stable"
    )
    simple = analysis.effects[kind == SIMPLE]
    several = len(analysis.sweep.factors) > 1
    title = f"Effects{', averaged over the other factors' * several}"
    made = [
        summary(analysis),
        _effects(analysis.metric, averages, "effects", title, risk(analysis)),
        _effects(analysis.metric, simple, "simple", "Effects at each level of the others"),
        _against(analysis),
        _interactions(analysis),
        _components(analysis),
        published(analysis),
    ]
    return [table for table in made if table.rows]


def summary(analysis: Analysis) -> Table:
    """The variants."""
    metric, table = analysis.metric, analysis.summary
    several = bool(table["n"].max() > 1)
    states = {state: state for state in LACKING}
    columns = [
        *levels(analysis.sweep.factors),
        Column("mean" if several else "value", _partial_mean, "mean", metric.digits),
        *([interval(metric.digits)] * several),
        Column("seeds", _seeds, "level"),
        *missing("missing", table, states),
    ]
    if several:
        best = "lowest" if metric.less_is_better else "best"
        columns.append(plain("std", "std", metric.digits, detail=1))
        columns.append(plain(best, "best", metric.digits, detail=2))
        columns += [plain("shrunk", "shrunk", metric.digits, detail=2)] * bool(
            table["shrunk"].notna().any()
        )
    columns += [plain(head, name, metric.digits) for name, head in BESIDE.items() if name in table]
    columns.append(plain("seconds a run", "seconds", 1, detail=1))
    single = "; one seed, no interval" if table["n"].max() == 1 else ""
    note = "; mean over seeds with Student's 95% interval" if several else single
    caption = f"{chosen(metric)}{note}. {count(len(table), 'variant')}."
    caption += f" {covers(analysis)}" * several
    if (analysis.sweep.runs["stack_size"] > 1).any():
        caption += " Seconds a run: those of a stack, divided by its runs."
    return _made("summary", "Variants", caption, columns, table, "summary.csv")


def _effects(metric: Metric, table: pd.DataFrame, name: str, title: str, note: str = "") -> Table:
    without = bool((table["kind"] == WITHOUT).any())
    columns = [
        Column("factor", lambda row: str(row["factor"])),
        Column("level", lambda row: level_text(row["level"]), "level"),
        Column("against", lambda row: level_text(row["baseline"]), "level"),
        *([Column("at", lambda row: str(row["at"]))] * (name == "simple")),
        *([Column("without", lambda row: str(row["at"]) or None)] * without),
        *comparison(table, metric),
        *([Column("uncertain for", lambda row: _driver(row, metric), detail=2)] * without),
    ]
    if name == "effects" and (table["combinations"] > 1).any():
        columns.append(plain("averaged over", "combinations", detail=2))
    tested = table[table["kind"] != WITHOUT]
    caption = f"{compared(metric)} {family(tested, 'comparison')} {note}".rstrip()
    return _made(name, title, caption, columns, table, "effects.csv")


def _driver(row: Row, metric: Metric) -> str | None:
    if not row["driver"]:
        return None
    spread = number(metric.scale * row["driver_sd"], metric.difference_digits)
    return f"{row['driver']} (std {spread})"


def _against(analysis: Analysis) -> Table:
    table, metric = analysis.against, analysis.metric
    names = [factor.name for factor in analysis.matrix.factors]
    columns = [*levels(names), *comparison(table, metric)]
    base = table["baseline"].iloc[0] if len(table) else ""
    caption = f"{compared(metric)} Baseline: {base}. {family(table, 'comparison')}"
    return _made("against", "Against the baseline", caption, columns, table, "against.csv")


def _interactions(analysis: Analysis) -> Table:
    table = analysis.interactions
    columns = [
        Column("factors", lambda row: f"{row['factor']} x {row['other']}"),
        Column("levels", lambda row: str(row["levels"])),
        plain("seeds", "n"),
        plain("F", "F", 2),
        Column("df", lambda row: f"{row['df']:.0f}, {row['df_residual']:.0f}"),
        probability("p", "p"),
        probability("p (Holm)", "p_holm"),
        verdict(),
        Column("most certain for", _strongest, detail=2),
        plain("power", "power", 2, detail=2),
        *left_out(table),
    ]
    caption = (
        f"{chosen(analysis.metric)}; does one factor's effect depend on the other? Two-way analysis"
        f" of variance within seeds (Greenhouse-Geisser). {family(table, 'test')}"
    )
    return _made("interactions", "Interactions", caption, columns, table, "interactions.csv")


def _strongest(row: Row) -> str:
    return f"{row['factor']}={row['factor_level']}, {row['other']}={row['other_level']}"


def _components(analysis: Analysis) -> Table:
    table, metric = analysis.components, analysis.metric
    digits, unit = metric.difference_digits, metric.unit
    limits = interval(digits, metric.scale)

    def deviation(head: str, key: str) -> Column:
        head = f"{head} ({unit})"
        return Column(head, lambda row: finite(row[key], metric.scale), "number", digits)

    def left(row: Row) -> Any:
        return limits.value({"ci_low": row["left_low"], "ci_high": row["left_high"]})

    columns = [
        Column("between runs of different", _differing),
        *([Column("held", lambda row: str(row["held"]) or None)] * bool(table["held"].any())),
        deviation("deviation of a run", "sd"),
        limits,
        deviation("shared", "sd_shared"),
        Column("share of variance (%)", lambda row: finite(row["share"], 100), "number"),
        deviation("left", "sd_left"),
        replace(limits, head="95% interval of left", value=left, detail=1),
        plain("runs", "runs"),
        plain("variants", "variants", detail=2),
    ]
    caption = (
        f"{chosen(metric)}; standard deviation of one run, pooled over variants, with 95% "
        "chi-square limits. Shared: by all runs of a seed, which comparisons within seeds do not "
        "see; left: what they do. Restricted maximum likelihood."
    )
    title = "Where the spread comes from"
    return _made("components", title, caption, columns, table, "components.csv")


def _differing(row: Row) -> str:
    """`seed`, or the draws that `vary` names."""
    if row["factor"] != "vary":
        return str(row["factor"])
    return level_text(row["level"]).strip("[]").replace("null", ",".join(DRAWS)).replace(",", ", ")


def published(analysis: Analysis) -> Table:
    """Published numbers beside ours."""
    digits = analysis.metric.digits
    columns = [
        *levels(analysis.sweep.factors),
        Column("metric", lambda row: METRICS[row["metric"]].title),
        plain("published", "published", digits),
        plain("ours (mean)", "measured", digits),
        plain("difference", "difference", digits, sign=True, detail=2),
        plain("in deviations", "deviations", 1, sign=True),
        plain("seeds", "n"),
    ]
    caption = (
        "The metric, and the epoch that a run's number is of, stand in each row. In deviations:"
        " how far apart, in standard deviations of a single run of ours."
    )
    title = "Published numbers beside ours"
    return _made("published", title, caption, columns, analysis.published, "published.csv")


def _made(
    name: str, title: str, caption: str, columns: list[Column], table: pd.DataFrame, file: str
) -> Table:
    rows = [
        [column.value(row) for column in columns] for row in table.head(MOST).to_dict("records")
    ]
    return Table(name, title, caption, columns, rows, len(table), file)


def _seeds(row: Row) -> str:
    """`5`, or `3 of 5` where some have no number."""
    return str(row["n"]) if row["n"] == planned(row) else f"{row['n']} of {planned(row)}"


def _partial_mean(row: Row) -> list[Any]:
    """A mean never hides the runs that it leaves out."""
    return [finite(row["mean"]), bool(row["n"] and any(row[key] for key in LACKING[:-1]))]
