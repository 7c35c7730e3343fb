"""The cells of two factors, as a test of their interaction and its picture both take them.

Letters: V variants, S seeds, A levels of the one factor, B of the other, R combinations of all
the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.core.formats import few
from cnnlab.statistics.additive import seed_means, usable
from cnnlab.statistics.matrix import NO_SETTING, Factor, Matrix, combinations, described, level_text


@dataclass(frozen=True)
class Crossing:
    """Two factors whose levels cross.

    Attributes:
        levels: of the two, those that are in it, in the sweep's order
        values: (S, R, A, B), NaN where a run has none; each cell has enough seeds for a test
        left_out: levels and combinations that lack a cell: `lr=1.0; act=b`
    """

    levels: tuple[list[Any], list[Any]]
    values: np.ndarray
    left_out: str

    @property
    def whole(self) -> np.ndarray:
        """(n, A, B): the mean of each cell over the rest, of seeds that have all cells somewhere.

        A seed that has all cells in some combinations of the rest is compared by those
        (`statistics.additive`): within one combination, its cells share what it adds to them.
        """
        complete = _complete(self.values)
        if not complete.any():
            return self.values[:0, 0]
        values = np.where(complete[:, :, None, None], self.values, np.nan)
        cells = np.moveaxis(values, 0, -1).reshape(values.shape[1], -1, values.shape[0])
        by_seed = np.array([seed_means(cells[:, k]) for k in range(cells.shape[1])]).T
        kept = by_seed[~np.isnan(by_seed).any(axis=1)]
        return kept.reshape(-1, *values.shape[2:])


def crossing(table: Matrix, one: Factor, other: Factor) -> Crossing | None:
    """The cells of two factors; None where no 2 x 2 of levels has all of its cells.

    Only combinations of the remaining factors count in which all cells have run with two seeds (or
    with the only one). If no combination has them all, the levels that lack most are left out until
    one does.
    """
    rest = [factor for factor in table.factors if factor is not one and factor is not other]
    group = combinations(rest, len(table.variants))
    rows = _crossed(one, other, group)
    if not len(rows):
        return None
    groups, codes_group = np.unique(group[rows], return_inverse=True)
    a, codes_a = np.unique(one.codes[rows], return_inverse=True)
    b, codes_b = np.unique(other.codes[rows], return_inverse=True)
    place = np.full((len(groups), len(a), len(b)), -1)
    place[codes_group, codes_a, codes_b] = rows
    enough = min(2, len(table.seeds))
    there = np.append((~np.isnan(table.values)).sum(axis=1) >= enough, False)[place]
    kept_a, kept_b = _without_gaps(there)
    if len(kept_a) < 2 or len(kept_b) < 2:
        return None
    whole = there[:, kept_a][:, :, kept_b].all(axis=(1, 2))
    place = place[whole][:, kept_a][:, :, kept_b]
    groups, values = groups[whole], np.moveaxis(table.values[place], -1, 0)
    if (some := usable(np.where(_complete(values), 1, np.nan).T)).any():
        groups, values = groups[some], values[:, some]
    lacking = [
        f"{factor.name}={level_text(factor.levels[code])}"
        for factor, codes in ((one, a[kept_a]), (other, b[kept_b]))
        for code in np.setdiff1d(factor.codes, codes)
        if factor.levels[code] != NO_SETTING
    ]
    absent = np.setdiff1d(group, groups)
    lacking += [described(rest, np.flatnonzero(group == each)[0]) for each in absent]
    return Crossing(
        ([one.levels[code] for code in a[kept_a]], [other.levels[code] for code in b[kept_b]]),
        values,
        few(lacking),
    )


def _complete(values: np.ndarray) -> np.ndarray:
    """(S, R): whether a seed has all cells in a combination of the rest."""
    return ~np.isnan(values).any(axis=(2, 3))


def _crossed(one: Factor, other: Factor, group: Sequence[int]) -> np.ndarray:
    """Variants that can be part of a 2 x 2.

    One that has no neighbour along a factor is taken away, until all have one: what is left of
    hand-picked lists of thousands is small, and of one factor at a time it is nothing.

    Args:
        one, other: the factors
        group: (V,), the combination of the rest that each variant has
    """
    rows = np.arange(len(group))
    while True:
        kept = np.ones(len(rows), bool)
        for factor in (one, other):
            line = group[rows] * len(factor.levels) + factor.codes[rows]
            _, place, count = np.unique(line, return_inverse=True, return_counts=True)
            kept &= count[place] > 1
        if kept.all():
            return rows
        rows = rows[kept]


def _without_gaps(there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels of both factors that leave at least one combination of the rest with all cells.

    Args:
        there: (R, A, B)
    """
    rows, columns = np.arange(there.shape[1]), np.arange(there.shape[2])
    while len(rows) > 1 and len(columns) > 1:
        part = there[:, rows][:, :, columns]
        if part.all(axis=(1, 2)).any():
            break
        lack_rows, lack_columns = (~part).mean(axis=(0, 2)), (~part).mean(axis=(0, 1))
        if lack_rows.max() > lack_columns.max() or len(columns) == 2:
            rows = np.delete(rows, lack_rows.argmax())
        else:
            columns = np.delete(columns, lack_columns.argmax())
    return rows, columns
