"""What a sweep lacks: counted, with the reasons and what helps."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cnnlab.core.formats import count
from cnnlab.core.reasons import Reason, Trouble, reasons
from cnnlab.records.reading.found import Problem
from cnnlab.records.reading.sweeps import STATES
from cnnlab.report.lost import lost_levels
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.summary import LACKING

LISTED = 30
"""Reasons and problems that are listed; of more, the rest is counted."""

TROUBLES = ("diverged", "failed", "unreadable")


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
        damage: how many of those there are, in words that agree with the counts; empty for none
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
    damage: str
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
    why = why_missing(analysis)
    lost = table[list(LACKING[:-1])].any(axis=1)
    problems = list(sweep.problems)
    return State(
        total=sum(counts.values()),
        counts={name: counts.get(name, 0) for name in STATES if counts.get(name) or name == "done"},
        partial=int((lost & (table["n"] > 0)).sum()),
        empty=int((table["n"] == 0).sum()),
        variants=len(table),
        reasons=why[:LISTED],
        problems=problems[:LISTED],
        damage=_damage(len(problems), counts.get("unreadable", 0)),
        notices=analysis.notices,
        more=len(why[LISTED:]) + len(problems[LISTED:]),
    )


def _damage(problems: int, unreadable: int) -> str:
    """`9 problems on disk: 4 records that cannot be read, 5 others`."""
    if not problems:
        return ""
    cannot = f"{count(unreadable, 'record')} that cannot be read"
    rest = problems - unreadable  # a record that cannot be read is one problem
    others = f"{rest} {'other' if rest == 1 else 'others'}"
    parts = [cannot] * (unreadable > 0) + [others] * (rest > 0 and unreadable > 0)
    return ": ".join(filter(None, (f"{count(problems, 'problem')} on disk", ", ".join(parts))))


def why_missing(analysis: Analysis) -> list[Reason]:
    """Why runs have no result, those of most runs first."""
    runs, factors = analysis.sweep.runs, analysis.sweep.factors
    troubled = runs[runs["status"].isin(TROUBLES)]
    lost = lost_levels(runs, factors)
    return reasons(_trouble(row, factors, lost) for row in troubled.to_dict("records"))


def _trouble(row: dict, factors: Sequence[str], lost: Collection[tuple[str, str]]) -> Trouble:
    levels = {name: level_text(row[name]) for name in factors}
    variant = " ".join(f"{name}={level}" for name, level in levels.items())
    level = next((f"{name}={level}" for name, level in levels.items() if (name, level) in lost), "")
    seed = row["seed"]
    why = row["error"] or "no reason is recorded"
    if row["status"] == "unreadable":
        why = "its record cannot be read"
    known = seed is not None and seed == seed  # NaN differs from itself
    place = row["directory"]
    return Trouble(row["status"], variant, int(seed) if known else None, why, place, level)
