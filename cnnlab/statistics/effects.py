"""What each level of each factor changes, paired by seed and by all other factors.

Letters: V variants, S seeds, P pairs of variants that differ in one factor only, G comparisons.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.core.formats import few
from cnnlab.statistics import matrix as cells
from cnnlab.statistics.matrix import Factor, Matrix
from cnnlab.statistics.verdicts import COLUMNS, judged


def effects(
    table: Matrix, *, baseline: Mapping[str, Any] | None = None, smallest: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """Each level of each factor against the factor's baseline level.

    A pair is two runs with the same seed that differ in this factor only. Their differences are
    averaged within a seed over the combinations of the other factors in which both levels have
    run, so that a seed is one observation; a seed counts if it has all these combinations. Then
    the same at each level of each other factor (simple effects), where there is more than one.
    Any list of variants will do: full grids, one factor at a time, or hand-picked ones. A setting
    that one of two levels does not have (momentum, with optimizer=adamw) need not be equal.

    Args:
        table: of the runs
        baseline: the level of some factors that the others are compared with; otherwise `none`
            where a factor has it, else its first
        smallest: the smallest difference that would matter, in the metric's unit

    Returns:
        G rows: factor, level, baseline, at (`lr=0.1` of a simple effect, empty for the average),
        then COLUMNS of `statistics.verdicts`, where they are explained. combinations: of the other
        factors that were averaged over; left_out: those in which no seed has both levels, as
        `lr=0.1; lr=0.2`, which the average does not hold. The averages are one family, and all
        simple effects another.
        And (G, S): the differences that each row is the mean of, NaN where a seed has none.

    Raises:
        Refused: a baseline that the sweep does not have
    """
    levels = cells.baseline_levels(table.factors, baseline)
    averages, simple = [], []
    for factor in table.factors:
        pairs = _Pairs(table, factor, levels[factor.name])
        averages.append(pairs.averages())
        simple.extend(pairs.simple(other) for other in pairs.others)
    families = [_family(parts, table, smallest) for parts in (averages, simple)]
    rows = [rows for rows, _ in families if len(rows)] or [families[0][0]]
    differences = np.concatenate([differences for _, differences in families])
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
    alive = ~np.isnan(differences).all(axis=1)
    named = named.assign(combinations=alive.astype(int), planned=1, left_out="")
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
        alive: (P,) whether any seed has both
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
        self.alive = ~np.isnan(self.differences).all(axis=1)

    def averages(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Over all combinations of the other factors: names, and (G, S) differences."""
        group = np.searchsorted(self.compared, self.level)
        named = self._named(self.compared, [""] * len(self.compared))
        return self._grouped(named, group, self.others)

    def simple(self, other: Factor) -> tuple[pd.DataFrame, np.ndarray]:
        """At each level of another factor; nothing where that would repeat the average."""
        code = other.codes[self.rows]
        size = len(other.levels)
        keys, group = np.unique(self.level * size + code, return_inverse=True)
        several = np.bincount(keys // size, minlength=len(self.factor.levels)) > 1
        at = [f"{other.name}={cells.level_text(other.levels[key % size])}" for key in keys]
        rest = [each for each in self.others if each is not other]
        named, means = self._grouped(self._named(keys // size, at), group, rest)
        kept = several[keys // size]
        return named[kept], means[kept]

    def _named(self, codes: np.ndarray, at: list[str]) -> pd.DataFrame:
        levels = pd.Series([self.factor.levels[code] for code in codes], dtype=object)
        named = pd.DataFrame({"factor": self.factor.name, "level": levels})
        base = [self.factor.levels[self.base]] * len(named) if len(named) else []
        return named.assign(baseline=pd.Series(base, dtype=object), at=pd.Series(at, dtype=object))

    def _grouped(
        self, named: pd.DataFrame, group: np.ndarray, varying: Sequence[Factor]
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Averages the differences of each group of pairs within each seed.

        Args:
            named: G rows
            group: (P,) the row of each pair
            varying: factors that tell the pairs of a group apart
        """
        size = len(named)
        used = np.bincount(group[self.alive], minlength=size)
        means = np.zeros((size, len(self.table.seeds)))
        np.add.at(means, group[self.alive], self.differences[self.alive])
        with np.errstate(invalid="ignore"):  # 0 / 0 where no pair is alive
            means /= used[:, None]
        lost = _lost(self.table, self.rows, self.partner)
        lost = {key: np.bincount(group, count, size).astype(int) for key, count in lost.items()}
        planned = np.bincount(group, minlength=size)
        left_out = self._left_out(group, used, varying)
        return named.assign(combinations=used, planned=planned, left_out=left_out, **lost), means

    def _left_out(
        self, group: np.ndarray, used: np.ndarray, varying: Sequence[Factor]
    ) -> list[str]:
        names: list[list[str]] = [[] for _ in used]
        for pair in np.flatnonzero(~self.alive & (used[group] > 0)):
            names[group[pair]].append(cells.described(varying, self.rows[pair]))
        return list(map(few, names))


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


def _family(
    parts: list[tuple[pd.DataFrame, np.ndarray]], table: Matrix, smallest: float
) -> tuple[pd.DataFrame, np.ndarray]:
    parts = [part for part in parts if len(part[0])]
    if not parts:
        names = ["factor", "level", "baseline", "at"]
        return pd.DataFrame(columns=[*names, *COLUMNS]), np.empty((0, len(table.seeds)))
    named = pd.concat([named for named, _ in parts], ignore_index=True)
    differences = np.concatenate([means for _, means in parts])
    return judged(named, differences, table.metric, smallest), differences
