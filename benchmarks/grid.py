"""Against the lab's own way: a grid of six cells, whole commands, start-up included.

The student's script (`benchmarks.reference`) runs with 0 and with 2 DataLoader workers, on a CPU
with PyTorch's own number of threads and with one; each round takes what is fastest for one epoch of
one cell. Its time for many epochs is extrapolated, ours is measured.
"""

import json
import statistics
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    GRID,
    Settings,
    Trained,
    cuda,
    images_in,
    suited,
    timed,
    trained,
    training_images,
    workers,
)
from benchmarks.table import spread

CELLS = 6

Way = tuple[int, str | None]
"""How the student's script runs: DataLoader workers, and OMP_NUM_THREADS."""


def rows(settings: Settings) -> list[dict[str, Any]]:
    count = suited(settings.images, cpu=10_000, gpu=50_000)
    short = suited(settings.epochs, cpu=1, gpu=2)
    students: list[tuple[float, list[float]]] = []
    ours: dict[int, list[Trained]] = {short: [], settings.long: []}
    ways = []
    with images_in(count, settings.data) as images:
        for _ in range(settings.rounds):
            ways.append(_fastest(images))
            students.append(_student(images, ways[-1], "--epochs", str(short)))
            for epochs, each in ours.items():
                typed = ("augment=crop_flip", "data=npz", f"data.path={images}", f"epochs={epochs}")
                each.append(trained(*GRID, *typed))
    about = {"images": training_images(count), "runs": CELLS}
    found = [_of_student(students, ways, short, settings.long) | about]
    found += [_of_ours(each, epochs, settings.long) | about for epochs, each in ours.items()]
    for row in found:
        for key in ("s/epoch", f"{settings.long} epochs s"):
            row[f"{key}, times faster"] = found[0][key] / row[key]
    return found


def _fastest(images: Path) -> Way:
    """The best way to run the student's script."""
    threads = (None,) if cuda() else (None, "1")
    one = ("--norms", "bn", "--rates", "0.01")
    clocks = {way: _student(images, way, *one)[0] for way in product((0, 2), threads)}
    return min(clocks, key=clocks.__getitem__)


def _student(images: Path, way: Way, *arguments: str) -> tuple[float, list[float]]:
    """Seconds of the whole script, and of each of its epochs."""
    loading = ("--workers", str(way[0]))
    clock, printed = timed(
        "benchmarks.reference", str(images), *loading, *arguments,
        cwd=Path(tempfile.gettempdir()), environment={"OMP_NUM_THREADS": way[1]},
    )  # fmt: skip
    return clock, json.loads(printed.splitlines()[-1])


def _of_student(
    students: list[tuple[float, list[float]]], ways: list[Way], short: int, long: int
) -> dict[str, Any]:
    paces = [sum(epochs) / short for _, epochs in students]
    start = statistics.median(clock - sum(epochs) for clock, epochs in students)
    told = dict.fromkeys(
        f"DataLoader workers {number}, threads {threads or 'all'}" for number, threads in ways
    )
    return {
        "what": "the lab's own way",
        "how": "; ".join(told),
        "done": CELLS,
        "epochs": short,
        **spread("command s", [clock for clock, _ in students]),
        "start-up s": start,
        "compiling s": 0.0,
        **spread("s/epoch", paces),
        f"{long} epochs s": start + long * statistics.median(paces),
    }


def _of_ours(each: list[Trained], epochs: int, long: int) -> dict[str, Any]:
    at_once = workers(CELLS)
    sizes = {result["stack_size"] for found in each for result in found.results}
    clock = statistics.median(found.clock for found in each)
    paces = [found.pace / at_once for found in each]
    pace = statistics.median(paces)
    compiling = statistics.median(found.compilation for found in each) / at_once
    return {
        "what": "cnnlab",
        "how": f"{at_once} workers, stacks of {', '.join(map(str, sorted(sizes)))}",
        "done": min(found.done for found in each),
        "epochs": epochs,
        **spread("command s", [found.clock for found in each]),
        "start-up s": max(0.0, clock - epochs * pace - compiling),
        "compiling s": compiling,
        **spread("s/epoch", paces),
        f"{long} epochs s": clock + (long - epochs) * pace,
    }
