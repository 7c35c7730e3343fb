"""The homework's table with 100 seeds, 600 runs of 30 epochs, in one command.

It is for a GPU: the goal is under 3 minutes on an H200. Without one the same command runs with
small numbers.
"""

from typing import Any

from benchmarks.measure import Settings, cuda, images_in, suited, trained, training_images
from benchmarks.table import spread

VARIANTS = 6


def rows(settings: Settings) -> list[dict[str, Any]]:
    count = suited(settings.images, cpu=1_000, gpu=50_000)
    epochs = suited(settings.epochs, cpu=2, gpu=30)
    seeds = suited(settings.most, cpu=2, gpu=100)
    rounds = 1 if cuda() else settings.rounds  # minutes each
    with images_in(count, settings.data) as images:
        typed = ("data=npz", f"data.path={images}", f"seeds={seeds}", f"epochs={epochs}")
        found = [trained("sweeps=homework", *typed) for _ in range(rounds)]
    sizes = {result["stack_size"] for each in found for result in each.results}
    runs = VARIANTS * seeds
    return [
        {
            "what": "the homework's table",
            "runs": runs,
            "epochs": epochs,
            "images": training_images(count),
            "done": min(each.done for each in found),
            "stacks of": ", ".join(map(str, sorted(sizes))),
            **spread("command s", [each.clock for each in found]),
            **spread("runs/s", [runs / each.clock for each in found]),
            "note": "" if cuda() else "no CUDA device: small numbers",
        }
    ]
