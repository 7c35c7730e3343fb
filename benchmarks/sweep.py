"""What a sweep costs over its task: `python -m benchmarks.sweep [--runs 1000] [--rounds 3]`.

A task that does nothing is swept over with our sweeper and launcher, and with Hydra's own basic
sweeper and its basic and joblib launchers, one after the other in each round; whole commands are
timed, start-up included. Then 10,000 runs are planned, and the default grid is trained with one and
with two workers.
"""

import argparse
import resource
import statistics
import tempfile
from pathlib import Path

from benchmarks.measure import GRID, timed
from benchmarks.table import keep

BASIC = "hydra/sweeper=basic"
KINDS = {
    "cnnlab": ["seeds={runs}"],
    "basic": ["-m", BASIC, "hydra/launcher=basic", "seed=range({runs})"],
    "joblib": ["-m", BASIC, "hydra/launcher=joblib", "seed=range({runs})"],
}
FEWER = 20
"""Hydra's own get this many times fewer runs, for they take as many times longer."""

PLANNED = ("-m", "norm=bn,none", "lr=range(1,51)", "seeds=100", "plan=true")


def overhead(runs: int, rounds: int) -> list[dict[str, object]]:
    """Seconds a run of an empty task, each kind once a round."""
    counts = {kind: runs if kind == "cnnlab" else max(runs // FEWER, 1) for kind in KINDS}
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, arguments in KINDS.items():
            with tempfile.TemporaryDirectory() as place:
                typed = [text.format(runs=counts[kind]) for text in arguments]
                seconds, _ = timed("benchmarks.empty", *typed, cwd=Path(place))
                found[kind].append(seconds / counts[kind])
    return [
        {
            "what": f"empty task, {kind}",
            "runs": counts[kind],
            "median s/run": statistics.median(each),
            "min s/run": min(each),
            "max s/run": max(each),
        }
        for kind, each in found.items()
    ]


def planning(rounds: int) -> list[dict[str, object]]:
    """Seconds of planning 10,000 runs, the printed table included; memory of the process."""
    seconds = []
    with tempfile.TemporaryDirectory() as place:
        for _ in range(rounds):
            seconds.append(timed("cnnlab.run", *PLANNED, cwd=Path(place))[0])
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    return [
        {
            "what": f"plan of 10,000 (at most {memory:.0f} MB)",
            "runs": 10_000,
            "median s/run": statistics.median(seconds) / 10_000,
            "min s/run": min(seconds) / 10_000,
            "max s/run": max(seconds) / 10_000,
        }
    ]


def parallel(rounds: int) -> list[dict[str, object]]:
    """Seconds a run of the default grid, with one worker and with two."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, each in found.items():
            with tempfile.TemporaryDirectory() as place:
                typed = ["-m", *GRID, f"hydra.launcher.workers={workers}"]
                each.append(timed("cnnlab.run", *typed, cwd=Path(place))[0] / 6)
    return [
        {
            "what": f"default grid, {workers} worker{'s' * (workers > 1)}",
            "runs": 6,
            "median s/run": statistics.median(each),
            "min s/run": min(each),
            "max s/run": max(each),
        }
        for workers, each in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000, help="of the empty task")
    parser.add_argument("--rounds", type=int, default=3, help="of everything")
    asked = parser.parse_args()
    rows = planning(asked.rounds)  # first: the memory is the largest of all processes so far
    rows += overhead(asked.runs, asked.rounds) + parallel(asked.rounds)
    keep("sweep", rows)


if __name__ == "__main__":
    main()
