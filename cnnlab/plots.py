"""Pictures: each function takes a table and axes and gives the axes back.

Colours are seaborn's `colorblind` palette and the `cividis` map, which tell apart without red and
green.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnlab.stats import LOSSES

matplotlib.use("Agg")  # a report needs no display
sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.95)

DPI = 200
MANY = 4
"""More curves of one colour each than this are hard to tell apart in a panel."""

PANELS = 16
"""More panels than this cannot be taken in; then all curves share one."""

ROWS = 100
"""More variants than this make a picture of dots too tall; then it shows the best."""

CURVES_TITLE = 32
"""Characters above a panel of curves; more would run into the next."""

LABELS = {
    "best_val_accuracy": "best validation accuracy",
    "final_val_accuracy": "last validation accuracy",
    "final_train_accuracy": "last training accuracy",
    "final_train_loss": "last training loss (nats)",
    "test_accuracy": "test accuracy of the best weights",
}
"""What can be compared, in words; the chosen epoch is part of the name."""


def described(row: Mapping[str, Any], factors: Sequence[str]) -> str:
    """A variant in words: `norm=bn, lr=0.01`."""
    return ", ".join(f"{name}={row[name]}" for name in factors) or "default"


def counted(summary: pd.DataFrame) -> str:
    """How many seeds a variant has: `n = 3 seeds a variant`, or the range where it differs."""
    low, high = summary["n"].min(), summary["n"].max()
    if high == 0:
        return "n = 0"
    if high == 1:
        return "n = 1 seed a variant, too few for a verdict"
    return f"n = {low if low == high else f'{low} to {high}'} seeds a variant"


def missing(row: Mapping[str, Any]) -> str:
    """What a variant lacks: `2 diverged, 1 failed`; empty where nothing is."""
    return ", ".join(f"{row[k]} {k}" for k in ("diverged", "failed", "pending") if row[k])


def is_grid(summary: pd.DataFrame, factors: Sequence[str]) -> bool:
    """Whether every combination of the factors' levels is there once."""
    return len(summary) == np.prod([summary[name].nunique() for name in factors], dtype=int)


# --- learning curves


def curves(
    epochs: pd.DataFrame, axes: Axes, hue: str | None = None, levels: Sequence[str] = ()
) -> Axes:
    """Accuracy by epoch: validation solid, training dashed; the mean, and the range over seeds.

    Args:
        epochs: as in `cnnlab.aggregate.Sweep`
        axes: to draw on
        hue: the factor that gets the colours; None: training and validation do
        levels: all of that factor's, as text, also those that `epochs` lacks
    """
    names = {"val_accuracy": "validation", "train_accuracy": "training"}
    kept = [*([hue] if hue else []), "run_id", "epoch"]
    long = epochs.melt(kept, list(names), var_name="split", value_name="accuracy")
    long["split"] = long["split"].map(names)
    if hue:
        long[hue] = long[hue].astype(str)
    sns.lineplot(
        long,
        x="epoch",
        y="accuracy",
        hue=hue or "split",
        style="split",
        style_order=list(names.values()),
        hue_order=list(levels) if hue else list(names.values()),
        palette="colorblind",
        errorbar=("pi", 100),
        marker="o" if long["epoch"].nunique() == 1 else None,  # one epoch makes no line
        ax=axes,
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes


def curves_figure(
    epochs: pd.DataFrame, summary: pd.DataFrame, factors: list[str], title: str, note: str
) -> Figure:
    """All learning curves of a sweep: a panel for each level of the other factors."""
    hue = None
    if is_grid(summary, factors):
        few = [name for name in factors if summary[name].nunique() <= MANY]
        hue = max(few, key=lambda name: summary[name].nunique(), default=None)
    levels = list(dict.fromkeys(summary[hue].astype(str))) if hue else []
    others = [name for name in factors if name != hue]
    if others and len(summary.groupby(others)) > PANELS:
        return _all_curves(epochs, summary, factors, title, note)
    panels = list(summary.groupby(others, sort=False)) if others else [((), summary)]
    figure, grid = _panels(len(panels), width=3.4, height=2.9, share=True)
    for place, (axes, (_, rows)) in enumerate(zip(grid, panels, strict=True)):
        curves_of = epochs[epochs["variant"].isin(rows.index)]
        if curves_of.empty:
            axes.text(
                0.5, 0.5, "no finished epoch", ha="center", transform=axes.transAxes, color="0.4"
            )  # fmt: skip
        else:
            curves(curves_of, axes, hue, levels)
        lacks = "; ".join(
            f"{row[hue]}: {missing(row)}" if hue else missing(row)
            for row in rows.to_dict("records")
            if missing(row)
        )
        name = described(rows.to_dict("records")[0], others) if others else ""
        lines = [textwrap.fill(text, CURVES_TITLE) for text in (name, lacks) if text]
        axes.set_title("\n".join(lines), fontsize="medium")
        columns = axes.get_gridspec().ncols
        lowest = place + columns >= len(grid)
        axes.set_xlabel("epoch" if lowest else "")
        axes.set_ylabel("" if place % columns else "accuracy")
        axes.tick_params(labelbottom=lowest)
    _one_legend(figure, grid)
    _titled(figure, title, note)
    return figure


def _all_curves(
    epochs: pd.DataFrame, summary: pd.DataFrame, factors: list[str], title: str, note: str
) -> Figure:
    """Validation accuracy of many variants in one panel, the best and the worst named."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained", dpi=DPI)
    means = epochs.groupby(["variant", "epoch"])["val_accuracy"].mean().unstack("variant")
    if not means.empty:
        axes.plot(means.index, means, color="0.7", linewidth=0.6)
        last = means.ffill().iloc[-1]
        rows = summary.to_dict("index")
        for variant, colour, word in (
            (last.idxmax(), "C0", "best"),
            (last.idxmin(), "C1", "worst"),
        ):
            label = f"{word} at the end: {described(rows[variant], factors)}"
            axes.plot(means.index, means[variant], color=colour, label=textwrap.fill(label, 70))
        axes.legend(fontsize="small")
    axes.set(xlabel="epoch", ylabel="validation accuracy")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _titled(figure, title, f"{note}; {len(summary)} variants")
    return figure


# --- the grid


def heat_map(
    summary: pd.DataFrame, axes: Axes, row: str, column: str, limits: tuple[float, float]
) -> Axes:
    """The mean of each cell with half its interval's width; a cell that lacks runs says so.

    Args:
        summary: as `cnnlab.stats.summary` gives it, one row a cell
        axes: to draw on
        row, column: the two factors
        limits: of the colours
    """
    order = [list(dict.fromkeys(summary[name])) for name in (row, column)]

    def table(values: pd.Series) -> pd.DataFrame:
        pivot = summary.assign(cell=values).pivot(index=row, columns=column, values="cell")
        return pivot.reindex(index=order[0], columns=order[1])

    cells = [_cell(row) for row in summary.to_dict("records")]
    texts = table(pd.Series(cells, summary.index))
    means = table(summary["mean"]).astype(float)
    axes.set_facecolor("0.85")  # of a cell without a mean
    axes.grid(False)
    sns.heatmap(
        means, annot=False, cmap="cividis", vmin=limits[0], vmax=limits[1], linewidths=1,
        cbar=False, ax=axes,
    )  # fmt: skip
    middle = sum(limits) / 2
    for i, j in np.ndindex(means.shape):
        dark = means.iat[i, j] < middle or limits[0] == limits[1]
        axes.text(
            j + 0.5, i + 0.5, texts.iat[i, j], ha="center", va="center",
            color="white" if dark else "black",
        )  # fmt: skip
    axes.tick_params(rotation=0)
    return axes


def dots(
    runs: pd.DataFrame, summary: pd.DataFrame, factors: Sequence[str], metric: str, axes: Axes
) -> Axes:
    """A dot for each run, each variant's mean with its 95% t interval where n > 1, and a cross
    for a published number.

    Args:
        runs: as in `cnnlab.aggregate.Sweep`
        summary: as `cnnlab.stats.summary` gives it
        factors: that name the variants
        metric: the column of `runs` that `summary` summarises
        axes: to draw on
    """
    names = [
        "\n".join(filter(None, [described(row, factors), missing(row)]))
        for row in summary.to_dict("records")
    ]
    done = runs[runs["status"] == "done"]
    places = {variant: place for place, variant in enumerate(summary.index)}
    axes.scatter(
        done[metric].astype(float), done["variant"].map(places), s=18, alpha=0.6, color="C0",
        label="a run", zorder=3,
    )  # fmt: skip
    if f"published.{metric}" in runs:
        given = runs.dropna(subset=f"published.{metric}").drop_duplicates("variant")
        axes.scatter(
            given[f"published.{metric}"], given["variant"].map(places), marker="x", color="C1",
            label="published",
        )  # fmt: skip
    several = summary[summary["n"] > 1]
    if len(several):
        axes.errorbar(
            several["mean"], several.index.map(places),
            xerr=[several["mean"] - several["ci_low"], several["ci_high"] - several["mean"]],
            fmt="D", markersize=5, color="black", capsize=3, label="mean, 95% t interval", zorder=4,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(LABELS[metric])
    axes.legend()
    return axes


def grid_figure(
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    factors: list[str],
    metric: str,
    title: str,
    note: str,
) -> Figure:
    """The sweep's result: a heat map for two factors, several for three, otherwise dots."""
    levels = [summary[name].nunique() for name in factors]
    if len(factors) not in (2, 3) or not is_grid(summary, factors) or max(levels) > PANELS:
        if len(summary) > ROWS:
            note = f"{note}; the best {ROWS} of {len(summary)} variants"
            order = summary["mean"].sort_values(ascending=metric in LOSSES)
            summary = summary.loc[order.index[:ROWS]]
            runs = runs[runs["variant"].isin(summary.index)]
        size = (7, 1.6 + 0.35 * len(summary))
        figure, axes = plt.subplots(figsize=size, layout="constrained", dpi=DPI)
        dots(runs, summary, factors, metric, axes)
        _one_legend(figure, [axes])
    else:
        figure = _heat_maps(summary, factors, metric)
    _titled(figure, title, note)
    return figure


def _heat_maps(summary: pd.DataFrame, factors: list[str], metric: str) -> Figure:
    """A heat map of the two factors with the most levels, for each level of the third."""
    *split, row, column = sorted(factors, key=lambda name: summary[name].nunique())
    panels = list(summary.groupby(split, sort=False)) if split else [((), summary)]
    columns, rows = summary[column].nunique(), summary[row].nunique()
    figure, grid = _panels(len(panels), width=1.8 + 1.15 * columns, height=1.1 + 0.75 * rows)
    finite = summary["mean"].dropna()
    limits = (finite.min(), finite.max()) if len(finite) else (0, 1)
    for axes, (_, cells) in zip(grid, panels, strict=True):
        heat_map(cells, axes, row, column, limits)
        name = described(cells.to_dict("records")[0], split) if split else ""
        axes.set_title(name, fontsize="medium")
    colours = plt.cm.ScalarMappable(plt.Normalize(*limits), "cividis")
    figure.colorbar(colours, ax=list(grid), label=LABELS[metric])
    return figure


def _cell(row: Mapping[str, Any]) -> str:
    """A cell's text: mean, half the interval's width, and what is missing."""
    lines = [f"{row['mean']:.3f}"] if row["n"] else []
    if row["n"] > 1:
        lines[0] += f"\n±{(row['ci_high'] - row['ci_low']) / 2:.3f}"
    return "\n".join([*lines, missing(row).replace(", ", "\n")]).strip()


def _panels(
    count: int, *, width: float, height: float, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, each of a size in inches, at most four in a row."""
    columns = count if count < 4 else 3 if count % 3 == 0 else 4 if count % 4 in (0, 3) else 3
    rows = -(-count // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(max(width * columns, 6.5), height * rows + 1), squeeze=False,
        sharex=share, sharey=share, layout="constrained", dpi=DPI,
    )  # fmt: skip
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def _titled(figure: Figure, title: str, note: str) -> None:
    """The finding above the picture, and what it rests on below that; both within its width."""
    width = int(figure.get_figwidth() * 11.5)  # characters of this size in an inch
    lines = [textwrap.fill(text, width) for text in (title, note)]
    figure.suptitle("\n".join(lines), fontsize=11)


def _one_legend(figure: Figure, grid: Sequence[Axes]) -> None:
    """One legend for all panels, below them: that of the panel which has the most to say."""
    with_legend = [axes for axes in grid if axes.get_legend()]
    if not with_legend:
        return
    handles, labels = max(
        (axes.get_legend_handles_labels() for axes in with_legend), key=lambda both: len(both[1])
    )
    figure.legend(
        handles, labels, loc="outside lower center", frameon=False, fontsize="small",
        ncols=min(len(labels), int(figure.get_figwidth() / 0.95)), columnspacing=1.2,
    )  # fmt: skip
    for axes in with_legend:
        axes.get_legend().remove()
