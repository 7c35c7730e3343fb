"""From the table of runs to the table of variants."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cnnlab.core.metrics import Metric
from cnnlab.statistics.matrix import spread
from cnnlab.statistics.paired import LEVEL
from cnnlab.statistics.shrinkage import shrunk

LACKING = ("diverged", "failed", "unreadable", "pending")
"""Columns that count runs without a number; the last have none yet."""


def planned(row: Mapping[str, Any]) -> int:
    """How many runs a variant was to have."""
    return row["n"] + sum(row[state] for state in LACKING)


def summary(runs: pd.DataFrame, factors: list[str], metric: Metric) -> pd.DataFrame:
    """One row a variant, in the order of the sweep.

    Args:
        runs: as in `cnnlab.records.reading.sweeps.Sweep`
        factors: its columns that tell variants apart
        metric: the one that is compared

    Returns:
        the factors, n (runs that are done and have the metric), failed, unreadable,
        diverged, pending (counts), mean, std (n - 1),
        ci_low, ci_high (Student's t: mean -+ t(n - 1) std / sqrt(n), cut at the metric's limits: no
        mean of shares lies beyond 0 or 1, so it covers as often as before), best, seconds (a run's
        own, mean), shrunk (the mean, less what a best of many owes to chance:
        `statistics.shrinkage`), and the means of the metrics `beside` this one that any run has. A
        mean is of the n runs that are done: where failed or diverged is not 0, it leaves those out.
    """
    groups = runs.drop_duplicates("variant").set_index("variant").sort_index()
    done = runs[runs["status"] == "done"]
    values = pd.to_numeric(done[metric.name]).astype(float).groupby(done["variant"])
    seconds = pd.to_numeric(done["own_seconds"]).astype(float).groupby(done["variant"])
    counts = pd.crosstab(runs["variant"], runs["status"]).reindex(
        columns=["failed", "unreadable", "diverged", "pending"], fill_value=0
    )
    table = groups[list(factors)].copy()
    table["n"] = values.count().reindex(table.index, fill_value=0)
    table[list(counts)] = counts
    table["mean"], table["std"] = values.mean(), values.std()
    freedom = np.maximum(table["n"] - 1, 1)
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * table["std"] / np.sqrt(freedom + 1)
    table["ci_low"] = (table["mean"] - half).clip(*metric.limits)
    table["ci_high"] = (table["mean"] + half).clip(*metric.limits)
    table["best"] = values.min() if metric.less_is_better else values.max()
    table["seconds"] = seconds.mean()
    cells = spread(runs, factors, metric.name)
    table["shrunk"] = pd.Series(shrunk(cells.values), cells.variants)
    for name in runs.columns.intersection(metric.beside):
        other = pd.to_numeric(done[name]).astype(float).groupby(done["variant"]).mean()
        if other.notna().any():
            table[name] = other
    return table.reset_index(drop=True)


def published(runs: pd.DataFrame, factors: list[str]) -> pd.DataFrame:
    """Published numbers beside ours: a row for each variant and metric that has one.

    Returns:
        variant, the factors, metric, published, measured (mean of the runs that are done),
        difference (measured - published), deviations (difference in standard deviations of a
        single run, pooled over the sweep's variants; NaN for fewer than two runs of this variant),
        n; no rows where the sweep has no published numbers
    """
    prefix = "published."
    given_of = [name for name in runs.columns if name.startswith(prefix)]
    spread = {name: pooled_std(runs, name.removeprefix(prefix)) for name in given_of}
    some = runs["variant"].isin(runs.loc[runs[given_of].notna().any(axis=1), "variant"])
    rows = []
    for variant, group in runs[some].groupby("variant", sort=True):
        for column in given_of:
            given = group[column].dropna()
            if given.empty:
                continue
            metric = column.removeprefix(prefix)
            values = group.loc[group["status"] == "done", metric].dropna().astype(float)
            difference = values.mean() - given.iloc[0]
            rows.append(
                {
                    "variant": variant,
                    **{name: group[name].iloc[0] for name in factors},
                    "metric": metric,
                    "published": given.iloc[0],
                    "measured": values.mean(),
                    "difference": difference,
                    "deviations": difference / spread[column] if len(values) > 1 else np.nan,
                    "n": len(values),
                }
            )
    columns = ["metric", "published", "measured", "difference", "deviations", "n"]
    return pd.DataFrame(rows, columns=["variant", *factors, *columns])


def pooled_std(runs: pd.DataFrame, metric: str) -> float:
    """Standard deviation of a single run: sqrt(sum (n - 1) s^2 / sum (n - 1)) over the variants.

    One variant's own few seeds would give a far less certain one. NaN where no variant has two
    runs that are done, or all runs of each are equal.
    """
    done = runs[runs["status"] == "done"]
    groups = pd.to_numeric(done[metric]).groupby(done["variant"])
    freedom = groups.count() - 1
    squares = (groups.var() * freedom)[freedom > 0].sum()
    return np.sqrt(squares / freedom[freedom > 0].sum()) if squares > 0 else np.nan
