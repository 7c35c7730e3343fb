"""Training against validation: where the validation loss is lowest, and how far the two part."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cnnlab.core.formats import count
from cnnlab.report.plots.sheet import (
    DARK,
    FAINT,
    GREY,
    SMALL,
    empty,
    finished,
    outer,
    panels,
    styled,
)  # fmt: skip
from cnnlab.report.plots.text import basis, described, fitted, missing, row_of
from cnnlab.statistics.analysis import Analysis

PANELS = 12
"""More cannot be taken in: then those variants where training and validation part most."""

RISE = 0.05
"""A validation loss that ends higher than its lowest by less than this share of it may be noise."""

WIDTH, HEIGHT = 3.1, 2.3


def parting(analysis: Analysis) -> pd.DataFrame:
    """Where each variant begins to overfit, from its mean curves over the runs that are done.

    Returns:
        by variant: epoch (of the lowest mean validation loss), last (epoch that all its runs have),
        lowest and end (mean validation loss there), gap (mean training accuracy less validation
        accuracy at the end, in points), overfits
    """
    means, _ = _means(analysis)
    rows = []
    for variant, table in means.groupby("variant"):
        table = table.droplevel("variant")
        loss = table["val_loss"].dropna()
        if loss.empty:
            continue
        last = table.iloc[-1]
        rows.append(
            {
                "variant": variant, "epoch": loss.idxmin(), "last": table.index[-1],
                "lowest": loss.min(), "end": loss.iloc[-1],
                "gap": 100 * (last["train_accuracy"] - last["val_accuracy"]),
            }
        )  # fmt: skip
    columns = ["variant", "epoch", "last", "lowest", "end", "gap"]
    parts = pd.DataFrame(rows, columns=columns).set_index("variant")
    return parts.assign(overfits=parts["end"] > (1 + RISE) * parts["lowest"])


def _means(analysis: Analysis) -> tuple[pd.DataFrame, pd.DataFrame]:
    """By variant and epoch, as far as all its finished runs go: means, and those runs."""
    epochs, runs = analysis.sweep.epochs, analysis.sweep.runs
    done = epochs[epochs["run_id"].isin(runs.loc[runs["status"] == "done", "run_id"])]
    last = done.groupby(["variant", "run_id"])["epoch"].max().groupby("variant").min()
    done = done[done["epoch"] <= done["variant"].map(last)]
    columns = ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]
    return done.groupby(["variant", "epoch"])[columns].mean(), done


def against_training(
    means: pd.DataFrame, runs: pd.DataFrame, row: Mapping[str, Any], axes: Axes
) -> Axes:
    """One variant's losses; the lowest validation loss is marked, what follows is shaded.

    Args:
        means: by epoch: train_loss, val_loss
        runs: epochs of its runs, for the band
        row: of `parting`
        axes: to draw on
    """
    marker = "o" if len(means) == 1 else None
    axes.plot(means.index, means["val_loss"], color=DARK, lw=1.6, marker=marker, label="val")
    axes.plot(means.index, means["train_loss"], "--", color=GREY, lw=1.6, marker=marker,
              label="train")  # fmt: skip
    if runs["run_id"].nunique() > 1:
        spread = runs.groupby("epoch")["val_loss"].agg(["min", "max"])
        axes.fill_between(spread.index, spread["min"], spread["max"], color=DARK, alpha=0.2, lw=0)
    axes.plot(row["epoch"], row["lowest"], "v", color=DARK, ms=8, zorder=5, label="lowest",
              mec="white")  # fmt: skip
    if row["overfits"]:
        axes.axvspan(row["epoch"], row["last"], color=FAINT, lw=0, zorder=0, label="overfits")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes


@styled
def overfitting_figure(analysis: Analysis) -> Figure:
    """A panel a variant; of very many, those in which training is farthest ahead."""
    note, parts = basis(analysis.sweep, analysis.summary), parting(analysis)
    if parts.empty:
        return empty("No epoch of a finished run to show.", "No learning curves yet", note)
    chosen = parts.index
    if len(parts) > PANELS:
        rise = (parts["end"] - parts["lowest"]).where(parts["overfits"], 0)
        order = parts.assign(rise=rise).sort_values(["rise", "gap"], kind="stable")
        chosen = sorted(order.index[-PANELS:])
        note += f". {PANELS} of {len(parts):,} variants: those that overfit most, or part most"
    if len(analysis.summary) > len(parts):
        note += f". Without a finished run: {count(len(analysis.summary) - len(parts), 'variant')}"
    means, runs = _means(analysis)
    figure, grid = panels(len(chosen), width=WIDTH, height=HEIGHT, share=(True, True))
    room = figure.get_figwidth() / min(len(chosen), grid[0].get_gridspec().ncols) - 0.6
    for axes, variant in zip(grid, chosen, strict=True):
        of = runs[runs["variant"] == variant]
        against_training(means.loc[variant], of, parts.loc[variant], axes)
        _head(axes, analysis, variant, parts.loc[variant], room)
    outer(grid, "epoch", "loss (nats)")
    high = means.loc[list(chosen), ["train_loss", "val_loss"]].stack()
    low, high = high.min(), high.quantile(0.98)  # an exploding loss flattens no other
    axes.set_ylim(low - 0.08 * (high - low) - 1e-3, high + 0.15 * (high - low) + 1e-3)
    if any(axes.collections for axes in grid):
        note += ". Lines: means; band: lowest to highest seed"
    note += ". Gap: training less validation accuracy at the end"
    return finished(figure, _title(analysis, parts), note, _legend(grid))


def _head(axes: Axes, analysis: Analysis, variant: int, row: pd.Series, room: float) -> None:
    summary = row_of(analysis.summary, variant)
    name = described(summary, analysis.sweep.factors) if analysis.sweep.factors else ""
    where = f"lowest at epoch {row['epoch']:.0f} of {row['last']:.0f}; gap {row['gap']:.1f} points"
    sizes = ((name, SMALL + 0.5, 2), (where, SMALL, 1), (missing(summary), SMALL, 1))
    texts = [fitted(text, room, size, lines) for text, size, lines in sizes if text]
    axes.set_title("\n".join(texts), size=SMALL)


def _legend(grid: list[Axes]) -> list[tuple[Any, str]]:
    signs = [
        (Line2D([], [], color=DARK), "validation"),
        (Line2D([], [], color=GREY, ls="--"), "training"),
        (Line2D([], [], color=DARK, marker="v", lw=0, ms=8), "lowest validation loss"),
    ]
    if any(patch.get_label() == "overfits" for axes in grid for patch in axes.patches):
        signs.append((Patch(color=FAINT), f"overfitting: ends {RISE:.0%} above it or more"))
    return signs


def _title(analysis: Analysis, parts: pd.DataFrame) -> str:
    """Where it overfits most: the validation loss that rises the most after its lowest."""
    factors = analysis.sweep.factors
    bad = parts[parts["overfits"]]
    if bad.empty:
        mean = " mean" if analysis.summary["n"].max() > 1 else ""
        where = " in any variant" if len(parts) > 1 else ""
        stays = f"validation loss stays within {RISE:.0%} of its lowest"
        return f"No overfitting{where}: the{mean} {stays}"
    worst = (bad["end"] - bad["lowest"]).idxmax()
    row = bad.loc[worst]
    which = described(row_of(analysis.summary, worst), factors)
    many = (
        f"{len(bad):,} of {len(parts):,} variants overfit; most: {which}. Its" if factors else "The"
    )
    return (
        f"{many} validation loss is lowest at epoch {row['epoch']:.0f} of {row['last']:.0f}, "
        f"then rises by {row['end'] - row['lowest']:.2g} nats"
    )
