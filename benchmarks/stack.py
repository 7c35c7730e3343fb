"""Against the stack's size: how many epochs of one model are finished a second.

Runs differ in their seed, so each has its own batches, augmented for it alone; what they share is
the launch of each operation. HFTA (Wang et al. 2021, https://arxiv.org/abs/2102.02344) reports 2.36
times the serial rate for 3 models, 3.27 for 6, at best 15.1. The peak of memory is what PyTorch
held for the stack on a GPU; on a CPU what a process of its own took more than one that trains
nothing, the compiler included.
"""

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Settings, cuda, images_in, suited, timed
from benchmarks.table import spread
from benchmarks.trainers import Warm, config_of, supply_of, warm

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)
COMPILED = (1, 3, 6, 16, 64, 256)
"""Sizes that are compiled too, each of which takes half a minute; on a CPU only the first."""


def rows(settings: Settings) -> list[dict[str, Any]]:
    count = suited(settings.images, cpu=2_000, gpu=20_000)
    most = suited(settings.most, cpu=12, gpu=256)
    with images_in(count, settings.data) as images:
        stacks = _stacks(settings, images, [size for size in SIZES if size <= most])
        seconds: dict[tuple[int, bool], list[float]] = {key: [] for key in stacks}
        for _ in range(settings.rounds):
            for key, stack in stacks.items():
                seconds[key].append(stack.seconds())
    median = {key: statistics.median(each) for key, each in seconds.items()}
    serial = min(each for (size, _), each in median.items() if size == 1)
    base = 0.0 if cuda() else _peak(0)
    return [
        {
            "what": f"{'serial' if size == 1 else 'stack'}, {'compiled' if compiled else 'eager'}",
            "runs": size,
            "images": len(stacks[size, compiled].trainer.supply.train),
            **spread("epochs/s", [size / each for each in seconds[size, compiled]]),
            "compiling s": max(0.0, stack.warm_up - median[size, compiled]) if compiled else 0.0,
            "peak MB": stack.memory if cuda() else _peak(size, compiled) - base,
            "over serial eager": size * median[1, False] / median[size, compiled],
            "over better serial": size * serial / median[size, compiled],
        }
        for (size, compiled), stack in stacks.items()
    ]


def _stacks(settings: Settings, images: Path, sizes: list[int]) -> dict[tuple[int, bool], Warm]:
    """By size and whether compiled, as many as there is memory for."""
    config = config_of("norm=bn", "augment=crop_flip", f"epochs={settings.rounds + 1}")
    supply = supply_of(images, config)
    found: dict[tuple[int, bool], Warm] = {}
    for size in sizes:
        configs = [replace(config, seed=seed) for seed in range(size)]
        try:
            found[size, False] = warm(configs, supply)
            if settings.compiled and size in COMPILED[: None if cuda() else 1]:
                found[size, True] = warm(configs, supply, compiled=True)
        except torch.OutOfMemoryError:
            print(f"stack: {size} runs as one model do not fit into the GPU's memory")
            break
    return found


def _peak(size: int, compiled: bool = False) -> float:
    """The most memory of a process that trains a stack for some steps, in MB."""
    arguments = (str(size), *(["--compiled"] if compiled else []))
    printed = timed("benchmarks.memory", *arguments, cwd=Path(tempfile.gettempdir()))[1]
    return float(printed.splitlines()[-1])
