"""Why runs have no result: those that share a reason are told together."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnnlab.core.formats import capital, count, few

MOST_NAMED = 6
"""Variants that are named for one reason."""

_PLACE = re.compile(r" at epoch \d+(, step \d+)?")
"""Where it came to light: runs that diverged at other steps did so for one reason."""


@dataclass(frozen=True)
class Trouble:
    """A run that has no result.

    Attributes:
        status: of the run
        variant: in words; empty where the sweep has one only
        seed: of the run, where it is known
        why: as its record tells it
        directory: of the record
        level: that it shares with others of one fate, all of which are told as one; else empty
    """

    status: str
    variant: str
    seed: int | None
    why: str
    directory: str
    level: str = ""


@dataclass(frozen=True)
class Reason:
    """Why some runs have no result.

    Attributes:
        status: of all of them
        why: as their records tell it
        runs: how many
        named: which, in words
        directory: of the first one's record
        level: whether they are all runs of a level, which `named` tells
    """

    status: str
    why: str
    runs: int
    named: str
    directory: str
    level: bool = False

    @property
    def sentence(self) -> str:
        """`Diverged: 6 runs (norm=bn lr=0.1 seeds 0-4; norm=none lr=0.1 seed 0): ...`."""
        if self.level:
            return f"{self.named}: {self.why}"
        named = f"({self.named})" if self.named else ""
        runs = f"{count(self.runs, 'run')} {named}" if self.runs > 1 else self.named
        return f"{': '.join(filter(None, (capital(self.status), runs.strip())))}: {self.why}"


def reasons(troubles: Iterable[Trouble]) -> list[Reason]:
    """One for each reason, and for each level of one fate; those of most runs first."""
    groups: dict[tuple[str, str], list[Trouble]] = {}
    for each in troubles:
        groups.setdefault((each.status, each.level or common(each.why)), []).append(each)
    found = [
        Reason(status, _why(of), len(of), _all(of) if of[0].level else _named(of), of[0].directory,
               bool(of[0].level))
        for (status, _), of in groups.items()
    ]  # fmt: skip
    return sorted(found, key=lambda reason: -reason.runs)


def _why(troubles: Sequence[Trouble]) -> str:
    """Their reason in full where it is one, else what is common; of several reasons a few."""
    whole = dict.fromkeys(each.why for each in troubles)
    return few(list(whole if len(whole) == 1 else dict.fromkeys(map(common, whole))))


def _all(troubles: Sequence[Trouble]) -> str:
    """`lr=1e6: all 15 runs diverged`."""
    runs = f"{'all ' * (len(troubles) > 1)}{count(len(troubles), 'run')}"
    return f"{troubles[0].level}: {runs} {troubles[0].status}"


def common(why: str) -> str:
    """What runs with one reason have in common of its text."""
    return _PLACE.sub("", why)


def _named(troubles: Sequence[Trouble]) -> str:
    """Each variant with its seeds: `norm=bn lr=0.1 seeds 0-4; norm=none lr=0.1 seed 0`."""
    seeds: dict[str, list[int]] = {}
    for each in troubles:
        seeds.setdefault(each.variant, []).extend([] if each.seed is None else [each.seed])
    words = [f"{variant} {_seeds(own)}".strip() for variant, own in seeds.items()]
    rest = len(words) - MOST_NAMED
    return "; ".join(words[:MOST_NAMED]) + (f"; and {count(rest, 'more variant')}" * (rest > 0))


def _seeds(seeds: Sequence[int]) -> str:
    """`seed 0`, `seeds 0-4,7`."""
    ordered = sorted(set(seeds))
    spans: list[list[int]] = []
    for seed in ordered:
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in spans]
    return f"{'seeds' if len(ordered) > 1 else 'seed'} {','.join(texts)}" if texts else ""
