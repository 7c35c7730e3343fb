"""From matrices of differences to a table with intervals, adjusted p and a verdict for each.

A family is one table: Holm's adjustment is over all of its rows that can be tested.

| verdict | when |
| --- | --- |
| equivalent | p_equivalent < 0.05: the difference is smaller than any that would matter |
| helps, hurts | p_holm < 0.05, and not equivalent |
| no evidence | neither; which is not "no effect" |
| no verdict | nothing can be tested; `why` says what is missing |

A difference can be both significant and equivalent: real, but too small to matter. It is called
equivalent, since `smallest` is by its definition what the reader cares about; difference, interval
and p_holm stand beside it.
"""

import numpy as np
import pandas as pd

from cnnlab.core.metrics import Metric
from cnnlab.statistics.paired import ALPHA, equivalence, holm, paired_t, seeds_needed

LOST = ("lost_failed", "lost_diverged", "lost_pending", "lost_unmeasured")
"""Columns that count pairs of runs of which one or both have no value."""

COLUMNS = (
    "metric", "n_pairs", "combinations", "difference", "sd", "ci_low", "ci_high", "p", "p_holm",
    "p_equivalent", "comparisons", "more_seeds", *LOST, "left_out", "verdict", "why",
)  # fmt: skip
"""What follows the columns that name a comparison."""

ONE_SEED = "one seed: add seeds=5"
EQUAL = "all differences are equal"
NEVER = "never in the sweep with all else equal"
UNFINISHED = "no pair has finished"
NO_COMMON = "no seed has all combinations"


def judged(
    named: pd.DataFrame, differences: np.ndarray, metric: Metric, smallest: float
) -> pd.DataFrame:
    """Tests a family of comparisons.

    Args:
        named: a row a comparison: columns that name it, then combinations (that were averaged over
            within a seed), planned (those of the sweep), LOST, left_out
        differences: (comparisons, seeds), NaN where a pair is missing
        metric: that was compared
        smallest: the smallest difference that would matter, in its unit

    Returns:
        the naming columns, then COLUMNS: n_pairs (seeds), difference (mean over seeds), its sd, 95%
        t interval (of this comparison alone) and two-sided p; p_holm and p_equivalent (TOST), both
        after Holm; comparisons (tested in this family); more_seeds: how many more give 80% power
        to show a true difference of `smallest` at 0.05 / comparisons, if sd stays as it is; NaN
        where n_pairs < 2 or sd = 0
    """
    named = named.reset_index(drop=True)
    tests = paired_t(differences.T)
    table = pd.concat([named, tests], axis=1).assign(metric=metric.name)
    table["p_holm"] = holm(tests["p"].to_numpy())
    table["p_equivalent"] = holm(equivalence(tests, smallest))
    comparisons = int(tests["p"].notna().sum())
    table["comparisons"] = comparisons
    needed = seeds_needed(tests["sd"].to_numpy(), smallest, ALPHA / max(comparisons, 1))
    table["more_seeds"] = np.maximum(needed - tests["n_pairs"], 0)
    table["why"] = _why(table)
    table["verdict"] = _verdict(table, metric)
    names = [name for name in named.columns if name not in (*COLUMNS, "planned")]
    return table[[*names, *COLUMNS]]


def _why(table: pd.DataFrame) -> np.ndarray:
    cases = {
        NEVER: table["planned"] == 0,
        UNFINISHED: table["combinations"] == 0,
        NO_COMMON: table["n_pairs"] == 0,
        ONE_SEED: table["n_pairs"] == 1,
        EQUAL: table["sd"] == 0,
    }
    return np.select(list(cases.values()), list(cases), "").astype(object)


def _verdict(table: pd.DataFrame, metric: Metric) -> np.ndarray:
    better = (table["difference"] > 0) ^ metric.less_is_better
    real = table["p_holm"] < ALPHA
    cases = {
        "no verdict": table["why"] != "",
        "equivalent": table["p_equivalent"] < ALPHA,
        "helps": real & better,
        "hurts": real & ~better,
    }
    return np.select(list(cases.values()), list(cases), "no evidence").astype(object)
