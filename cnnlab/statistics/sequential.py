"""What it costs to add seeds after looking: how often a sweep without any effect is given one.

Student's test and Holm's correction are for a number of seeds that was fixed before. Whoever looks
after n1 seeds, adds some where nothing has shown yet, and looks again after n2, has two chances of
a false verdict (Armitage, McPherson and Rowe 1969, J R Stat Soc A 132:235).

Letters: R simulated sweeps, m comparisons with one baseline, n seeds.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from cnnlab.core.formats import count
from cnnlab.statistics.effects import AVERAGE
from cnnlab.statistics.paired import ALPHA

MOST_COMPARISONS = 50
"""More count as so many, to save time: with looks after 3, 5 and 10 seeds the error is 0.117 for 6
comparisons, 0.121 for 25, 0.123 for 50 and 0.118 for 200."""

SWEEPS, FEWEST = 20_000, 1_000
"""So many are simulated, and at least so many where there are many comparisons and looks."""

LISTED = 20
"""As many fresh seeds are listed one by one."""

DRAWS = 4e6
"""Sweeps times comparisons times looks: 0.3 s."""


def false_verdicts(looks: Sequence[int], comparisons: int, *, alpha: float = ALPHA) -> float:
    """Chance of a false "helps" or "hurts" in a family, at one look at least.

    Nothing has an effect, all runs have normal noise of one size, and all comparisons are with one
    baseline (their differences have a correlation of 1/2). Holm then calls something at a look if
    the smallest p is below alpha / m. Simulated, always with the same draws: an error of 0.1 is
    known to 0.002 (one standard deviation; to 0.01 where sweeps are few).

    Args:
        looks: seeds after which a report was read, rising; a look at fewer than 2 shows no p
        comparisons: of the family
        alpha: of the family
    """
    kept = tuple(sorted({n for n in looks if n > 1}))
    return _simulated(kept, min(comparisons, MOST_COMPARISONS), alpha)


@cache
def _simulated(looks: tuple[int, ...], m: int, alpha: float) -> float:
    """Draws what the looks depend on, and no single seed: sums over the seeds between two looks.

    Of k seeds the mean of a comparison is (e_j - e_0) / sqrt(k). Its sum of squares about that mean
    has k - 1 degrees; with c the squared length of the baseline's noise in them it is
    (sqrt(c) - g_j)^2 + chi2(k - 2), for what counts of a variant's noise is its part along the
    baseline's, g_j, and the rest.
    """
    if not looks or not m:
        return 0.0
    size = int(np.clip(DRAWS / (m * len(looks)), FEWEST, SWEEPS))
    random = np.random.default_rng(0)
    mean, square = np.zeros((size, m)), np.zeros((size, m))
    false = np.zeros(size, bool)
    before = 0
    for n in looks:
        k = n - before
        fresh = random.standard_normal((size, m)) - random.standard_normal((size, 1))
        shift = fresh / np.sqrt(k) - mean
        mean += shift * k / n
        square += shift**2 * before * k / n
        if k > 1:
            along = np.sqrt(random.chisquare(k - 1, (size, 1)))
            square += (along - random.standard_normal((size, m))) ** 2
        if k > 2:
            square += random.chisquare(k - 2, (size, m))
        t = np.abs(mean) * np.sqrt(n * (n - 1) / square)
        false |= (t > stats.t.isf(alpha / m / 2, n - 1)).any(axis=1)
        before = n
    return float(false.mean())


def warnings(
    looks: Sequence[Sequence[int]], effects: pd.DataFrame, seeds: Sequence[int]
) -> list[str]:
    """What a report says first of a sweep whose seeds were chosen after a report of it.

    Only looks at fewer seeds than there are now count: a look at the same ones was this one. Levels
    that were added after a look are none: each comparison is tested once, and Holm's correction is
    for all of them.

    Args:
        looks: the seeds that reports had shown whenever others were asked for, as in
            `cnnlab.records.reading.sweeps.Sweep`
        effects: of `cnnlab.statistics.effects.effects`
        seeds: of the sweep

    Returns:
        one text, or none
    """
    tested = effects[(effects["kind"] == AVERAGE) & effects["p"].notna()]
    now = int(tested["n_pairs"].max()) if len(tested) else 0
    sizes = sorted({len(shown) for shown in looks if 1 < len(shown) < now})
    if not sizes:
        return []
    usual = round(100 * ALPHA)
    false = max(round(100 * false_verdicts([*sizes, now], len(tested))), usual)
    steps = ", then ".join(map(str, [*sizes, now]))
    compared = count(len(tested), "comparison")
    grown = f", not in {usual}" if false > usual else ""
    fresh = [int(max(seeds)) + 1 + k for k in range(now)]
    listed = f"seeds=[{','.join(map(str, fresh))}]" if now <= LISTED else f"{now} other seeds"
    return [
        f"Seeds were added after a report of such runs ({steps}): p-values are too small. With "
        f"{compared} looked at like that, a false verdict comes in {false} of 100 sweeps in which "
        f"nothing has an effect{grown}. A new sweep of fresh seeds decides: "
        f"name=... {listed}."
    ]
