"""Learning curves for the page's viewer: mean over seeds, lowest and highest, small.

Letters: V variants, E epochs. Arrays are flat, V x E, row by row; numbers are whole, in 1/10,000.
"""

from typing import Any

import numpy as np
import pandas as pd

from cnnlab.records.reading.sweeps import STATES
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import level_text

METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")

PARTS = 10_000
"""A number's parts: four digits after the point."""

POINTS = 36_000
"""V x E; of more, epochs are left out, and of more than MOST variants the worst."""

MOST = 1000

CEILING = 1000.0
"""A loss above it is drawn as a gap: it would flatten all others."""


def curves(analysis: Analysis) -> dict[str, Any] | None:
    """What the viewer draws; None where there is no epoch.

    Returns:
        epochs: (E,); thinned: whether epochs were left out; variants: place in the summary, name,
        note (`2 diverged`) of each; left_out: how many variants; best: places of the best ones
        first; <metric>: mean, low (mean - lowest) and high (highest - mean), of the runs that are
        done and have reached the epoch, or of those that diverged where none is done; low and high
        are None where no variant has two runs
    """
    table, variants = _rows(analysis)
    if table.empty:
        return None
    epochs = np.unique(table["epoch"])
    most = max(POINTS // len(variants), 2)
    kept = epochs[np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).astype(int))]
    table = table[table["epoch"].isin(kept)]
    numbers = table[list(METRICS)].apply(pd.to_numeric).astype(float)
    numbers = numbers.where(numbers.abs() < CEILING)
    groups = numbers.groupby([table["variant"], table["epoch"]])
    every = pd.MultiIndex.from_product([variants, kept])
    mean, low, high = (each.reindex(every) for each in (groups.mean(), groups.min(), groups.max()))
    several = bool((groups.size() > 1).any())
    return {
        "epochs": kept.tolist(),
        "thinned": len(kept) < len(epochs),
        "variants": _named(analysis, variants),
        "left_out": len(analysis.summary) - len(variants),
        "best": _best(analysis, variants),
        **{
            name: {
                "mean": _parts(mean[name]),
                "low": _parts(mean[name] - low[name]) if several else None,
                "high": _parts(high[name] - mean[name]) if several else None,
            }
            for name in METRICS
        },
    }


def _rows(analysis: Analysis) -> tuple[pd.DataFrame, list[int]]:
    """The epochs that are drawn, and the variants that have some, in the sweep's order."""
    epochs = analysis.sweep.epochs
    done = set(analysis.sweep.runs.loc[analysis.sweep.runs["status"] == "done", "run_id"])
    whole = epochs["run_id"].isin(done)
    lost = ~epochs["variant"].isin(set(epochs.loc[whole, "variant"]))
    table = epochs[whole | lost]
    there = sorted(set(table["variant"]))
    if len(there) > MOST:
        mean = analysis.summary["mean"].reindex(there)
        ranked = mean.sort_values(ascending=analysis.metric.less_is_better).index[:MOST]
        there = sorted(ranked)
        table = table[table["variant"].isin(set(there))]
    return table, there


def _named(analysis: Analysis, variants: list[int]) -> list[list[Any]]:
    rows = analysis.summary.take(variants).to_dict("records")
    factors, runs = analysis.sweep.factors, analysis.sweep.runs
    counts = runs.groupby(["variant", "status"]).size()
    names = []
    for place, row in zip(variants, rows, strict=True):
        name = ", ".join(f"{key}={level_text(row[key])}" for key in factors) or "the only variant"
        lost = [f"{counts[place, k]} {k}" for k in STATES[1:] if (place, k) in counts.index]
        names.append([int(place), name, ", ".join(lost)])
    return names


def _best(analysis: Analysis, variants: list[int]) -> list[int]:
    """Places in `variants`, the best mean first; those without one last."""
    mean = analysis.summary["mean"].to_numpy(float)[variants]
    signed = mean if analysis.metric.less_is_better else -mean
    return np.argsort(signed, kind="stable").tolist()  # NaN comes last


def _parts(values: pd.Series) -> list[int | None]:
    """Whole numbers, and None for NaN."""
    rounded = (values * PARTS).round()
    return [None if value != value else int(value) for value in rounded.tolist()]
