"""The best of many variants looks better than it is: means shrunk towards the mean of all.

Letters: V variants (rows), S seeds (columns); NaN where a variant has no value with a seed.
"""

import numpy as np

from cnnlab.statistics.additive import seed_means, usable

FEWEST = 4
"""Variants: with three, whose mean has to be estimated too, nothing is to be gained."""


def shrunk(values: np.ndarray) -> np.ndarray:
    """(V,): each variant's mean, as an empirical Bayes estimate has it.

    What all runs of a seed share is taken out by two-way least squares. With y the adjusted means
    and v their error variance, of f degrees of freedom, mean + (1 - B) (y - mean), where
    B = min(1, f / (f + 2) (V - 3) v / sum (y - mean)^2) (Efron and Morris 1973, JASA 68:117,
    positive part; f / (f + 2) since v is estimated).

    Args:
        values: (V, S)

    Returns:
        NaN for variants with fewer than two seeds, and for all where fewer than FEWEST remain
    """
    found = np.full(len(values), np.nan)
    rows = np.flatnonzero(usable(values))
    there = ~np.isnan(values[rows])
    kept, count = values[rows][:, there.any(axis=0)], there.sum(axis=1)
    if len(rows) < FEWEST or count.min() < 2:
        return found
    # Variants and seeds change places: the mean of each variant over all seeds.
    means, shift = seed_means(kept.T), seed_means(kept)
    residual = kept - means[:, None] - (shift - shift.mean())
    freedom = there.sum() - sum(kept.shape) + 1
    if freedom < 1:
        return found
    error = np.nansum(residual**2) / freedom * np.mean(1 / count)
    apart = ((means - means.mean()) ** 2).sum()
    towards = freedom / (freedom + 2) * (len(rows) - 3) * error / apart if apart > 0 else 1
    found[rows] = means.mean() + (1 - min(towards, 1)) * (means - means.mean())
    return found
