"""Whether one factor's effect depends on another: two-way analysis of variance.

Letters: n seeds, A levels of the one factor, B of the other.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from scipy.linalg import helmert

from cnnlab.statistics.crossing import crossing
from cnnlab.statistics.matrix import Matrix
from cnnlab.statistics.paired import ALPHA, ROUNDING, holm
from cnnlab.statistics.verdicts import EQUAL

COLUMNS = (
    "factor", "other", "metric", "n", "levels", "combinations", "F", "df", "df_residual",
    "epsilon", "p", "p_holm", "comparisons", "left_out", "verdict", "why",
)  # fmt: skip

FEW_SEEDS = "fewer than two seeds have all cells: add seeds=5"


def interactions(table: Matrix, *, blocks: str | None = "seed") -> pd.DataFrame:
    """Tests each pair of factors whose levels cross; one family.

    Runs of one seed share the order of the data and their first weights: so both factors are within
    the seed (analysis of variance with repeated measures), and the contrasts that make up the
    interaction are compared with how much they vary between seeds. Where cells vary unequally, as
    one that nearly diverges does, Greenhouse and Geisser's epsilon lowers the degrees of freedom.

    Cells are averaged within a seed over the combinations of the remaining factors in which all of
    them have run (`statistics.crossing`); a pair of factors with no 2 x 2 of cells gets no row.

    Args:
        table: of the runs
        blocks: "seed", or None for a plain two-way analysis of independent runs

    Returns:
        factor, other, metric, n (seeds with all cells), levels (`2 x 3`), combinations (of the
        remaining factors), F, df and df_residual (before epsilon), epsilon, p, p_holm,
        comparisons, left_out (levels and combinations that lack a cell), verdict (interaction,
        no evidence, no verdict), why
    """
    rows = []
    for pair in combinations(table.factors, 2):
        crossed = crossing(table, *pair)
        if crossed is None:
            continue
        cube = crossed.whole
        n, count, a, b = cube.shape
        rows.append(
            {
                "factor": pair[0].name, "other": pair[1].name, "metric": table.metric.name,
                "n": n, "levels": f"{a} x {b}", "combinations": count,
                **anova(cube.mean(axis=1), blocks is not None),
                "left_out": crossed.left_out, "why": FEW_SEEDS if n < 2 else "",
            }
        )  # fmt: skip
    tests = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    p = tests["p"].to_numpy(float)
    tests["p_holm"] = holm(p)
    tests["comparisons"] = int((~np.isnan(p)).sum())
    tests.loc[(tests["why"] == "") & np.isnan(p), "why"] = EQUAL
    real = np.where(tests["p_holm"] < ALPHA, "interaction", "no evidence")
    tests["verdict"] = np.where(np.isnan(p), "no verdict", real)
    return tests[list(COLUMNS)]


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
    mean = contrasts.mean(axis=0)
    residual = contrasts - mean
    spread = residual.T @ residual
    total = np.trace(spread)
    epsilon = total**2 / (len(mean) * (spread**2).sum()) if total > 0 else 1.0
    return n * (mean**2).sum(), total, epsilon
