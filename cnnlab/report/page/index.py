"""The list of all sweeps: outputs/index.html."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cnnlab.core.formats import count
from cnnlab.records.reading.sweeps import STATES
from cnnlab.report.page.document import document

SCRIPTS = ("static/scroll.js", "static/listing.js")


@dataclass(frozen=True)
class Row:
    """One sweep in the list.

    Attributes:
        name: of the sweep
        question: of its file, or None
        headline: the first sentence of its report
        counts: of runs, by state, as in `cnnlab.records.reading.sweeps.Sweep`
        date: of its newest record, or None
        link: to its page, relative to the list; None where it has no report
        factors: that its variants differ in
    """

    name: str
    question: str | None = None
    headline: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    date: datetime | None = None
    link: str | None = None
    factors: Sequence[str] = ()

    @property
    def troubles(self) -> list[tuple[str, int]]:
        """The states that are counted besides done, and how many runs are in each."""
        return [(state, self.counts[state]) for state in STATES[1:] if self.counts.get(state)]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def listing(rows: Iterable[Row]) -> str:
    """The list of sweeps as one HTML file, in the order of `rows`."""
    listed = list(rows)
    runs = sum(row.total for row in listed)
    return document(
        "listing.html.j2",
        scripts=SCRIPTS,
        rows=listed,
        summed=f"{count(len(listed), 'sweep')}, {count(runs, 'run')}",
    )
