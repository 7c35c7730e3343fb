"""What a sweep lacks: counted, with the reasons and what helps."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnlab.core.formats import FEW, count, few
from cnnlab.records.reading.found import Problem
from cnnlab.records.reading.sweeps import STATES
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import level_text

LISTED = 30
"""Reasons and problems that are listed; of more, the rest is counted."""

TROUBLES = ("diverged", "failed", "unreadable")


@dataclass(frozen=True)
class Reason:
    """Why runs have no result.

    Attributes:
        status: of all of them
        why: as their records tell it
        runs: how many
        named: some of them, in words
    """

    status: str
    why: str
    runs: int
    named: str


@dataclass(frozen=True)
class State:
    """How far the sweep is.

    Attributes:
        total: of runs
        counts: by state, those that are not 0 and done
        partial: variants whose numbers leave runs out that failed or diverged
        empty: variants that have no number at all
        variants: how many there are
        reasons: why runs have no result
        problems: what is wrong on disk
        notices: what else to know before runs are compared
        more: reasons and problems that are not listed
    """

    total: int
    counts: dict[str, int]
    partial: int
    empty: int
    variants: int
    reasons: Sequence[Reason]
    problems: Sequence[Problem]
    notices: Sequence[str]
    more: int

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.total == self.counts["done"] and not self.problems

    @property
    def summed(self) -> str:
        """In a line."""
        return f"{self.counts['done']:,} of {count(self.total, 'run')} done"


def state(analysis: Analysis) -> State:
    """What the top of the page tells."""
    sweep, table = analysis.sweep, analysis.summary
    counts = dict(sweep.counts) or sweep.runs["status"].value_counts().to_dict()
    reasons = _reasons(analysis)
    lost = table["failed"] + table["diverged"] > 0
    problems = list(sweep.problems)
    return State(
        total=sum(counts.values()),
        counts={name: counts.get(name, 0) for name in STATES if counts.get(name) or name == "done"},
        partial=int((lost & (table["n"] > 0)).sum()),
        empty=int((table["n"] == 0).sum()),
        variants=len(table),
        reasons=reasons[:LISTED],
        problems=problems[:LISTED],
        notices=sweep.notices,
        more=len(reasons[LISTED:]) + len(problems[LISTED:]),
    )


def _reasons(analysis: Analysis) -> list[Reason]:
    """One for each text of an error, those of most runs first."""
    runs = analysis.sweep.runs
    troubled = runs[runs["status"].isin(TROUBLES)]
    why = troubled["error"].fillna("no reason is recorded").astype(str)
    why = why.where(troubled["status"] != "unreadable", "its record cannot be read")
    reasons = []
    for (status, text), rows in troubled.groupby([troubled["status"], why], sort=False):
        first = rows.head(FEW).to_dict("records")
        named = few([_named(row, analysis.sweep.factors) for row in first], len(rows))
        reasons.append(Reason(status, text, len(rows), named))
    return sorted(reasons, key=lambda reason: -reason.runs)


def _named(row: dict, factors: Sequence[str]) -> str:
    words = [f"{name}={level_text(row[name])}" for name in factors]
    seed = row["seed"]
    return ", ".join([*words, *([f"seed {seed:.0f}"] if seed == seed and seed is not None else [])])
