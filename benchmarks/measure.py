"""What several benchmarks share: their settings, whole commands, images in a file."""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import RESULTS

ROOT = Path(__file__).resolve().parent.parent

GRID = ("norm=bn,none", "lr=0.01,0.02,0.1")
"""The grid that the README begins with: six cells."""


@dataclass(frozen=True)
class Settings:
    """What `python -m benchmarks.speed` is told; None: what suits the device.

    Attributes:
        rounds: how often everything is measured
        images: training and validation images, 9 to 1
        epochs: of a short command
        long: epochs of a long one
        most: runs in the largest stack
        data: an .npz file of images; None: random ones
        compiled: whether steps are compiled by PyTorch too
        results: the folder of the tables
    """

    rounds: int = 3
    images: int | None = None
    epochs: int | None = None
    long: int = 30
    most: int | None = None
    data: Path | None = None
    compiled: bool = True
    results: Path = RESULTS


def cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def suited(asked: int | None, cpu: int, gpu: int) -> int:
    """What was asked for, or a number that suits the device."""
    if asked is not None:
        return asked
    return gpu if cuda() else cpu


def timed(
    module: str,
    *arguments: str,
    cwd: Path,
    environment: Mapping[str, str | None] | None = None,
    codes: tuple[int, ...] = (0,),
) -> tuple[float, str]:
    """Seconds of a whole command, and what it printed.

    Args:
        module: that Python executes
        arguments: of the command
        cwd: where it is executed
        environment: besides this process's own; None takes a variable away
        codes: the exit statuses that it may end with
    """
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    merged = {**inherited, **(environment or {})}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd, env={key: value for key, value in merged.items() if value is not None},
        capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode not in codes:
        raise SystemExit(f"{module} {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


@dataclass(frozen=True)
class Trained:
    """What a sweep's command took.

    Attributes:
        clock: seconds of the whole command
        results: of each run, as in its result.json
        epochs: of each run, its share of the seconds of each of its epochs: an epoch of a stack of
            K is shared by K
    """

    clock: float
    results: list[dict[str, Any]]
    epochs: list[list[float]]

    @property
    def done(self) -> int:
        """How many runs came to their end; the others took less time than they should have."""
        return sum(result["status"] == "done" for result in self.results)

    @property
    def work(self) -> float:
        """Seconds that all workers together have trained."""
        return sum(result["seconds"] / result["stack_size"] for result in self.results)

    @property
    def pace(self) -> float:
        """Seconds of one worker for an epoch of all runs, the first of which may compile."""
        return sum(statistics.median(each[1:] or each) for each in self.epochs)

    @property
    def compilation(self) -> float:
        """What the first epochs took longer than the later ones."""
        longer = (each[0] - statistics.median(each[1:] or each) for each in self.epochs)
        return sum(max(0.0, each) for each in longer)


def trained(*overrides: str) -> Trained:
    """Times `python -m cnnlab.run -m <overrides>` where nothing was trained or compiled before."""
    with tempfile.TemporaryDirectory() as place:
        fresh = {"TORCHINDUCTOR_CACHE_DIR": f"{place}/compiled"}
        clock, _ = timed(
            "cnnlab.run", "-m", *overrides, cwd=Path(place), environment=fresh, codes=(0, 1)
        )
        results, epochs = [], []
        for path in Path(place).glob("outputs/*/*/result.json"):
            results.append(json.loads(path.read_text(encoding="utf-8")))
            with open(path.with_name("timing.csv"), encoding="utf-8", newline="") as file:
                seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
            epochs.append([each / results[-1]["stack_size"] for each in seconds])
    if not any(epochs):
        raise SystemExit(f"cnnlab.run -m {' '.join(overrides)}: no run finished an epoch")
    return Trained(clock, results, [each for each in epochs if each])


def workers(runs: int) -> int:
    """How many processes train so many runs by default."""
    from cnnlab.training import devices

    found = devices.environments(workers=None, devices=None, per_device=1, device="auto")
    return min(len(found), runs)


@contextmanager
def images_in(count: int, data: Path | None) -> Iterator[Path]:
    """An .npz file of images of CIFAR-10's size: the first of another file, or random ones."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "images.npz"
        np.savez(place, **_images(count, data))
        yield place


def _images(count: int, data: Path | None) -> dict[str, np.ndarray]:
    if data is not None:
        with np.load(data, allow_pickle=False) as file:
            found = {key: file[key][:count] for key in ("train_images", "train_labels")}
        if len(found["train_labels"]) < count:
            raise SystemExit(f"{data} holds fewer than {count} images; give a smaller --images")
        return found
    random = np.random.default_rng(0)
    labels = np.arange(count) % 10
    patterns = random.integers(96, 160, (10, 32, 32, 3), np.int16)
    noise = random.integers(-64, 64, (count, 32, 32, 3), np.int8)
    return {"train_images": (patterns[labels] + noise).astype(np.uint8), "train_labels": labels}


def training_images(count: int) -> int:
    """How many of the images are trained on, where a tenth validates."""
    return count - count // 10
