"""From matrices of differences to a table with intervals, adjusted p and a verdict for each.

A family is what Holm's adjustment is over: all rows of one table that can be tested, or those of
all tables of a report.

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

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cnnlab.core.metrics import Metric
from cnnlab.statistics.paired import (
    ALPHA,
    ROUNDING,
    equivalence,
    holm,
    paired_t,
    sd_limits,
    seeds_needed,
    t_half,
)  # fmt: skip

LOST = ("lost_failed", "lost_diverged", "lost_pending", "lost_unmeasured")
"""Columns that count pairs of runs of which one or both have no value."""

COLUMNS = (
    "metric", "n_pairs", "agree", "combinations", "difference", "sd", "ci_low", "ci_high",
    "all_low", "all_high", "p", "p_holm", "p_equivalent", "comparisons", "more_seeds",
    "more_seeds_low", "more_seeds_high", *LOST, "left_out", "verdict", "why",
)  # fmt: skip
"""What follows the columns that name a comparison."""

ONE_SEED = "one seed: add seeds=5"
FAILED = "one seed left: retry=failed trains the failed runs again"
UNTRAINED = "one seed so far: the sweep's command trains the rest"
DIVERGED = "one seed left: the others diverged"
UNMEASURED = "one seed left: the others have no such metric"
EQUAL = "all differences are equal"
NEVER = "never in the sweep with all else equal"
UNFINISHED = "no pair has finished"
AFTERWARDS = "chosen after looking: no test"


def judged(
    named: pd.DataFrame, differences: np.ndarray, metric: Metric, smallest: float
) -> pd.DataFrame:
    """Tests comparisons, and decides them as a family of their own: `tested`, then `decided`."""
    return decided([tested(named, differences, metric)], metric, smallest)[0]


def tested(named: pd.DataFrame, differences: np.ndarray, metric: Metric) -> pd.DataFrame:
    """Tests each comparison by itself.

    Args:
        named: a row a comparison: columns that name it, then combinations (that were averaged over
            within a seed), planned (those of the sweep), LOST, left_out
        differences: (comparisons, seeds), NaN where a pair is missing
        metric: that was compared

    Returns:
        the naming columns, then COLUMNS: n_pairs (seeds), agree (seeds whose difference has
        the sign of their mean), difference (mean over seeds), its sd, 95% t interval (of this
        comparison alone, cut at the largest difference that the metric's limits allow) and
        two-sided p; all that a family decides is NaN, and no row has a verdict
    """
    named = named.reset_index(drop=True)
    table = pd.concat([named, paired_t(differences.T)], axis=1).assign(metric=metric.name)
    signs = np.sign(np.where(np.abs(differences) < ROUNDING, 0, differences))
    same = (signs == np.sign(table[["difference"]].to_numpy())) & (signs != 0)
    table["agree"] = same.sum(axis=1)
    most = metric.limits[1] - metric.limits[0]
    for end in ("ci_low", "ci_high"):
        table[end] = table[end].clip(-most, most)
    table["why"] = _why(table)
    table = table.assign(**dict.fromkeys(_OF_A_FAMILY, np.nan), comparisons=0, verdict="no verdict")
    names = [name for name in named.columns if name not in (*COLUMNS, "planned")]
    return table[[*names, *COLUMNS]]


_TESTS = ("n_pairs", "difference", "sd", "p", "why")
"""Columns that a family is decided by."""

_OF_A_FAMILY = (
    "all_low", "all_high", "p_holm", "p_equivalent",
    "more_seeds", "more_seeds_low", "more_seeds_high",
)  # fmt: skip


def decided(
    tables: Sequence[pd.DataFrame],
    metric: Metric,
    smallest: float,
    further: Sequence[np.ndarray] = (),
) -> list[pd.DataFrame]:
    """Decides the comparisons of some tables as one family.

    Args:
        tables: of `tested`; whatever another family decided in them is replaced
        metric: that was compared
        smallest: the smallest difference that would matter, in its unit
        further: p of other tests of this family

    Returns:
        the tables, with p_holm and p_equivalent (TOST), both after Holm; comparisons (tested in
        this family); all_low and all_high: the interval that holds the truth together with those
        of the whole family (Dunn 1961, JASA 56:52), cut at 0 where Holm finds a difference that
        Bonferroni's adjustment does not; more_seeds: how many more give 80% power to show a true
        difference of `smallest` at 0.05 / comparisons, and its limits if the true sd is at the 95%
        limits of this one; NaN where n_pairs < 2 or sd = 0
    """
    family = pd.concat([table[list(_TESTS)] for table in tables], ignore_index=True)
    p = family["p"].to_numpy(float)
    family["p_holm"] = holm(np.concatenate([p, *further]))[: len(p)]
    family["p_equivalent"] = holm(equivalence(family, smallest))
    comparisons = sum(int((~np.isnan(each)).sum()) for each in (p, *further))
    family["comparisons"] = comparisons
    alpha = ALPHA / max(comparisons, 1)
    most = metric.limits[1] - metric.limits[0]
    ends = np.clip(_simultaneous(family, 1 - alpha), -most, most)
    family["all_low"], family["all_high"] = ends
    count, sd = family["n_pairs"].to_numpy(), family["sd"].to_numpy()
    possible = np.array([sd, *sd_limits(sd, count - 1)])
    more = np.maximum(seeds_needed(possible, smallest, alpha) - count, 0)
    for name, each in zip(("more_seeds", "more_seeds_low", "more_seeds_high"), more, strict=True):
        family[name] = each
    family["verdict"] = _verdict(family, metric)
    ends = np.cumsum([len(table) for table in tables])
    made = family.drop(columns=list(_TESTS))
    return [
        table.assign(**made.iloc[end - len(table) : end].set_index(table.index))
        for table, end in zip(tables, ends, strict=True)
    ]


def _simultaneous(family: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
    mean = family["difference"].to_numpy(float)
    half = t_half(family["sd"].to_numpy(float), family["n_pairs"].to_numpy(), level)
    real = (family["p_holm"] < ALPHA).to_numpy()
    low, high = mean - half, mean + half
    return (
        np.where(real & (mean > 0), np.maximum(low, 0), low),
        np.where(real & (mean < 0), np.minimum(high, 0), high),
    )


def _why(table: pd.DataFrame) -> np.ndarray:
    one = table["n_pairs"] == 1
    cases = {
        NEVER: table["planned"] == 0,
        UNFINISHED: table["n_pairs"] == 0,
        FAILED: one & (table["lost_failed"] > 0),
        UNTRAINED: one & (table["lost_pending"] > 0),
        DIVERGED: one & (table["lost_diverged"] > 0),
        UNMEASURED: one & (table["lost_unmeasured"] > 0),
        ONE_SEED: one,
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
