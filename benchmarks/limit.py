"""Against the limit: the arithmetic of training, at the rate of a large matrix product.

The limit counts the forward and backward passes of the training images only, by
`torch.utils.flop_counter`; what is measured is an epoch with augmentation, the optimizer and
validation. The rate is the best of several sizes, of one thread, measured in the same rounds; a
sweep of several workers has as many times that rate.
"""

import statistics
import time
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import GRID, Settings, cuda, images_in, suited, trained, workers
from benchmarks.table import spread
from benchmarks.trainers import Warm, config_of, supply_of, warm
from cnnlab.config.schema import Config
from cnnlab.training.assemble import assemble

STACKS = (1, 3, 6)
BATCH = 128
SECONDS = 0.3
"""That each size of a matrix product is repeated."""


def rows(settings: Settings) -> list[dict[str, Any]]:
    count = suited(settings.images, cpu=5_000, gpu=50_000)
    epochs = suited(settings.epochs, cpu=10, gpu=10)
    rates, sweeps = [], []
    with images_in(count, settings.data) as images:
        stacks = _stacks(settings, images)
        seconds: dict[tuple[str, int, bool], list[float]] = {key: [] for key in stacks}
        for _ in range(settings.rounds):
            rates.append(rate())
            for key, stack in stacks.items():
                seconds[key].append(stack.seconds())
            typed = ("augment=crop_flip", "data=npz", f"data.path={images}", f"epochs={epochs}")
            sweeps.append(trained(*GRID, *typed))
    any_stack = next(iter(stacks.values()))
    shape, trained_on = any_stack.trainer.supply.data.shape, len(any_stack.trainer.supply.train)
    flops = arithmetic(config_of(), shape, len(any_stack.trainer.supply.data.classes))
    limit = flops * trained_on / statistics.median(rates)  # s an epoch and run
    about = {
        "images": trained_on,
        "MFLOP/image": flops / 1e6,
        **spread("GFLOP/s", [each / 1e9 for each in rates]),
    }
    found = [
        {
            "what": f"norm={norm}, {'compiled' if compiled else 'eager'}",
            "runs": size,
            **about,
            "limit s/epoch": size * limit,
            **spread("s/epoch", seconds[norm, size, compiled]),
        }
        for norm, size, compiled in stacks
    ]
    at_once = workers(len(sweeps[0].results))
    found.append(
        {
            "what": f"the grid's command, {epochs} epochs, {at_once} workers",
            "runs": len(sweeps[0].results),
            **about,
            "limit s/epoch": len(sweeps[0].results) * limit / at_once,
            **spread("s/epoch", [each.pace / at_once for each in sweeps]),
        }
    )
    return [{**row, "times the limit": row["s/epoch"] / row["limit s/epoch"]} for row in found]


def _stacks(settings: Settings, images: Any) -> dict[tuple[str, int, bool], Warm]:
    """By norm, size and whether compiled; on a CPU only single runs are compiled, for each takes
    20 s."""
    found = {}
    supply = supply_of(images, config_of())
    for norm in ("none", "bn"):
        config = config_of(f"norm={norm}", "augment=crop_flip", f"epochs={settings.rounds + 1}")
        for size in STACKS:
            rates = [0.01 * (1 + number) for number in range(size)]
            configs = [replace(config, lr={**config.lr, "base": each}) for each in rates]
            found[norm, size, False] = warm(configs, supply)
            if settings.compiled and (size == 1 or cuda()):
                found[norm, size, True] = warm(configs, supply, compiled=True)
    return found


def arithmetic(config: Config, shape: tuple[int, int, int], classes: int) -> float:
    """Floating-point operations of a training step, for each image."""
    model = assemble(config, shape, classes)
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.zeros(BATCH, *shape))
        F.cross_entropy(logits, torch.zeros(BATCH, dtype=torch.long)).backward()
    return counter.get_total_flops() / BATCH


def rate() -> float:
    """Floating-point operations a second of a large product of float32 matrices."""
    sizes = (2048, 4096, 8192) if cuda() else (256, 512, 1024, 2048)
    return max(2 * size**3 / _product(size) for size in sizes)


def _product(size: int) -> float:
    """Seconds of the fastest of several products."""
    one, other = _matrices(size)
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(one, other)
        if one.is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return best


@cache
def _matrices(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    device = "cuda" if cuda() else "cpu"
    return torch.randn(size, size, device=device), torch.randn(size, size, device=device)
