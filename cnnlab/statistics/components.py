"""Where the spread of runs comes from: variance components of the layout variant x seed.

A run is y = its variant + its seed + a rest, variants fixed, seeds and rest random: what all runs
of a seed share (the same first weights, order and crops) is what pairing takes out. Estimated by
restricted maximum likelihood (Patterson and Thompson 1971, Biometrika 58:545), as R's
`lmer(y ~ variant + (1 | seed))` does; of a whole layout that is the analysis of variance, cut off
at 0 (Searle, Casella and McCulloch 1992, chapter 4). Which draws a seed stands for is asked as in
Bouthillier et al. 2021 (MLSys 3): one at a time, the others held.

Letters: V variants, S seeds, f = runs - variants, r = rank of the seeds within variants.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize

from cnnlab.statistics.matrix import Factor, Matrix, combinations
from cnnlab.statistics.paired import ROUNDING, sd_limits

CUT = "data.split_seed"

COLUMNS = (
    "factor", "level", "held", "metric", "runs", "variants", "seeds",
    "sd", "ci_low", "ci_high", "df",
    "sd_shared", "share", "sd_left", "left_low", "left_high", "df_left",
)  # fmt: skip


@dataclass(frozen=True)
class Components:
    """The parts of a run's variance.

    Attributes:
        shared: of all runs of a seed; NaN where no two variants share two seeds
        left: of a run within its seed, likewise
        run: their sum; of variants without a seed in common the pooled variance
        df: degrees of freedom of `run`, by Satterthwaite (1946, Biometrics 2:110)
        df_left: of `left`
    """

    shared: float
    left: float
    run: float
    df: float
    df_left: float


def components(table: Matrix) -> pd.DataFrame:
    """How far apart runs of one variant are, and how much of that all runs of a seed share.

    Args:
        table: of the runs

    Returns:
        One row for the sweep; where `vary` is a factor, one for each of its levels; where the cut
        is one, one for seeds with the cut held, and one for cuts with the seed held (then what is
        shared is of all runs of a cut). Columns: factor and level that are told of, held, metric,
        runs, variants, seeds (or cuts); sd of a run, pooled over variants, with 95% chi-square
        limits ci_low, ci_high at df degrees of freedom; sd_shared; share (of the variance, that is
        shared); sd_left, its limits and df_left. NaN where there is nothing to estimate it from. No
        row where no variant has two runs; of a sweep without such a factor, where no two variants
        share two seeds.
    """
    by_name = {factor.name: factor for factor in table.factors}
    rows = []
    if "vary" in by_name:
        factor = by_name["vary"]
        for code, level in enumerate(factor.levels):
            rows.append(_row(table, table.values[factor.codes == code], factor="vary", level=level))
    elif CUT in by_name:
        rows.append(_row(table, table.values, factor="seed", held=CUT))
        swapped = _swapped(table, by_name[CUT])
        rows.append(_row(table, swapped, factor=CUT, held="seed"))
    else:
        row = _row(table, table.values, factor="seed")
        rows += [row] if row["df_left"] else []  # else the spread of each variant tells it all
    return pd.DataFrame([row for row in rows if row["df"] > 0], columns=list(COLUMNS))


def _row(
    table: Matrix, values: np.ndarray, *, factor: str, level: object = "", held: str = ""
) -> dict[str, object]:
    found = fitted(values)
    sd, sd_left = np.sqrt(found.run), np.sqrt(found.left)
    low, high = sd_limits(sd, found.df)
    left_low, left_high = sd_limits(sd_left, found.df_left)
    there = ~np.isnan(values)
    named = (factor, level, held, table.metric.name)
    counts = (int(there.sum()), int(there.any(axis=1).sum()), int(there.any(axis=0).sum()))
    share = found.shared / found.run if found.run > 0 else np.nan
    spread = (sd, low, high, found.df, np.sqrt(found.shared), share)
    left = (sd_left, left_low, left_high, found.df_left)
    return dict(zip(COLUMNS, (*named, *counts, *spread, *left), strict=True))


def _swapped(table: Matrix, cut: Factor) -> np.ndarray:
    """(V x S, cuts): a row for each variant without its cut, and seed."""
    rest = combinations([each for each in table.factors if each is not cut], len(table.variants))
    shape = (rest.max() + 1, len(cut.levels), len(table.seeds))
    values = np.full(shape, np.nan)
    values[rest, cut.codes] = table.values
    return values.transpose(0, 2, 1).reshape(-1, shape[1])


def fitted(values: np.ndarray) -> Components:
    """Variance components by restricted maximum likelihood.

    Within variants, the seeds' incidence Z has Z'MZ = C, M the projection that takes each variant's
    mean away; with C's eigenvalues d and eigenvectors u, w = (u'Z'My)^2 / d are independent with
    expectations left + shared d, and the rest of y'My is left with f - r degrees of freedom.

    Args:
        values: (V, S), NaN where there is no run
    """
    there = ~np.isnan(values)
    count = there.sum(axis=1, keepdims=True)
    values, there, count = (each[count[:, 0] > 0] for each in (values, there, count))
    f = int(there.sum()) - len(values)
    if f == 0:
        return Components(*[np.nan] * 3, 0, 0)
    means = np.where(there, values, 0).sum(axis=1, keepdims=True) / count
    centred = np.where(there, values - means, 0)
    total = float((centred**2).sum())
    x = there.astype(float)
    d, u = np.linalg.eigh(np.diag(x.sum(axis=0)) - (x / count).T @ x)
    kept = d > 1e-9 * len(values)  # the others are 0 but for rounding
    d, u = d[kept], u[:, kept]
    free = f - len(d)
    if not free:  # no two variants share two seeds: nothing tells the parts apart
        return Components(np.nan, np.nan, total / f, f, 0)
    w = (u.T @ centred.sum(axis=0)) ** 2 / d
    rest = max(total - float(w.sum()), 0.0)
    if rest <= ROUNDING * total:  # all of it is shared, or there is none
        left, shared = 0.0, float((w / d).mean()) if total > ROUNDING**2 * f else 0.0
    else:
        ratio = _ratio(w, d, rest, f)
        left = (float((w / (1 + ratio * d)).sum()) + rest) / f
        shared = ratio * left
    # Of the pooled variance y'My / f: 2 mean^2 / variance, from the traces of M Cov(y).
    expected = np.append(left + shared * d, np.full(free, left))
    df = float(expected.sum() ** 2 / (expected**2).sum()) if shared + left > 0 else float(f)
    return Components(shared, left, shared + left, df, free if shared > 0 else f)


def _ratio(w: np.ndarray, d: np.ndarray, rest: float, f: int) -> float:
    """shared / left that maximises the restricted likelihood; 0 where no more is shared than chance
    would have it."""

    def deviance(ratio: float) -> float:
        spread = 1 + ratio * d
        return f * np.log((w / spread).sum() + rest) + np.log(spread).sum()

    found = optimize.minimize_scalar(
        lambda log: deviance(np.exp(log)), bounds=np.log([1e-9, 1e13]), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    better = found.fun < deviance(0) - 1e-9  # by more than rounding
    return float(np.exp(found.x)) if better else 0.0
