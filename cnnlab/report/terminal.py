"""A report in the terminal: what is missing, the answer, the table of variants."""

import pandas as pd
from rich import box
from rich.table import Table

from cnnlab.core.console import console, labelled, say
from cnnlab.core.metrics import LABELS
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import shown

MOST_ROWS = 30
"""As many variants are printed; the others are in summary.csv."""

MOST_TOLD = 5
"""As many problems and failed runs are told one by one."""


def show(analysis: Analysis) -> None:
    """Prints a report."""
    console.print(f"[bold]{analysis.sweep.name}[/bold]: {analysis.label}")
    _missing(analysis)
    for sentence in analysis.sentences:
        for line in labelled("", sentence):
            console.print(line, markup=False)
    console.print(_variants(analysis))
    if len(analysis.summary) > MOST_ROWS:
        more = len(analysis.summary) - MOST_ROWS
        console.print(f"... and {more:,} more variants, in summary.csv.\n")
    if len(analysis.published):
        console.print(_published(analysis))


def _missing(analysis: Analysis) -> None:
    """Counts what has no number, and says why where that is known."""
    counts = {k: n for k, n in analysis.sweep.counts.items() if n and k != "done"}
    if counts:
        told = ", ".join(f"{number:,} {state}" for state, number in counts.items())
        say(f"Of {sum(analysis.sweep.counts.values()):,} runs, {told}.", level=30)
    for notice in analysis.sweep.notices:
        say(notice, level=30)
    runs = analysis.sweep.runs
    troubled = runs[runs["status"].isin(["failed", "diverged"])]
    for run in troubled.head(MOST_TOLD).to_dict("records"):
        say(f"{run['status'].capitalize()}: {run['directory']}: {run['error']}")
    problems = [f"{each.path}: {each.what} {each.remedy}" for each in analysis.sweep.problems]
    for problem in problems[:MOST_TOLD]:
        say(f"Damaged: {problem}", level=30)
    more = max(0, len(troubled) - MOST_TOLD) + max(0, len(problems) - MOST_TOLD)
    if more:
        say(f"... and {more:,} more; index.html lists them.")


def _variants(analysis: Analysis) -> Table:
    summary, factors = analysis.summary, analysis.sweep.factors
    several = summary["n"].max() > 1
    table = _table()
    for name in factors:
        table.add_column(name, overflow="fold")
    troubles = [name for name in ("failed", "diverged", "pending") if summary[name].any()]
    numbers = ("mean", "±95%", "best") if several else ("value",)
    for name in ("n", *troubles, *numbers, "s/run"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in summary.head(MOST_ROWS).to_dict("records"):
        half = _number((row["ci_high"] - row["ci_low"]) / 2)
        partly = "*" if row["n"] and row["failed"] + row["diverged"] else ""
        found = (_number(row["mean"]) + partly, half, _number(row["best"]))
        table.add_row(
            *(shown(row[name]) for name in factors),
            *(str(row[name]) for name in ("n", *troubles)),
            *(found if several else found[:1]),
            _number(row["seconds"], 1),
        )
    notes = ["±95%: half of Student's t interval of the mean"] if several else []
    if summary["n"].gt(0).mul(summary["failed"] + summary["diverged"]).any():
        notes.append("* of the runs that came to their end; the others failed or diverged")
    table.caption, table.caption_justify = "\n".join(notes), "left"
    return table


def _published(analysis: Analysis) -> Table:
    beside = analysis.published
    table = _table("Published | measured (how far apart, in standard deviations of a run)")
    table.add_column("variant", overflow="fold")
    metrics = list(dict.fromkeys(beside["metric"]))
    for metric in metrics:
        table.add_column(LABELS[metric].removesuffix(" (nats)"), justify="right")
    for _, rows in beside.groupby("variant"):
        of = rows.set_index("metric")
        cells = [_beside(of.loc[metric]) if metric in of.index else "" for metric in metrics]
        first = rows.to_dict("records")[0]
        named = ", ".join(f"{name}={shown(first[name])}" for name in analysis.sweep.factors)
        table.add_row(named or "default", *cells)
    return table


def _beside(row: pd.Series) -> str:
    apart = f" ({row['deviations']:+.1f})" if pd.notna(row["deviations"]) else ""
    return f"{_number(row['published'])} | {_number(row['measured'])}{apart}"


def _table(title: str | None = None) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _number(value: float, digits: int = 4) -> str:
    return "-" if pd.isna(value) else f"{value:.{digits}f}"
