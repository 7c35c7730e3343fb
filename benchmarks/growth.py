"""Growth: what a run costs among 1, 10 and 100, and with 1, 2 and 4 times the images.

One worker trains, so that the clock is the cost. What a run costs is its training, read from the
records, and what the clock says that the further runs or images of a row took over the row before:
start-up is in both.
"""

import math
import statistics
from typing import Any

from benchmarks.measure import Settings, Trained, suited, trained, training_images
from benchmarks.table import spread

RUNS = (1, 10, 100)
TIMES = (1, 2, 4)
FEW = 20
"""Runs where the images grow."""


def rows(settings: Settings) -> list[dict[str, Any]]:
    images = suited(settings.images, cpu=1_000, gpu=20_000)
    epochs = suited(settings.epochs, cpu=2, gpu=4)
    most = suited(settings.most, cpu=100, gpu=100)
    counts = [count for count in RUNS if count <= most]
    kinds = {
        "runs": [(count, images) for count in counts],
        "images": [(FEW, times * images) for times in TIMES],
    }
    found: dict[tuple[int, int], list[Trained]] = {}
    _sweep(1, images, 1)  # files are read for the first time
    for _ in range(settings.rounds):
        for each in (size for sizes in kinds.values() for size in sizes):
            found.setdefault(each, []).append(_sweep(*each, epochs))
    return [row for kind, sizes in kinds.items() for row in _rows(kind, sizes, found, epochs)]


def _sweep(runs: int, images: int, epochs: int) -> Trained:
    return trained(
        f"seeds={runs}", "data=synthetic", f"data.images={images}", "augment=crop_flip",
        f"epochs={epochs}", "hydra.launcher.workers=1",
    )  # fmt: skip


def _rows(
    kind: str,
    sizes: list[tuple[int, int]],
    found: dict[tuple[int, int], list[Trained]],
    epochs: int,
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    before, clock_before, first = 0, 0.0, math.nan
    for runs, images in sizes:
        each = found[runs, images]
        work = runs * training_images(images) * epochs  # images seen
        clock = statistics.median(one.clock for one in each)
        further = 1e6 * (clock - clock_before) / (work - before) if before else math.nan
        first = further if math.isnan(first) else first
        costs = spread("us/image", [1e6 * one.work / work for one in each])
        base = made[0]["us/image"] if made else costs["us/image"]
        made.append(
            {
                "what": f"more {kind}",
                "runs": runs,
                "images": training_images(images),
                "epochs": epochs,
                "done": min(one.done for one in each),
                **spread("command s", [one.clock for one in each]),
                **costs,
                "us/image, change %": 100 * (costs["us/image"] / base - 1),
                "further us/image": further,
                "further us/image, change %": 100 * (further / first - 1),
            }
        )
        before, clock_before = work, clock
    return made
