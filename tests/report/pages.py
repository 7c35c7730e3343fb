"""Sweeps that were never trained, and a reader of their pages, for the tests of the page."""

import hashlib
import html.parser
import json
import re
from itertools import product

import numpy as np

from cnnlab.records.reading.found import MEASURED, Found
from cnnlab.records.reading.sweeps import STATES, Sweep
from cnnlab.records.reading.tables import Run, tables
from cnnlab.statistics.analysis import analyse

WEIRD = """<script>alert("1")</script>,'&amp; ümläut \u2028 </script><!-- ]]> {{ 7*7 }}"""


def sweep_of(levels, *, seeds=3, epochs=4, fates=(), question=None, problems=(), shared=None):
    """A sweep that was never trained: accuracy rises with the last factor's place.

    Args:
        levels: of each factor
        seeds, epochs: of each variant
        fates: status and error by place of the run
        shared: settings of all runs
    """
    fates = dict(fates)
    combos = list(product(*levels.values(), range(seeds)))
    runs = []
    for place, (*values, seed) in enumerate(combos):
        status, error = fates.get(place, ("done", None))
        settings = {"epochs": epochs, **(shared or {}), **dict(zip(levels, values, strict=True))}
        rows = _curve(place // seeds, seed, epochs if status == "done" else 1)
        found = _found(status, error, rows if status in ("done", "diverged") else rows[:0])
        identity = hashlib.sha256(str(place).encode()).hexdigest()[:32]
        directory = f"run-{place}-{identity[:8]}"
        settings["seed"] = seed
        runs.append(Run(identity, "made", directory, settings, {}, found))
    factors, table, curves = tables(runs, list(levels))
    counts = {state: int((table["status"] == state).sum()) for state in STATES}
    return Sweep(
        name="made", factors=factors, runs=table, epochs=curves, counts=counts, problems=problems,
        question=question, settings={run.run_id: run.settings for run in runs},
    )  # fmt: skip


def _curve(variant, seed, epochs):
    epoch = np.arange(1, epochs + 1.0)
    draws = np.random.default_rng((variant, seed))
    accuracy = (0.5 + 0.01 * (variant % 20)) * (1 - np.exp(-epoch)) + draws.normal(0, 0.004, epochs)
    loss = 2.3 - 2 * accuracy
    return np.stack([epoch, loss, accuracy, loss + 0.1, accuracy - 0.02, 0 * epoch + 0.1], axis=1)


def _found(status, error, rows):
    values = dict.fromkeys(MEASURED)
    if len(rows):
        values |= {
            "best_val_accuracy": rows[:, 4].max(), "best_epoch": int(rows[:, 4].argmax()) + 1,
            "final_val_accuracy": rows[-1, 4], "final_train_accuracy": rows[-1, 2],
            "final_train_loss": rows[-1, 1], "own_seconds": 2.5,
        }  # fmt: skip
    return Found([], status, "x", {**values, "error": error, "device": "cpu"}, rows=rows)


def analysed(sweep, metric="best_val_accuracy"):
    return analyse(sweep, metric, smallest=0.005)


class Reader(html.parser.HTMLParser):
    """The text of a page, the blocks of data in it, and all addresses."""

    def __init__(self, code):
        super().__init__()
        self.text, self.data, self.addresses, self.tags, self.inside = [], {}, [], [], None
        self.feed(code)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.tags.append(tag)
        self.inside = (tag, told.get("id")) if tag in ("script", "style") else None
        self.addresses += [told[name] for name in ("src", "href", "data") if name in told]

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside is None:
            self.text.append(data)
        elif self.inside[1]:
            self.data[self.inside[1]] = self.data.get(self.inside[1], "") + data

    def block(self, name):
        return json.loads(self.data[f"data-{name}"])

    @property
    def words(self):
        return re.sub(r"\s+", " ", "".join(self.text))
