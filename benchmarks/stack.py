"""Against the stack's size: how many epochs of one model are finished a second.

Runs of one seed, such as those of several learning rates, share their batches: an image is
augmented once, and the first convolution reads it once. Runs of as many seeds share nothing but
the launch of each operation. HFTA (Wang et al. 2021, https://arxiv.org/abs/2102.02344) reports 2.36
times the serial rate for 3 models, 3.27 for 6, at best 15.1. The peak of memory is what PyTorch
held for the stack on a GPU; on a CPU what a process of its own took more than one that trains
nothing, the compiler included.
"""

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.measure import Settings, cuda, images_in, suited, timed
from benchmarks.table import spread
from benchmarks.trainers import Warm, config_of, supply_of, warm

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)
COMPILED = (1, 3, 6, 16, 64, 256)
"""Sizes that are compiled too, each of which takes half a minute; on a CPU only the first."""


class Way(NamedTuple):
    """How runs are trained."""

    size: int
    compiled: bool = False
    seeds: bool = False
    """Whether each has a seed of its own."""

    def __str__(self) -> str:
        how = "compiled" if self.compiled else "eager"
        if self.size == 1:
            return f"serial, {how}"
        return f"stack of {'as many seeds' if self.seeds else 'one seed'}, {how}"


def rows(settings: Settings) -> list[dict[str, Any]]:
    count = suited(settings.images, cpu=2_000, gpu=20_000)
    most = suited(settings.most, cpu=12, gpu=256)
    with images_in(count, settings.data) as images:
        stacks = _stacks(settings, images, [size for size in SIZES if size <= most])
        seconds: dict[Way, list[float]] = {way: [] for way in stacks}
        for _ in range(settings.rounds):
            for way, stack in stacks.items():
                seconds[way].append(stack.seconds())
    median = {way: statistics.median(each) for way, each in seconds.items()}
    serial = min(each for way, each in median.items() if way.size == 1)
    base = 0.0 if cuda() else _peak(0)
    return [
        {
            "what": str(way),
            "runs": way.size,
            "images": len(stack.trainer.supply.train),
            **spread("epochs/s", [way.size / each for each in seconds[way]]),
            "compiling s": max(0.0, stack.warm_up - median[way]) if way.compiled else 0.0,
            "peak MB": stack.memory if cuda() else _peak(way.size, way.compiled) - base,
            "over serial eager": way.size * median[Way(1)] / median[way],
            "over better serial": way.size * serial / median[way],
        }
        for way, stack in stacks.items()
    ]


def _stacks(settings: Settings, images: Path, sizes: list[int]) -> dict[Way, Warm]:
    """As many as there is memory for."""
    config = config_of("norm=bn", "augment=crop_flip", f"epochs={settings.rounds + 1}")
    supply = supply_of(images, config)
    found: dict[Way, Warm] = {}
    for size in sizes:
        seeds = [replace(config, seed=seed) for seed in range(size)]
        try:
            found[Way(size)] = warm([config] * size, supply)
            if size > 1:
                found[Way(size, seeds=True)] = warm(seeds, supply)
            if settings.compiled and size in COMPILED[: None if cuda() else 1]:
                found[Way(size, compiled=True)] = warm([config] * size, supply, compiled=True)
        except torch.OutOfMemoryError:
            print(f"stack: {size} runs as one model do not fit into the GPU's memory")
            break
    return found


def _peak(size: int, compiled: bool = False) -> float:
    """The most memory of a process that trains a stack for some steps, in MB."""
    arguments = (str(size), *(["--compiled"] if compiled else []))
    printed = timed("benchmarks.memory", *arguments, cwd=Path(tempfile.gettempdir()))[1]
    return float(printed.splitlines()[-1])
