"""Whether one factor's effect depends on another: two-way analysis of variance.

Letters: n seeds, A levels of the one factor, B of the other, R combinations of all the rest.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from scipy.linalg import helmert

from cnnlab.statistics import matrix as cells
from cnnlab.statistics.matrix import Factor, Matrix
from cnnlab.statistics.paired import ALPHA, ROUNDING, holm
from cnnlab.statistics.verdicts import EQUAL

COLUMNS = (
    "factor", "other", "metric", "n", "levels", "combinations", "F", "df", "df_residual",
    "epsilon", "p", "p_holm", "comparisons", "left_out", "verdict", "why",
)  # fmt: skip

FEW_SEEDS = "fewer than two seeds have all cells: add seeds=5"


def interactions(
    runs: pd.DataFrame, factors: Sequence[str], metric: str, *, blocks: str | None = "seed"
) -> pd.DataFrame:
    """Tests each pair of factors whose levels cross; one family.

    Runs of one seed share the order of the data and their first weights: so both factors are within
    the seed (analysis of variance with repeated measures), and the contrasts that make up the
    interaction are compared with how much they vary between seeds. Where cells vary unequally, as
    one that nearly diverges does, Greenhouse and Geisser's epsilon lowers the degrees of freedom.

    Cells are averaged within a seed over the combinations of the
    remaining factors in which all of them have run. If no combination has them all, the levels that
    lack most are left out until one does; a pair of factors with no 2 x 2 of cells gets no row.

    Args:
        runs: as in `cnnlab.records.reading.sweeps.Sweep`
        factors: its columns that tell variants apart
        metric: the column that is compared
        blocks: "seed", or None for a plain two-way analysis of independent runs

    Returns:
        factor, other, metric, n (seeds with all cells), levels (`2 x 3`), combinations (of the
        remaining factors), F, df and df_residual (before epsilon), epsilon, p, p_holm,
        comparisons, left_out (levels and combinations that lack a cell), verdict (interaction,
        no evidence, no verdict), why
    """
    table = cells.matrix(runs, factors, metric)
    rows = []
    for pair in combinations(table.factors, 2):
        cube, left_out = _complete(table, *pair)
        if cube is None:
            continue
        n, count, a, b = cube.shape
        rows.append(
            {
                "factor": pair[0].name, "other": pair[1].name, "metric": metric,
                "n": n, "levels": f"{a} x {b}", "combinations": count,
                **anova(cube.mean(axis=1), blocks is not None),
                "left_out": left_out, "why": FEW_SEEDS if n < 2 else "",
            }
        )  # fmt: skip
    found = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    p = found["p"].to_numpy(float)
    found["p_holm"] = holm(p)
    found["comparisons"] = int((~np.isnan(p)).sum())
    found.loc[(found["why"] == "") & np.isnan(p), "why"] = EQUAL
    real = np.where(found["p_holm"] < ALPHA, "interaction", "no evidence")
    found["verdict"] = np.where(np.isnan(p), "no verdict", real)
    return found[list(COLUMNS)]


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
    found = {"F": np.nan, "df": df, "df_residual": df_residual, "epsilon": np.nan, "p": np.nan}
    if n < 2:
        return found
    effect, error, epsilon = (_within if blocked else _between)(cube)
    if error < ROUNDING**2:
        return found
    f = effect / df / (error / df_residual)
    p = stats.f.sf(f, epsilon * df, epsilon * df_residual)
    return {**found, "F": f, "epsilon": epsilon, "p": p}


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


def _complete(table: Matrix, one: Factor, other: Factor) -> tuple[np.ndarray | None, str]:
    """The cells of two factors as a whole (n, R, A, B), or None, and what was left out."""
    rest = [each for each in table.factors if each is not one and each is not other]
    rows, group = _crossed(table, one, other, rest)
    if not len(rows):
        return None, ""
    first = np.unique(group, return_index=True)[1]  # a row for each combination of the rest
    a, codes_a = np.unique(one.codes[rows], return_inverse=True)
    b, codes_b = np.unique(other.codes[rows], return_inverse=True)
    place = np.full((len(first), len(a), len(b)), -1)
    place[group, codes_a, codes_b] = rows
    enough = min(2, len(table.seeds))
    there = np.append((~np.isnan(table.values)).sum(axis=1) >= enough, False)[place]
    rows_kept, columns_kept = _without_gaps(there)
    if len(rows_kept) < 2 or len(columns_kept) < 2:
        return None, ""
    there = there[:, rows_kept][:, :, columns_kept]
    whole = there.all(axis=(1, 2))
    place = place[whole][:, rows_kept][:, :, columns_kept]
    cube = np.moveaxis(table.values[place], -1, 0)
    cube = cube[~np.isnan(cube).any(axis=(1, 2, 3))]
    gone = [
        f"{factor.name}={cells.shown(factor.levels[codes[k]])}"
        for factor, codes, kept in ((one, a, rows_kept), (other, b, columns_kept))
        for k in np.setdiff1d(np.arange(len(codes)), kept)
    ]
    gone += [cells.described(rest, rows[first[k]]) for k in np.flatnonzero(~whole)]
    return cube, "; ".join(gone[:3]) + (f" and {len(gone) - 3} more" if gone[3:] else "")


def _crossed(
    table: Matrix, one: Factor, other: Factor, rest: Sequence[Factor]
) -> tuple[np.ndarray, np.ndarray]:
    """Variants that can be part of a 2 x 2, and which combination of the rest each has.

    One that has no neighbour along a factor is taken away, until all have one: what is left of
    hand-picked lists of thousands is small, and of one factor at a time it is nothing.
    """
    group = cells.combinations(rest, len(table.variants))
    rows = np.arange(len(group))
    while True:
        kept = np.ones(len(rows), bool)
        for factor in (one, other):
            line = group[rows] * len(factor.levels) + factor.codes[rows]
            _, place, count = np.unique(line, return_inverse=True, return_counts=True)
            kept &= count[place] > 1
        if kept.all():
            return rows, np.unique(group[rows], return_inverse=True)[1]
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
