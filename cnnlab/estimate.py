"""What a plan will cost: seconds and bytes, from runs like those planned, or from a short try."""

import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cnnlab import plan
from cnnlab.data.split import Data, Split

MOST_RECORDS = 500
"""As many of the newest records are looked at for runs like those planned."""

MOST_TRIES = 12
"""As many structures are tried; the others are taken to cost their mean."""

STEPS = 8
"""Of each of a try's two epochs, the first of which only warms up."""

START = 4.0
"""Seconds until the first worker trains."""


@dataclass(frozen=True)
class Estimate:
    """What the pending runs of a plan will take.

    Attributes:
        seconds: on the clock
        seconds_each: of training one run, their mean
        disk: bytes
        like: how many finished runs it rests on; 0: on a short try
    """

    seconds: float
    seconds_each: float
    disk: float
    like: int


def estimate(planned: plan.Plan, workers: int) -> Estimate:
    """What the pending runs of a plan will take.

    Args:
        planned: the plan; at least one of its runs is pending
        workers: how many train at the same time
    """
    pending = planned.pending
    paces: dict[str, list[float]] = {}  # seconds an epoch
    sizes: list[int] = []
    wanted = {_kind(asdict(run.job.config), run.fingerprint) for run in pending}
    for directory, result in _records(planned.outputs):
        kind = _kind(result["config"], result["data_fingerprint"])
        if kind in wanted and result["status"] == "done" and result["seconds"]:
            paces.setdefault(kind, []).append(result["seconds"] / result["config"]["epochs"])
            sizes.append(sum(path.stat().st_size for path in directory.rglob("*")))
    like = sum(map(len, paces.values()))
    pace = {kind: statistics.median(each) for kind, each in paces.items()}
    tried = 0
    for run in pending:
        kind = _kind(asdict(run.job.config), run.fingerprint)
        if kind not in pace and tried < MOST_TRIES:
            tried += 1
            pace[kind], size = _tried(run)
            sizes.append(size)
    mean = statistics.mean(pace.values())
    each = [
        pace.get(_kind(asdict(run.job.config), run.fingerprint), mean)
        * (run.job.config.epochs - (0 if planned.command.force else run.epoch))
        for run in pending
    ]
    clock = START + max(sum(each) / min(workers, len(each)), max(each))
    return Estimate(clock, statistics.mean(each), statistics.mean(sizes) * len(pending), like)


def _kind(config: Mapping[str, Any], fingerprint: str) -> str:
    """What the time of an epoch depends on; not the seed, nor the learning rate and other numbers
    of the schedule and the optimizer."""
    keys = ("batch_size", "precision", "device", "model", "norm", "activation", "augment")
    parts = {key: config[key] for key in keys}
    return json.dumps([fingerprint, config["optimizer"]["_target_"], parts], sort_keys=True)


def _records(outputs: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The newest finished records of all sweeps."""
    from cnnlab.record import read_result

    found = [(path.stat().st_mtime, path) for path in outputs.glob("*/*/result.json")]
    for _, path in sorted(found, reverse=True)[:MOST_RECORDS]:
        result = read_result(path.parent)
        if result is not None:
            yield path.parent, result


def _tried(run: plan.Run) -> tuple[float, int]:
    """Seconds an epoch, and bytes of the record, from some steps of training on this machine."""
    from cnnlab.data.batches import Supply
    from cnnlab.device import prepare, resolve
    from cnnlab.model.assemble import assemble
    from cnnlab.trainer import Trainer, dtype_of

    data = plan.load(run.job.config)
    config = replace(run.job.config, epochs=2)
    device = resolve(config.device)
    prepare(device, config.precision)
    count = min(STEPS * config.batch_size, len(data.train))
    part = replace(data, train=_first(data.train, count), val=_first(data.val, count))
    model = assemble(config, data.shape, len(data.classes))
    bytes_of_weights = sum(each.numel() * 4 for each in model.parameters())
    trainer = Trainer([config], [model], Supply(part, device, dtype_of(config)))
    trainer.epoch(1, lambda _: None)
    began = time.perf_counter()
    trainer.epoch(2, lambda _: None)
    trained = time.perf_counter()
    trainer.evaluate(trainer.supply.val)
    evaluated = time.perf_counter()
    seconds = (trained - began) * _ratio(data, part, "train")
    seconds += (evaluated - trained) * _ratio(data, part, "val")
    return seconds, bytes_of_weights + BYTES + BYTES_AN_EPOCH * run.job.config.epochs


BYTES, BYTES_AN_EPOCH = 20_000, 120
"""Of a record besides its weights: configs and results; rows of its tables and its log."""


def _first(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


def _ratio(whole: Data, part: Data, name: str) -> float:
    return len(getattr(whole, name)) / len(getattr(part, name))
