"""The combination that makes an average uncertain.

Its differences vary far more than those of the others, as where a level nearly diverges.

Letters: P combinations (rows), S seeds (columns); NaN where a combination has no value with a seed.
"""

import numpy as np
from scipy import stats

from cnnlab.statistics.additive import seed_means, usable

ALPHA = 0.01
"""Of Cochran's test. The effect without a combination is shown, not tested, so that a false alarm
costs a row."""

FEWEST = 3
"""Combinations, and seeds of each: with two of either, no variance is an outlier."""


def driver(values: np.ndarray) -> int | None:
    """The place of the combination without which the average varies by less than half.

    Its variance is too large to be chance beside the others' (Cochran 1941, Ann Eugen 11:47; the
    limit: 't Lam 2010, Chemom Intell Lab Syst 101:68, with the fewest seeds of any).

    Args:
        values: (P, S)

    Returns:
        None where there is no such combination
    """
    rows = np.flatnonzero(usable(values))
    values = values[rows]
    count = (~np.isnan(values)).sum(axis=1)
    if len(rows) < FEWEST or count.min() < FEWEST:
        return None
    variance = np.nanvar(values, axis=1, ddof=1)
    place = int(variance.argmax())
    share = variance[place] / variance.sum() if variance[place] > 0 else 0
    if share <= cochran_limit(len(rows), int(count.min())):
        return None
    rest = np.delete(values, place, axis=0)
    rest = rest[usable(rest)]
    if np.nanstd(seed_means(rest), ddof=1) > np.nanstd(seed_means(values), ddof=1) / 2:
        return None
    return int(rows[place])


def cochran_limit(groups: int, size: int, alpha: float = ALPHA) -> float:
    """The share of all variances that the largest has by chance, with a probability of alpha.

    1 / (1 + (L - 1) / F), F the quantile 1 - alpha / L of an F(n - 1, (L - 1) (n - 1)).

    Args:
        groups: L
        size: n, values in each
        alpha: of the test
    """
    f = stats.f.isf(alpha / groups, size - 1, (groups - 1) * (size - 1))
    return 1 / (1 + (groups - 1) / f)
