"""What a report costs: `python -m benchmarks.report [--most] [--rounds 3]`.

Whole commands are timed, start-up and imports included, on made-up records: the report from cold
(nothing of an earlier report is there), again with nothing changed, and with 100 new runs. Beside
them the reading alone, and a plain pandas loop over the same files. In each round all of them take
their turn. The files are in the system's own cache, as they are after training. `busy` is the time
of the processor, which neighbours on a shared machine do not lengthen as they do the clock's.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.made import STEP
from benchmarks.table import keep
from cnnlab.records import plan_file

ROOT = Path(__file__).resolve().parent.parent
SIZES = (100, 1_000, 10_000)
MOST = 30_000
PARTS = ("report", "reading", "plain")
STATES = ("cold", "again", f"{STEP} new")


class Cost(NamedTuple):
    """Of one command.

    Attributes:
        clock: seconds
        busy: seconds of the processor
        memory: at its peak, in MB
    """

    clock: float
    busy: float
    memory: float


def timed(*arguments: str) -> Cost:
    """What `python -m ...` costs, which must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=environment, stdout=told, stderr=told
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        clock = time.perf_counter() - began
        if process.returncode:
            told.seek(0)
            raise SystemExit(f"{' '.join(arguments)}:\n{told.read().decode()}")
    memory = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Cost(clock, used.ru_utime + used.ru_stime, memory)


def plain(folder: Path) -> None:
    """The loop that one would write: each file by itself, then a mean of each variant."""
    import pandas as pd

    runs, curves = [], []
    for path in sorted(folder.glob("*/result.json")):
        with open(path) as file:
            result = json.load(file)
        keys = {**result["choices"], "rate": result["config"]["lr"]["base"]}
        runs.append({**keys, **{key: result[key] for key in ("status", "best_val_accuracy")}})
        if result["status"] == "done":
            curves.append(pd.read_csv(path.with_name("metrics.csv")).assign(**keys))
    factors = ["norm", "activation", "rate"]
    done = pd.DataFrame(runs).query("status == 'done'")
    print(done.groupby(factors)["best_val_accuracy"].mean())
    print(pd.concat(curves).groupby([*factors, "epoch"])["val_accuracy"].mean())


def reading(folder: Path) -> None:
    """What a report reads before it computes anything."""
    from cnnlab.records.reading import sweeps

    sweep = sweeps.read(folder)
    print(len(sweep.runs), len(sweep.epochs), sweep.problems)


def measure(runs: int, rounds: int, parts: Sequence[str], place: Path) -> list[dict[str, object]]:
    """Everything for a sweep of one size, interleaved."""
    outputs, aside = place / "outputs", place / "aside"
    folder = outputs / "made"
    # In a process of its own: what a process has held counts for those that it starts.
    timed("benchmarks.made", "--runs", str(runs + STEP), "--outputs", str(outputs))
    planned = plan_file.read(folder / "plan.json")["runs"]
    there = [each for each in planned if (folder / each["directory"]).is_dir()]
    late = [folder / each["directory"] for each in there[-STEP:]]
    commands = {
        "report": ("cnnlab.report", f"outputs={outputs}"),
        "reading": ("benchmarks.report", "--read", str(folder)),
    }
    found: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        for part, command in commands.items():
            if part in parts:
                for state, cost in _in_each_state(command, folder, late, aside).items():
                    found.setdefault(f"{part}, {state}", []).append(cost)
        if "plain" in parts:
            cost = timed("benchmarks.report", "--loop", str(folder))
            found.setdefault("plain loop", []).append(cost)
    return [_row(what, runs, costs) for what, costs in found.items()]


def _in_each_state(
    command: Sequence[str], folder: Path, late: Sequence[Path], aside: Path
) -> dict[str, Cost]:
    """Times a command from cold and without the late runs, once more, and with them."""
    aside.mkdir()
    for directory in late:
        directory.rename(aside / directory.name)
    shutil.rmtree(folder / "report", ignore_errors=True)
    costs = {state: timed(*command) for state in STATES[:2]}
    for directory in late:
        (aside / directory.name).rename(directory)
    aside.rmdir()
    return {**costs, STATES[2]: timed(*command)}


def _row(what: str, runs: int, costs: Sequence[Cost]) -> dict[str, object]:
    row: dict[str, object] = {"what": what, "runs": runs}
    for name in ("clock", "busy"):
        seconds = [getattr(cost, name) for cost in costs]
        row[f"{name} s"] = statistics.median(seconds)
        row |= {f"{name} s, min": min(seconds), f"{name} s, max": max(seconds)}
    return {**row, "peak MB": round(max(cost.memory for cost in costs))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most", action="store_true", help=f"also {MOST:,} runs")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of runs")
    parser.add_argument("--rounds", type=int, default=3, help="of everything")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="of these only")
    parser.add_argument("--loop", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.loop is not None:
        plain(asked.loop)
        return
    if asked.read is not None:
        reading(asked.read)
        return
    rows = []
    for runs in (*asked.sizes, *[MOST] * asked.most):
        with tempfile.TemporaryDirectory() as place:
            rows += measure(runs, asked.rounds, asked.parts, Path(place))
    keep("report", rows)


if __name__ == "__main__":
    main()
