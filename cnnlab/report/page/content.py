"""What stands on a sweep's page, in its order."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cnnlab.core.formats import amount
from cnnlab.records.schema import FINISHED, read_result
from cnnlab.report.captions import chosen
from cnnlab.report.page import curves, figures, missing, runs
from cnnlab.report.page.document import document
from cnnlab.report.settings import Settings, command
from cnnlab.report.tables import tables
from cnnlab.statistics.analysis import Analysis

STYLES = ("vendor/uPlot.min.css",)
SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "static/scroll.js",
    "static/cells.js",
    "static/table.js",
    "static/runs.js",
    "static/curves.js",
    "static/main.js",
)


@dataclass(frozen=True)
class Origin:
    """Where the numbers come from, of the first run that has a record.

    Attributes:
        command: that trains this run again
        versions: of Python and of packages, in words
        commit: of the program, empty where it is not known
        dirty: whether its source was changed since
    """

    command: str
    versions: str
    commit: str
    dirty: bool


def page(
    analysis: Analysis,
    pictures: Mapping[str, bytes],
    *,
    asked: Settings | None = None,
    made: datetime | None = None,
) -> str:
    """The report of a sweep as one HTML file that needs nothing else.

    Args:
        analysis: of the sweep
        pictures: PNG or SVG by file name, in the order of the page; `report.page.figures` has
            words for the names that it knows
        asked: of the report, for the command that makes it again; None: nothing but the metric
        made: the time that stands in the footer; None: no time
    """
    sweep = analysis.sweep
    return document(
        "page.html.j2",
        styles=STYLES,
        scripts=SCRIPTS,
        sweep=sweep,
        metric=chosen(analysis.metric),
        headline=analysis.sentences[0],
        sentences=analysis.sentences[1:],
        state=missing.state(analysis),
        figures=figures.figures(pictures, analysis),
        tables=tables(analysis),
        runs=runs.runs(analysis),
        curves=curves.curves(analysis),
        smallest=amount(analysis.smallest, analysis.metric),
        report=command(replace(asked or Settings(), name=sweep.name, metric=analysis.metric.name)),
        origin=_origin(analysis),
        made=made,
    )


def _origin(analysis: Analysis) -> Origin | None:
    table = analysis.sweep.runs
    trained = table.loc[table["status"].isin(FINISHED), "directory"]
    result = read_result(analysis.sweep.folder / trained.iloc[0]) if len(trained) else None
    if result is None:
        return None
    commit = result.get("git_commit")
    return Origin(
        command=shlex.join(
            ["python", "-m", "cnnlab.run", *map(str, result.get("overrides") or [])]
        ),
        versions=", ".join(f"{name} {of}" for name, of in (result.get("versions") or {}).items()),
        commit=str(commit)[:10] if commit else "",
        dirty=bool(result.get("git_dirty")),
    )
