"""From the table of runs to the table of variants."""

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
"""Of every interval."""

LOSSES = ("final_train_loss",)
"""Metrics of which less is better."""


def t_interval(values: pd.Series, level: float = LEVEL) -> tuple[float, float]:
    """Student's t interval of a mean: mean -+ t(n - 1) s / sqrt(n); NaN for fewer than two values.

    Args:
        values: independent, one a run
        level: of confidence
    """
    count = len(values)
    if count < 2:
        return np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, count - 1) * values.std(ddof=1) / np.sqrt(count)
    return values.mean() - half, values.mean() + half


def summary(runs: pd.DataFrame, factors: list[str], metric: str) -> pd.DataFrame:
    """One row a variant, in the order of the sweep.

    Args:
        runs: as in `cnnlab.aggregate.Sweep`
        factors: its columns that tell variants apart
        metric: the column that is compared

    Returns:
        the factors, n (runs that are done and have the metric), failed, diverged, pending (counts;
        unreadable records count as failed), mean, std (n - 1), ci_low, ci_high, best, seconds (of
        one run, mean). A mean is of the n runs that are done: where failed or diverged is not 0,
        it leaves those out.
    """
    rows = []
    for _, group in runs.groupby("variant", sort=True):
        done = group[group["status"] == "done"]
        values = done[metric].dropna().astype(float)
        low, high = t_interval(values)
        rows.append(
            {
                **{name: group[name].iloc[0] for name in factors},
                "n": len(values),
                "failed": int(group["status"].isin(["failed", "unreadable"]).sum()),
                "diverged": int((group["status"] == "diverged").sum()),
                "pending": int((group["status"] == "pending").sum()),
                "mean": values.mean(),
                "std": values.std(ddof=1),
                "ci_low": low,
                "ci_high": high,
                "best": values.min() if metric in LOSSES else values.max(),
                "seconds": done["seconds"].astype(float).mean(),
            }
        )
    return pd.DataFrame(rows)


def published(runs: pd.DataFrame, factors: list[str]) -> pd.DataFrame:
    """Published numbers beside ours: a row for each variant and metric that has one.

    Returns:
        variant, the factors, metric, published, measured (mean of the runs that are done),
        difference (measured - published), n; no rows where the sweep has no published numbers
    """
    prefix = "published."
    rows = []
    for variant, group in runs.groupby("variant", sort=True):
        for column in [name for name in runs.columns if name.startswith(prefix)]:
            given = group[column].dropna()
            if given.empty:
                continue
            metric = column.removeprefix(prefix)
            values = group.loc[group["status"] == "done", metric].dropna().astype(float)
            rows.append(
                {
                    "variant": variant,
                    **{name: group[name].iloc[0] for name in factors},
                    "metric": metric,
                    "published": given.iloc[0],
                    "measured": values.mean(),
                    "difference": values.mean() - given.iloc[0],
                    "n": len(values),
                }
            )
    columns = ["variant", *factors, "metric", "published", "measured", "difference", "n"]
    return pd.DataFrame(rows, columns=columns)
