"""Whether one factor's effect depends on another: two-way analysis of variance.

Letters: n seeds, A levels of the one factor, B of the other.
"""

from collections.abc import Mapping
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.linalg import helmert

from cnnlab.statistics.crossing import crossing
from cnnlab.statistics.matrix import Matrix, baseline_levels, level_text
from cnnlab.statistics.paired import ALPHA, ROUNDING, holm
from cnnlab.statistics.verdicts import EQUAL

COLUMNS = (
    "factor", "other", "metric", "n", "levels", "combinations", "F", "df", "df_residual",
    "epsilon", "p", "p_holm", "comparisons", "power", "factor_level", "other_level", "left_out",
    "verdict", "why",
)  # fmt: skip

FEW_SEEDS = "fewer than two seeds have all cells: add seeds=5"


OFF = 3.0
"""Standard deviations of a cell within a seed: so far off is the one that `power` is told for."""

MOST_SEEDS = 10
"""Seeds for which the power is simulated; with more it is seldom what is lacking."""

DRAWS, NUMBERS = 1000, 5e6
"""Sweeps that are simulated for one power, whose Monte-Carlo error then is at most 0.016; and the
most numbers in them: of very many levels, fewer sweeps, though at least 100."""


def interactions(
    table: Matrix,
    *,
    baseline: Mapping[str, Any] | None = None,
    blocks: str | None = "seed",
) -> pd.DataFrame:
    """Tests each pair of factors whose levels cross; one family.

    Runs of one seed share the order of the data and their first weights: so both factors are within
    the seed (analysis of variance with repeated measures), and the contrasts that make up the
    interaction are compared with how much they vary between seeds. Where cells vary unequally, as
    one that nearly diverges does, Greenhouse and Geisser's epsilon lowers the degrees of freedom.

    Cells are averaged within a seed over the combinations of the remaining factors in which all of
    them have run (`statistics.crossing`); a pair of factors with no 2 x 2 of cells gets no row.

    Args:
        table: of the runs
        baseline: as in `cnnlab.statistics.effects.effects`
        blocks: "seed", or None for a plain two-way analysis of independent runs

    Returns:
        factor, other, metric, n (seeds with all cells), levels (`2 x 3`), combinations (of the
        remaining factors), F, df and df_residual (before epsilon), epsilon, p, p_holm,
        comparisons, power (chance that this test finds one cell which is off by OFF standard
        deviations of a cell within a seed; NaN for more than MOST_SEEDS seeds, and without
        blocks), factor_level and other_level (the level of each whose effect, against the baseline
        level, depends most certainly on the other factor), left_out (levels and combinations that
        lack a cell), verdict (interaction, no evidence, no verdict), why
    """
    base = baseline_levels(table.factors, baseline)
    rows = []
    for pair in combinations(table.factors, 2):
        crossed = crossing(table, *pair)
        if crossed is None:
            continue
        cube, names = crossed.whole, [factor.name for factor in pair]
        n, a, b = cube.shape
        typed = [level_text(factor.levels[base[factor.name]]) for factor in pair]
        rows.append(
            {
                "factor": names[0], "other": names[1], "metric": table.metric.name,
                "n": n, "levels": f"{a} x {b}", "combinations": crossed.values.shape[1],
                **anova(cube, blocks is not None),
                "factor_level": _strongest(cube, crossed.levels[0], typed[0]),
                "other_level": _strongest(cube.swapaxes(1, 2), crossed.levels[1], typed[1]),
                "left_out": crossed.left_out, "why": FEW_SEEDS if n < 2 else "",
            }
        )  # fmt: skip
    tests = pd.DataFrame(rows, columns=list(COLUMNS))
    tests.loc[(tests["why"] == "") & tests["p"].isna(), "why"] = EQUAL
    p = tests["p"].to_numpy(float)
    found = decided(tests, holm(p), int((~np.isnan(p)).sum()))
    return found if blocks is not None else found.assign(power=np.nan)


def decided(tests: pd.DataFrame, p_holm: np.ndarray, comparisons: int) -> pd.DataFrame:
    """Tests with the verdicts of a family.

    Args:
        tests: of `interactions`; what another family decided is replaced
        p_holm: of each, adjusted for the family
        comparisons: tests in the family
    """
    alpha = ALPHA / max(comparisons, 1)
    sizes = zip(tests["n"], tests["levels"].str.split(" x "), strict=True)
    chances = [power(n, *map(int, shape), alpha) for n, shape in sizes]
    tests = tests.assign(p_holm=p_holm, comparisons=comparisons, power=chances)
    real = np.where(tests["p_holm"] < ALPHA, "interaction", "no evidence")
    verdict = np.where(tests["p"].isna(), "no verdict", real)
    return tests.assign(verdict=verdict)[list(COLUMNS)]


def _strongest(cube: np.ndarray, levels: list[Any], base: str) -> str:
    """The level whose difference from the baseline level varies most certainly along the other
    factor.

    Args:
        cube: (n, A, B)
        levels: A
        base: the text of the baseline level; the first one, where this is not among them
    """
    texts = [level_text(level) for level in levels]
    place = texts.index(base) if base in texts else 0
    others = [k for k in range(len(texts)) if k != place]
    p = [anova(cube[:, [place, k]], True)["p"] for k in others]
    return texts[others[int(np.argmin(np.nan_to_num(p, nan=2)))]]


@cache
def power(n: int, a: int, b: int, alpha: float) -> float:
    """The chance that the test within seeds finds one cell that is off by OFF standard deviations.

    Simulated with normal cells of equal variance: Greenhouse and Geisser's epsilon, estimated from
    few seeds, costs more than any formula says.

    Args:
        n: seeds
        a, b: levels
        alpha: of the test

    Returns:
        NaN for fewer than two seeds, or more than MOST_SEEDS
    """
    if not 2 <= n <= MOST_SEEDS:
        return np.nan
    shift = OFF * np.kron(helmert(a), helmert(b))[:, -1]
    df = len(shift)
    draws = int(np.clip(NUMBERS / (n * df), 100, DRAWS))
    contrasts = np.random.default_rng(0).normal(size=(draws, n, df)) + shift
    effect, error, epsilon = _repeated(contrasts)
    p = stats.f.sf(effect / (error / (n - 1)), epsilon * df, epsilon * df * (n - 1))
    return float((p < alpha).mean())


def anova(cube: np.ndarray, blocked: bool) -> dict[str, float]:
    """F test of the interaction in a balanced two-way layout.

    Args:
        cube: (n, A, B), one value a cell and seed
        blocked: whether each of the n has all cells; else all values are independent

    Returns:
        F, df, df_residual, epsilon, p; F, epsilon and p are NaN for n < 2 or without any residual
    """
    n, a, b = cube.shape
    df = (a - 1) * (b - 1)
    df_residual = max(df * (n - 1) if blocked else a * b * (n - 1), 0)
    result = {"F": np.nan, "df": df, "df_residual": df_residual, "epsilon": np.nan, "p": np.nan}
    if n < 2:
        return result
    effect, error, epsilon = (_within if blocked else _between)(cube)
    if error < ROUNDING**2:
        return result
    f = effect / df / (error / df_residual)
    p = stats.f.sf(f, epsilon * df, epsilon * df_residual)
    return {**result, "F": f, "epsilon": epsilon, "p": p}


def _between(cube: np.ndarray) -> tuple[float, float, float]:
    """Sums of squares of the interaction and of the error, all values being independent.

    Formulas: Montgomery, Design and Analysis of Experiments, 8th ed., section 5.3.2.
    """
    mean = cube.mean(axis=0)
    crossed = mean - mean.mean(axis=0) - mean.mean(axis=1, keepdims=True) + mean.mean()
    return len(cube) * (crossed**2).sum(), ((cube - mean) ** 2).sum(), 1.0


def _within(cube: np.ndarray) -> tuple[float, float, float]:
    """The same of the interaction's orthonormal contrasts in each seed, and epsilon.

    Formulas: Greenhouse and Geisser 1959, Psychometrika 24:95, with their epsilon
    tr(S)^2 / (df tr(S^2)) of the contrasts' covariance S; 1 where all vary equally.
    """
    n, a, b = cube.shape
    contrasts = np.einsum("nab,ia,jb->nij", cube, helmert(a), helmert(b)).reshape(n, -1)
    effect, error, epsilon = _repeated(contrasts)
    return float(effect), float(error), float(epsilon)


def _repeated(contrasts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same from (..., n, df) contrasts, of many tables at once."""
    n, df = contrasts.shape[-2:]
    mean = contrasts.mean(axis=-2)
    residual = contrasts - mean[..., None, :]
    # As large as the seeds, not as the contrasts; trace and sum of squares are those of S.
    spread = residual @ residual.swapaxes(-1, -2)
    total = np.trace(spread, axis1=-2, axis2=-1)
    square = (spread**2).sum(axis=(-2, -1))
    epsilon = np.divide(total**2, df * square, out=np.ones_like(total), where=total > 0)
    return n * (mean**2).sum(axis=-1), total, epsilon
