"""What several test files share. Everything runs on the CPU, in one thread."""

import csv
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before PyTorch looks, here and in every process below
os.environ["CNNLAB_CACHE"] = os.devnull + "/none"  # no test finds what another one measured

import pytest
import torch
from kill import Sweep, alive
from omegaconf import OmegaConf

from cnnlab.config.checking import validate
from cnnlab.config.compose import compose
from cnnlab.config.schema import Config
from cnnlab.planning.grammar import normalise

ROOT = Path(__file__).resolve().parent.parent

SMALL = ("data=synthetic", "data.images=80", "data.size=12", "data.classes=4", "batch_size=32")
"""Three steps an epoch, the last one smaller; a run of two epochs takes 0.1 s."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _away_from_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the project's own outputs/ or data/."""
    monkeypatch.chdir(tmp_path)


def config_of(*overrides: str) -> Config:
    """The checked config that Hydra composes."""
    config, _ = compose(tuple(normalise(text) for text in overrides))
    return validate(OmegaConf.to_container(OmegaConf.create(config), resolve=True))


def python_path(*more: Path) -> str:
    """PYTHONPATH for a process of its own: the project, and what this one has."""
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    return os.pathsep.join([str(ROOT), *map(str, more), *inherited])


def command(
    module: str,
    *arguments: str,
    cwd: Path,
    environment: dict[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m cnnlab.<module>` as a person would, and waits."""
    return subprocess.run(
        [sys.executable, "-m", f"cnnlab.{module}", *arguments],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": python_path(),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "80",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=timeout,
    )


# --- commands that are watched, and disturbed


def injected(place: Path, code: str) -> dict[str, str]:
    """What is in the environment of processes that run some code before anything else."""
    site = place / "site"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": python_path(site)}


def epochs(sweep: Sweep) -> dict[Path, int]:
    """How many rows each run's metrics.csv has."""
    found = {}
    for path in sweep.folder.glob("*/metrics.csv"):
        with suppress(FileNotFoundError), open(path, encoding="utf-8", newline="") as file:
            found[path.parent] = len(list(csv.reader(file))) - 1
    return found


def until(condition, process, seconds: float = 60) -> None:
    """Waits until something is so, while a process lives."""
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        assert process.poll() is None, "the process ended before"
        time.sleep(0.02)
    raise AssertionError("that never came")


def trainer_of(folder: Path, session: int) -> int:
    """The process that has a run in hand: the one that has its log open."""
    for number in alive(session):
        for handle in Path(f"/proc/{number}/fd").iterdir():
            with suppress(OSError):
                if handle.readlink() == folder / "run.log":
                    return number
    raise AssertionError(f"nobody trains {folder}")


def told_again(sweep: Sweep) -> list[str]:
    """The labels of the runs that are said to be tried again."""
    lines = [line for line in sweep.printed().splitlines() if "tried again, alone" in line]
    return sorted(line.partition(" ")[0] for line in lines)
