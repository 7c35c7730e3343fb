"""A report in the terminal: what is missing, the answer, the table of variants."""

import pandas as pd
from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from cnnlab.core.console import console, labelled, say
from cnnlab.report import tables
from cnnlab.report.page.missing import why_missing
from cnnlab.statistics.analysis import Analysis

MOST_ROWS = 30
"""As many rows of a table are printed; the others are in its file."""

MOST_LISTED = 5
"""As many problems, and reasons why runs have no result, are listed one by one."""


def show(analysis: Analysis) -> None:
    """Prints a report."""
    console.print(f"[bold]{analysis.sweep.name}[/bold]: {analysis.metric.title}")
    if analysis.sweep.question:
        for line in labelled("", analysis.sweep.question):
            console.print(line, markup=False, style="italic")
    _missing(analysis)
    for place, sentence in enumerate(analysis.sentences):
        for line in labelled("  - " if place else "", sentence):
            console.print(line, markup=False, style=None if place else "bold")
    for table in (tables.summary(analysis), tables.published(analysis)):
        if table.rows:
            console.print(_drawn(table))
        if table.total > MOST_ROWS:
            console.print(f"... and {table.total - MOST_ROWS:,} more rows, in {table.file}.\n")


def _missing(analysis: Analysis) -> None:
    """Counts what has no number, and says why where that is known."""
    counts = {k: n for k, n in analysis.sweep.counts.items() if n and k != "done"}
    if counts:
        listed = ", ".join(f"{number:,} {state}" for state, number in counts.items())
        say(f"Of {sum(analysis.sweep.counts.values()):,} runs, {listed}.", level=30)
    for notice in analysis.notices:
        for line in labelled("", notice):
            say(line, level=30)
    why = [each for each in why_missing(analysis) if each.status != "unreadable"]  # see problems
    for reason in why[:MOST_LISTED]:
        for line in labelled("", reason.sentence):
            say(line)
    problems = [f"{each.path}: {each.what}. {each.remedy}" for each in analysis.sweep.problems]
    for problem in problems[:MOST_LISTED]:
        say(f"Damaged: {problem}", level=30)
    more = max(0, len(why) - MOST_LISTED) + max(0, len(problems) - MOST_LISTED)
    if more:
        say(f"... and {more:,} more; index.html lists them.")


def _drawn(table: tables.Table) -> Table:
    """A table with as many details as the terminal is wide enough for."""
    endless = console.options.update(width=10_000)
    for detail in (2, 1, 0):
        drawn = _of(table, table.texts(MOST_ROWS, detail))
        if Measurement.get(console, endless, drawn).maximum <= console.width:
            break
    drawn.title, drawn.title_justify = Text(table.title), "left"
    drawn.caption, drawn.caption_justify = Text("\n".join(labelled("", table.caption))), "left"
    return drawn


def _of(table: tables.Table, texts: pd.DataFrame) -> Table:
    """Its columns of words fold where they must."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    kinds = {column.head: column.kind for column in table.columns}
    for head in texts:
        words = kinds[head] in ("level", "text", "missing")
        drawn.add_column(
            Text(head.replace(" ", "\n", 1)), justify="left" if words else "right", overflow="fold",
            no_wrap=not words or head == "seeds",
        )  # fmt: skip
    for row in texts.itertuples(index=False):
        drawn.add_row(*map(Text, row))
    return drawn
