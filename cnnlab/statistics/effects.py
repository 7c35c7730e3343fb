"""What each level of each factor changes, paired by seed and by all other factors.

Letters: V variants, S seeds, P pairs of variants that differ in one factor only, G comparisons.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.core.formats import few
from cnnlab.statistics import matrix as cells
from cnnlab.statistics.additive import seed_means, usable
from cnnlab.statistics.matrix import Factor, Matrix
from cnnlab.statistics.unstable import driver
from cnnlab.statistics.verdicts import AFTERWARDS, COLUMNS, decided, judged, tested

AVERAGE, SIMPLE, WITHOUT = KINDS = ("average", "simple", "without")
"""Kinds of effects: over all combinations of the other factors, at one level of one of them, and
an average without the combination that makes it uncertain."""

DRIVER = ("driver", "driver_sd")

_Part = tuple[dict[str, Any], np.ndarray]
"""A row of the table of effects before it is tested, and each seed's difference."""


def effects(
    table: Matrix, *, baseline: Mapping[str, Any] | None = None, smallest: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """Each level of each factor against the factor's baseline level.

    A pair is two runs with the same seed that differ in this factor only. Their differences are
    averaged within a seed over the combinations of the other factors in which both levels have
    run with two seeds, so that a seed is one observation; a seed that lacks some of them is
    compared by those that it has (`statistics.additive`). Then the same at each level of each
    other factor (simple effects), where there is more than one. Any list of variants will do: full
    grids, one factor at a time, or hand-picked ones. A setting that one of two levels does not have
    (momentum, with optimizer=adamw) need not be equal.

    Where one combination makes an average uncertain (`statistics.unstable`), a row more has the
    effect without it. It was chosen after looking, so it is shown and not tested.

    Args:
        table: of the runs
        baseline: the level of some factors that the others are compared with; otherwise `none`
            where a factor has it, else its first
        smallest: the smallest difference that would matter, in the metric's unit

    Returns:
        G rows: factor, level, baseline, kind (AVERAGE, SIMPLE or WITHOUT), at (of a simple effect
        `lr=0.1`; of an effect without a combination, this one; else empty), then COLUMNS of
        `statistics.verdicts`, where they are explained; driver and driver_sd: of the combination
        that makes an average uncertain, the variant that varies more, and the standard deviation of
        its runs. combinations: of the other factors that were averaged over; left_out: those that
        the average does not hold, as `lr=0.1; lr=0.2`. The averages are one family, and all simple
        effects another.
        And (G, S): the differences that each row is the mean of, NaN where a seed has none.

    Raises:
        Refused: a baseline that the sweep does not have
    """
    levels = cells.baseline_levels(table.factors, baseline)
    parts: list[_Part] = []
    for factor in table.factors:
        pairs = _Pairs(table, factor, levels[factor.name])
        parts += pairs.averages()
        for other in pairs.others:
            parts += pairs.simple(other)
    kinds = [[part for part in parts if part[0]["kind"] == kind] for kind in KINDS]
    tables = [_tested(each, table, smallest) for each in kinds]
    differences = np.concatenate([differences for _, differences in tables])
    rows = [rows for rows, _ in tables if len(rows)] or [tables[0][0]]
    return pd.concat(rows, ignore_index=True), differences


def against(
    table: Matrix, *, baseline: Mapping[str, Any] | None = None, smallest: float
) -> pd.DataFrame:
    """Each variant against the baseline variant, paired by seed; one family.

    The baseline variant has the baseline level of each factor, as in `effects`; if the sweep has no
    such variant, it is the first with the levels that were given, or else the first of all.

    Args:
        table, baseline, smallest: as in `effects`

    Returns:
        variant, the factors, baseline (in words), then COLUMNS of `cnnlab.statistics.verdicts`
    """
    count = len(table.variants)
    base = _baseline_variant(table, baseline)
    rows = np.flatnonzero(np.arange(count) != base)
    partner = np.full(len(rows), base)
    differences = table.values[rows] - table.values[partner]
    named = pd.DataFrame({"variant": table.variants[rows]})
    for factor in table.factors:
        named[factor.name] = [factor.levels[code] for code in factor.codes[rows]]
    named["baseline"] = cells.described(table.factors, base) if count else ""
    some = ~np.isnan(differences).all(axis=1)
    named = named.assign(combinations=some.astype(int), planned=1, left_out="")
    named = named.assign(**_lost(table, rows, partner))
    return judged(named, differences, table.metric, smallest)


def _baseline_variant(table: Matrix, baseline: Mapping[str, Any] | None) -> int:
    levels = cells.baseline_levels(table.factors, baseline)
    same = {factor.name: factor.codes == levels[factor.name] for factor in table.factors}
    everywhere = np.ones(len(table.variants), bool)
    exact = np.logical_and.reduce([everywhere, *same.values()])
    asked = np.logical_and.reduce([everywhere, *(same[name] for name in baseline or {})])
    for candidates in (exact, asked):
        if candidates.any():
            return int(np.argmax(candidates))
    return 0


class _Pairs:
    """All pairs of variants that differ in one factor only, one of them at its baseline level.

    Attributes:
        factor: that they differ in
        others: the other factors
        compared: codes of the levels that are compared with the baseline
        rows, partner: (P,) the two variants, the second at the baseline level
        level: (P,) the code of the first
        differences: (P, S)
        lost: of each pair, by the reason, as in `_lost`
    """

    def __init__(self, table: Matrix, factor: Factor, base: int):
        self.table, self.factor, self.base = table, factor, base
        self.others = [each for each in table.factors if each is not factor]
        compared = [
            k for k, level in enumerate(factor.levels) if k != base and level != cells.NO_SETTING
        ]
        self.compared = np.array(compared, int)
        self.rows, self.partner = _joined(table, factor, base, self.compared)
        self.level = factor.codes[self.rows]
        self.differences = table.values[self.rows] - table.values[self.partner]
        self.lost = _lost(table, self.rows, self.partner)

    def averages(self) -> list[_Part]:
        """Over all combinations of the other factors; and without the one that makes an average
        uncertain."""
        found, without = [], []
        for code in self.compared:
            pairs = np.flatnonzero(self.level == code)
            place = driver(self.differences[pairs])
            if place is None:
                found.append(self._part(code, AVERAGE, "", pairs, self.others))
                continue
            pair = pairs[place]
            both = np.array([self.rows[pair], self.partner[pair]])
            spread = np.nanstd(self.table.values[both], axis=1, ddof=1)
            wild = both[spread.argmax()]
            names = {"driver": cells.described(self.table.factors, wild), "driver_sd": spread.max()}
            found.append(self._part(code, AVERAGE, "", pairs, self.others, **names))
            at = cells.described(self.others, self.rows[pair])
            rest = np.delete(pairs, place)
            without.append(self._part(code, WITHOUT, at, rest, self.others))
        return found + without

    def simple(self, other: Factor) -> list[_Part]:
        """At each level of another factor; nothing where that would repeat the average."""
        rest = [each for each in self.others if each is not other]
        at = other.codes[self.rows]
        size = len(other.levels)
        keys, group = np.unique(self.level * size + at, return_inverse=True)
        several = np.bincount(keys // size, minlength=len(self.factor.levels)) > 1
        ends = np.cumsum(np.bincount(group, minlength=1))
        members = np.split(np.argsort(group, kind="stable"), ends[:-1])[: len(keys)]
        return [
            self._part(
                key // size, SIMPLE, f"{other.name}={cells.level_text(other.levels[key % size])}",
                pairs, rest,
            )
            for key, pairs in zip(keys, members, strict=True)
            if several[key // size]
        ]  # fmt: skip

    def _part(
        self, code: int, kind: str, at: str, pairs: np.ndarray, varying: Sequence[Factor],
        **more: Any,
    ) -> _Part:  # fmt: skip
        """One row.

        Args:
            code: of the level
            kind, at: as in `effects`
            pairs: places in P of those that are averaged
            varying: factors that tell them apart
            more: columns
        """
        kept = usable(self.differences[pairs])
        left_out = [cells.described(varying, self.rows[pair]) for pair in pairs[~kept]]
        row = {
            "factor": self.factor.name, "level": self.factor.levels[code],
            "baseline": self.factor.levels[self.base], "kind": kind, "at": at,
            "combinations": int(kept.sum()), "planned": len(pairs),
            "left_out": few(left_out) if kept.any() else "",
            **{name: int(count[pairs].sum()) for name, count in self.lost.items()},
            "driver": "", "driver_sd": np.nan, **more,
        }  # fmt: skip
        return row, seed_means(self.differences[pairs[kept]])


def _joined(
    table: Matrix, factor: Factor, base: int, compared: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a variant at a compared level and one at the baseline level, all else equal.

    A factor below this one, as optimizer.momentum is below optimizer, cannot be equal where one of
    two levels does not have it. Then it does not count, and there are several pairs.
    """
    lacking = {}
    for other in table.factors:
        absent = np.array([level == cells.NO_SETTING for level in other.levels])[other.codes]
        if other.name.startswith(f"{factor.name}.") and absent.any():
            lacking[other.name] = set(factor.codes[absent])
    several = [compared] if not lacking else [np.array([code]) for code in compared]
    rows, partners = [np.empty(0, int)], [np.empty(0, int)]
    for codes in several:
        equal = [
            other for other in table.factors
            if other is not factor and not lacking.get(other.name, set()) & {base, *codes}
        ]  # fmt: skip
        key = cells.combinations(equal, len(table.variants))
        ours = np.flatnonzero(np.isin(factor.codes, codes))
        theirs = np.flatnonzero(factor.codes == base)
        theirs = theirs[np.argsort(key[theirs], kind="stable")]
        first = np.searchsorted(key[theirs], key[ours], "left")
        count = np.searchsorted(key[theirs], key[ours], "right") - first
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        rows.append(np.repeat(ours, count))
        partners.append(theirs[np.repeat(first, count) + within])
    return np.concatenate(rows), np.concatenate(partners)


def _lost(table: Matrix, rows: np.ndarray, partner: np.ndarray) -> dict[str, np.ndarray]:
    """For each pair of variants, its seeds without a difference, by the graver of two reasons.

    A seed that neither of the two was to be trained with is not lost. One that only one of them
    has counts as pending.
    """
    ours, theirs = table.states[rows], table.states[partner]
    graver = np.maximum(ours, theirs)
    alone = (np.minimum(ours, theirs) == cells.ABSENT) & (graver == cells.THERE)
    graver = np.where(alone, cells.PENDING, graver)
    reasons = {
        "lost_failed": cells.FAILED, "lost_diverged": cells.DIVERGED,
        "lost_pending": cells.PENDING, "lost_unmeasured": cells.UNMEASURED,
    }  # fmt: skip
    return {name: (graver == reason).sum(axis=1) for name, reason in reasons.items()}


def _tested(
    parts: Sequence[_Part], table: Matrix, smallest: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of one kind, decided where they are a family."""
    names = ["factor", "level", "baseline", "kind", "at"]
    if not parts:
        columns = [*names, *COLUMNS, *DRIVER]
        return pd.DataFrame(columns=columns), np.empty((0, len(table.seeds)))
    named = pd.DataFrame([row for row, _ in parts])
    differences = np.array([means for _, means in parts])
    found = tested(named, differences, table.metric)
    if named["kind"].iloc[0] == WITHOUT:
        found["why"] = AFTERWARDS
    else:
        (found,) = decided([found], table.metric, smallest)
    return found[[*names, *COLUMNS, *DRIVER]], differences
