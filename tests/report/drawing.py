"""Sweeps made by hand, and what a figure shows: shared by the tests of pictures."""

from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.text import Text

from cnnlab.records.reading.sweeps import Sweep
from cnnlab.statistics.analysis import analyse

GRID = {"norm": ["bn", "none"], "lr": [0.01, 0.02, 0.1]}
CURVE = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
METRICS = ("best_val_accuracy", "final_val_accuracy", "final_train_accuracy", "final_train_loss")


def made(
    factors, *, seeds=3, value=lambda row: 0.5, status=lambda row: "done", epochs=4, curve=None,
    metric="best_val_accuracy", kept=lambda variant: True, **columns,
):  # fmt: skip
    """The analysis of a made-up sweep of all combinations, or of those that are `kept`.

    Args:
        factors: levels by name
        seeds: how many
        value: of a run's every metric, by its factors, variant and seed
        status: of a run
        epochs: of a run; one that diverged has two
        curve: columns of a run's epochs, by its row
        columns: more columns of the table of runs, each from that table
    """
    variants = [dict(zip(factors, levels, strict=True)) for levels in product(*factors.values())]
    rows = [
        {**levels, "variant": variant, "seed": seed}
        for variant, levels in enumerate(filter(kept, variants))
        for seed in range(seeds)
    ]
    runs = pd.DataFrame(rows).assign(status=[status(row) for row in rows])
    runs["run_id"] = [f"{k:08x}" for k in range(len(runs))]
    runs[list(METRICS)] = np.array([[value(row)] * len(METRICS) for row in rows])
    runs.loc[runs["status"] != "done", list(METRICS)] = np.nan
    runs = runs.assign(own_seconds=2.0, parameters=100, macs=1000)
    runs = runs.assign(**{name: make(runs) for name, make in columns.items()})
    told = runs[runs["status"].isin(["done", "diverged"])].to_dict("records")
    tables = [_epochs(row, epochs if row["status"] == "done" else 2, curve) for row in told]
    none = pd.DataFrame(columns=["run_id", *factors, "variant", "seed", "epoch", *CURVE])
    table = pd.concat(tables, ignore_index=True) if tables else none
    sweep = Sweep(name="mine", factors=list(factors), runs=runs, epochs=table)
    return analyse(sweep, metric, smallest=0.005)


def _epochs(row, count, curve):
    top = row["best_val_accuracy"] if row["status"] == "done" else 0.1
    rise = top * np.linspace(0.5, 1, 4)[np.minimum(np.arange(count), 3)]
    told = {
        "epoch": np.arange(1, count + 1), "val_accuracy": rise, "train_accuracy": rise + 0.1,
        "val_loss": 2 - rise, "train_loss": 2 - 1.5 * rise,
    }  # fmt: skip
    return pd.DataFrame({**told, **(curve(row) if curve else {}), **row})


def noisy(row):
    """Batch norm adds 0.1 at lr 0.1, and nothing below; a seed's runs move together."""
    gain = 0.1 if row.get("norm") == "bn" and row.get("lr") == 0.1 else 0.0
    noise = np.random.default_rng((row["variant"], row["seed"])).normal()
    return 0.6 + gain + 0.01 * row["seed"] + 0.004 * noise


def some_bad(row):
    """One cell has failed, one has diverged but for a seed, and some are pending."""
    if row["norm"] == "bn" and row["lr"] == 0.01:
        return "failed"
    if row["norm"] == "none" and row["lr"] == 0.1 and row["seed"] > 0:
        return "diverged"
    return "pending" if row["lr"] == 0.02 and row["seed"] == 2 else "done"


WEIRD = {
    "norm": ["$x_1$ & <script> 100%", "$$", "ünï 中文 \u202e ☃ " + "x" * 300],
    "a_$b$": ["_x", "\\frac{1}{2}^{", "\n\tq\x00"],
}


@cache
def many():
    """1,000 variants, of which some runs failed or diverged; a later variant is a better one."""
    factors = {"lr": [k / 1000 for k in range(1, 101)], "act": list("abcde"), "norm": ["bn", "no"]}
    states = ["failed", "diverged", *["done"] * 20]
    return made(
        factors, epochs=8, own_seconds=lambda t: 5 + t["variant"] / 100,
        value=lambda row: 0.5 + row["variant"] / 5000 + 0.001 * row["seed"],
        status=lambda row: states[(7 * row["variant"] + row["seed"]) % 22],
    )  # fmt: skip


def words(figure) -> str:
    """Every text of a figure, as it is read."""
    texts = [text.get_text() for text in figure.findobj(Text)]
    return "\n".join(texts).replace(r"\$", "$")


def joined(figure) -> str:
    """The same without line breaks."""
    return words(figure).replace("\n", " ")


def labelled(axes, label):
    """Lines and collections with a label, in the order of their making."""
    return [each for each in [*axes.lines, *axes.collections] if each.get_label() == label]


def cells(figure):
    """The text and the patch of each cell of heat maps, by panel, column and row."""
    found = {}
    for panel, axes in enumerate(figure.axes):
        patches = {patch.get_xy(): patch for patch in axes.patches if patch.get_fill()}
        for text in axes.texts:
            x, y = text.get_position()
            found[panel, x - 0.5, y - 0.5] = (text.get_text(), patches[x - 0.5, y - 0.5])
    return found


def overfit(row):
    """With norm=none the validation loss is lowest at epoch 2, and then rises by 0.3."""
    rises = row["norm"] == "none" and row["status"] == "done"
    return {"val_loss": np.array([1.2, 1.0, 1.1, 1.3])} if rises else {}
