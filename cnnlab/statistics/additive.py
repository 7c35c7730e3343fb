"""Seeds with missing pairs: two-way least squares on seed and combination.

Letters: P combinations (rows), S seeds (columns); NaN where a combination has no value with a seed.

A difference is modelled as that of its combination plus what its seed adds to all of them. So a
seed that lacks a pair is still compared with the others: by the pairs that it has.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

ENOUGH = 2
"""Seeds that a combination needs: with one, nothing tells its own value from its seed's."""


def usable(values: np.ndarray) -> np.ndarray:
    """(P,): the combinations that an average can hold.

    Those with ENOUGH seeds (or with one, where none has more) that are compared with one another,
    directly or through others. Where they fall apart into groups that share no seed, the group
    with the most pairs.
    """
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    kept = count >= max(min(ENOUGH, count.max(initial=0)), 1)
    if (there[kept] == there[kept][:1]).all():
        return kept  # as nearly always: then they share all of their seeds
    size = len(values)
    combination, seed = np.nonzero(there & kept[:, None])
    graph = csr_array(
        (np.ones(len(seed)), (combination, size + seed)), shape=(size + there.shape[1],) * 2
    )
    part = connected_components(graph, directed=False)[1][:size]
    pairs = np.bincount(part, np.where(kept, count, 0))
    return kept & (part == pairs.argmax())


def seed_means(values: np.ndarray) -> np.ndarray:
    """(S,): each seed's mean over all combinations; NaN for a seed that has none of them.

    Least squares of `value ~ combination + seed`, in which the mean over seeds is what R's
    `lm(value ~ combination + seed)` with sum-to-zero contrasts calls the intercept. With nothing
    missing, these are the plain means.

    Args:
        values: (P, S), rows that are `usable`
    """
    if not len(values):
        return np.full(values.shape[1], np.nan)
    there = ~np.isnan(values)
    if there.all():
        return values.mean(axis=0)
    weights = there.astype(float)
    count, of_seed = weights.sum(axis=1), weights.sum(axis=0)
    own = np.where(there, values, 0).sum(axis=1) / count
    # The normal equations of the seeds, once those of the combinations are solved.
    left = np.diag(of_seed) - weights.T @ (weights / count[:, None])
    right = np.where(there, values - own[:, None], 0).sum(axis=0)
    shift = np.linalg.pinv(left, hermitian=True) @ right  # of all, the one whose mean is 0
    means = (own - weights @ shift / count).mean() + shift
    return np.where(of_seed > 0, means, np.nan)
