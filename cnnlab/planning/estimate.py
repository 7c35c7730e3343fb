"""What a plan will cost: seconds and bytes, from runs like those planned, or from a short try."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.data.loading import described
from cnnlab.planning.runs import Plan, Run, uncut
from cnnlab.training.throughput import kind, pace

MOST_RECORDS = 500
"""As many of the newest records are looked at for runs like those planned."""

MOST_TRIES = 12
"""As many structures are tried; the others are taken to cost their mean."""

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


def estimated_cost(planned: Plan, workers: int) -> Estimate:
    """What the pending runs of a plan will take.

    Args:
        planned: the plan; at least one of its runs is pending
        workers: how many train at the same time
    """
    pending = planned.pending
    first = uncut(planned.runs)
    kinds = [kind(run.job.config.plain(), first[run.fingerprint]) for run in pending]
    wanted = set(kinds)
    paces: dict[str, list[float]] = {}  # seconds an epoch
    sizes: list[int] = []
    for directory, result in _records(planned.outputs):
        images = result["data_fingerprint"]
        its = kind(result["config"], first.get(images, images))
        if its in wanted and result["status"] == "done" and result["own_seconds"]:
            paces.setdefault(its, []).append(result["own_seconds"] / result["config"]["epochs"])
            sizes.append(sum(path.stat().st_size for path in directory.rglob("*")))
    like = sum(map(len, paces.values()))
    typical = {each: statistics.median(found) for each, found in paces.items()}
    tried = 0
    for run, each in zip(pending, kinds, strict=True):
        if each not in typical and tried < MOST_TRIES:
            tried += 1
            typical[each], size = _tried(run)
            sizes.append(size)
    mean = statistics.mean(typical.values())
    each = [
        typical.get(its, mean) * run.epochs_left for run, its in zip(pending, kinds, strict=True)
    ]
    clock = START + max(sum(each) / min(workers, len(each)), max(each))
    return Estimate(clock, statistics.mean(each), statistics.mean(sizes) * len(pending), like)


def _records(outputs: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The newest finished records of all sweeps."""
    from cnnlab.records.schema import read_result

    found = [(path.stat().st_mtime, path) for path in outputs.glob("*/*/result.json")]
    for _, path in sorted(found, reverse=True)[:MOST_RECORDS]:
        result = read_result(path.parent)
        if result is not None:
            yield path.parent, result


def _tried(run: Run) -> tuple[float, int]:
    """Seconds an epoch, and bytes of the record, from some steps of training on this machine."""
    from cnnlab.training.assemble import assemble

    config = run.job.config
    data = described(config.data)
    model = assemble(config, data.shape, len(data.classes))
    bytes_of_weights = sum(each.numel() * 4 for each in model.parameters())
    seconds = pace([config], data).epoch(data, config.batch_size)
    return seconds, bytes_of_weights + BYTES + BYTES_AN_EPOCH * config.epochs


BYTES, BYTES_AN_EPOCH = 20_000, 120
"""Of a record besides its weights: configs and results; rows of its tables and its log."""
