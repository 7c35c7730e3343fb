"""Phrases that several parts of the page use."""

import pandas as pd

from cnnlab.core.metrics import LABELS
from cnnlab.statistics.summary import LOSSES

CHOSEN = {
    "best_val_accuracy": "each run counts with its best epoch",
    "final_val_accuracy": "each run counts with its last epoch",
    "final_train_accuracy": "each run counts with its last epoch",
    "final_train_loss": "each run counts with its last epoch; less is better",
    "test_accuracy": "each run counts with its best weights by validation",
}
"""How a run's number was chosen."""


class Unit:
    """In which differences of a metric are told.

    Attributes:
        name: points (percentage points) or nats
        scale: from the metric's unit to this one
        digits: after the point
    """

    def __init__(self, metric: str):
        loss = metric in LOSSES
        self.name, self.scale, self.digits = ("nats", 1, 4) if loss else ("points", 100, 2)


def chosen(metric: str) -> str:
    """`Best validation accuracy (each run counts with its best epoch)`."""
    label = LABELS.get(metric, metric)
    how = CHOSEN.get(metric)
    return capital(label) + (f" ({how})" if how else "")


def compared(metric: str) -> str:
    """What a table of comparisons compares."""
    return f"{chosen(metric)}; differences in {Unit(metric).name}, paired by seed."


def family(table: pd.DataFrame, what: str) -> str:
    """`One family of 12 comparisons (Holm).`; of a table with `comparisons`."""
    tested = int(table["comparisons"].max()) if len(table) else 0
    others = len(table) - tested
    if not tested:
        return f"{count(others, what)}, none of which can be tested."
    rest = f"; {others} more cannot be tested" if others else ""
    return f"One family of {count(tested, what)}, p adjusted by Holm{rest}."


def count(number: int, what: str) -> str:
    """`1 run`, `2 runs`, `10,000 runs`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def capital(words: str) -> str:
    """With a capital at the beginning, and the rest as it is."""
    return words[:1].upper() + words[1:]
