"""Paired comparisons, many at once: t tests, equivalence, Holm, power.

The unit is the seed. Runs of one seed share the order of the data and their first weights, so a
comparison is a column of differences, one a seed, and not two columns of runs.

Letters: n seeds (rows), m comparisons (columns); NaN where a pair is missing.
"""

import numpy as np
import pandas as pd
from scipy import stats

ALPHA = 0.05
"""Of every test, and of a whole family of them after Holm's adjustment."""

LEVEL = 0.95
"""Of every interval."""

POWER = 0.8
"""At which a number of seeds is said to be enough (Cohen 1988, section 2.4)."""

ROUNDING = 1e-12
"""Differences that spread less than this are equal: accuracies and losses are of the order of 1."""

EXACT = 2000
"""Above so many seeds Guenther's approximation is exact to less than one."""


def paired_t(differences: np.ndarray, level: float = LEVEL) -> pd.DataFrame:
    """Student's paired t test of each column (Student 1908, Biometrika 6:1).

    Args:
        differences: (n, m), NaN where a seed has no pair
        level: of the interval

    Returns:
        a row a column of `differences`: n_pairs, difference (mean), sd (n - 1), ci_low, ci_high
        (mean -+ t(n - 1) sd / sqrt(n)), p (two-sided). sd and what follows from it are NaN for
        fewer than two pairs; where all differences are equal, sd is 0 and the rest is NaN, because
        equal numbers tell nothing of chance.
    """
    there = ~np.isnan(differences)
    count = there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there, differences, 0).sum(axis=0) / count
        square = np.where(there, differences - mean, 0) ** 2
        sd = np.sqrt(square.sum(axis=0) / (count - 1))
        sd = np.where(count < 2, np.nan, np.where(sd < ROUNDING, 0, sd))
        error = np.where(sd > 0, sd, np.nan) / np.sqrt(count)
        half = t_half(sd, count, level)
        p = 2 * stats.t.sf(np.abs(mean) / error, np.maximum(count - 1, 1))
    return pd.DataFrame(
        {
            "n_pairs": count, "difference": mean, "sd": sd,
            "ci_low": mean - half, "ci_high": mean + half, "p": p,
        }
    )  # fmt: skip


def t_half(sd: np.ndarray, count: np.ndarray, level: float) -> np.ndarray:
    """Half of Student's interval of a mean: t((1 + level) / 2, n - 1) sd / sqrt(n).

    Args:
        sd: of single differences; where it is 0 or NaN, the half is NaN
        count: n
        level: of the interval
    """
    error = np.where(sd > 0, sd, np.nan) / np.sqrt(np.maximum(count, 1))
    return stats.t.ppf((1 + level) / 2, np.maximum(count - 1, 1)) * error


def sd_limits(
    sd: np.ndarray | float, df: np.ndarray | float, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a standard deviation: sd sqrt(df / chi2(df)) at both quantiles
    (Snedecor and Cochran 1989, Statistical Methods, 8th ed., section 5.11).

    Args:
        sd: standard deviations, (m,) or one
        df: their degrees of freedom: n - 1 of n values
        level: of the interval

    Returns:
        low and high, of the same shape; NaN where there is no spread, or no degree of freedom
    """
    known = np.where((np.asarray(sd) > 0) & (np.asarray(df) > 0), sd, np.nan)
    tails = (stats.chi2.ppf(tail, df) for tail in ((1 + level) / 2, (1 - level) / 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = (known * np.sqrt(df / tail) for tail in tails)
    return low, high


def equivalence(table: pd.DataFrame, smallest: float) -> np.ndarray:
    """p of two one-sided t tests against -smallest and +smallest (Schuirmann 1987, J Pharmacokinet
    Biopharm 15:657; paired: Lakens 2017, Soc Psychol Personal Sci 8:355).

    Args:
        table: of `paired_t`: n_pairs, difference, sd
        smallest: the smallest difference that would matter, in the unit of the differences

    Returns:
        the larger of the two p; NaN where sd is 0 or NaN
    """
    count, sd = table["n_pairs"].to_numpy(), table["sd"].to_numpy()
    error = np.where(sd > 0, sd, np.nan) / np.sqrt(np.maximum(count, 1))
    nearer = (smallest - np.abs(table["difference"].to_numpy())) / error
    return stats.t.sf(nearer, np.maximum(count - 1, 1))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment for all comparisons of a family (Holm 1979, Scand J Stat 6:65).

    The k-th smallest of m becomes the largest of (m - i + 1) p(i) over i <= k, at most 1.

    Args:
        p: of the family; NaN is no test and does not count, as in R's p.adjust
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps * p[order]), 1)
    return adjusted


def power(count: np.ndarray, ratio: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Chance that a two-sided paired t test finds a true difference (Cohen 1988, section 2.3).

    P(|T| > t(1 - alpha / 2, n - 1)), T noncentral t with n - 1 degrees and ratio sqrt(n).

    Args:
        count: pairs, at least 2
        ratio: true difference over the standard deviation of the differences, above 0
        alpha: of the test
    """
    df, centre = count - 1, ratio * np.sqrt(count)
    critical = stats.t.isf(alpha / 2, df)
    wrong_sign = stats.nct.cdf(-critical, df, centre)  # NaN for some of those below 1e-16
    return stats.nct.sf(critical, df, centre) + np.nan_to_num(wrong_sign)


def seeds_needed(
    sd: np.ndarray, smallest: float, alpha: float | np.ndarray, wanted: float = POWER
) -> np.ndarray:
    """The fewest pairs with which a paired t test finds a difference of `smallest`.

    Bisects `power`, from an upper bound by Guenther 1981 (Am Stat 35:243):
    n = (z(1 - alpha / 2) + z(power))^2 / ratio^2 + z(1 - alpha / 2)^2 / 2.

    Args:
        sd: of the differences, (m,); NaN or 0 gives NaN
        smallest: the true difference, above 0
        alpha: of the test
        wanted: power

    Returns:
        whole numbers of at least 2, or NaN
    """
    sd, alpha = np.broadcast_arrays(np.asarray(sd, float), alpha)
    needed = np.full(sd.shape, np.nan)
    known = (sd > 0) & (smallest > 0)
    if not known.any():
        return needed
    ratio, alpha = smallest / sd[known], alpha[known]
    z = stats.norm.isf(alpha / 2)
    guess = np.ceil(((z + stats.norm.ppf(wanted)) / ratio) ** 2 + z**2 / 2)
    exact = guess < EXACT
    guess[exact] = _bisected(guess[exact], ratio[exact], alpha[exact], wanted)
    needed[known] = guess
    return needed


def _bisected(guess: np.ndarray, ratio: np.ndarray, alpha: np.ndarray, wanted: float) -> np.ndarray:
    low, high = np.ones_like(guess), 2 * guess + 10  # low: not enough; high: enough
    while (open_ := high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = np.ones(len(guess), bool)
        enough[open_] = power(middle[open_], ratio[open_], alpha[open_]) >= wanted
        high = np.where(open_ & enough, middle, high)
        low = np.where(open_ & ~enough, middle, low)
    return high
