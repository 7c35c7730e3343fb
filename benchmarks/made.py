"""Made-up records of a sweep: `python -m benchmarks.made [--runs 10000] [--epochs 30]`.

A real plan, and records as training leaves them, without training: curves rise to an accuracy that
depends on norm, activation, learning rate and seed. One run in 50 failed, one diverged, and one is
not trained yet. The same call again adds what is missing, so more runs widen the sweep.
"""

import argparse
import json
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cnnlab.planning import plan
from cnnlab.planning.runs import Plan, Run
from cnnlab.records.schema import METRICS, Result

SEEDS = 10
ACTIVATIONS = ("relu", "silu", "gelu", "elu", "tanh")
STEP = 2 * len(ACTIVATIONS) * SEEDS
"""Runs that one learning rate has, with and without batch norm: 100."""


def make(outputs: Path, runs: int, epochs: int = 30, name: str = "made") -> Plan:
    """Writes the plan and the records of a sweep.

    Args:
        outputs: the folder of all records
        runs: how many; a multiple of STEP
        epochs: of each run
        name: of the sweep
    """
    if runs < STEP or runs % STEP:
        raise ValueError(f"runs={runs}: give a multiple of {STEP}")
    rates = ",".join(f"{place / 1000:g}" for place in range(1, runs // STEP + 1))
    plan.forget()
    planned = plan.make(
        (),
        (
            f"name={name}", f"outputs={outputs}", "norm=none,bn", f"lr={rates}", f"epochs={epochs}",
            f"activation={','.join(ACTIVATIONS)}", f"seeds={SEEDS}",
            "data=synthetic", "data.images=200", "data.size=12",
        ),
    )  # fmt: skip
    planned.write()
    for run in planned.runs:
        if run.result is None:
            _record(run, name)
    return planned


def _record(run: Run, name: str) -> None:
    """Writes a run's record, without the flush to the disk that a real one gets."""
    draws = np.random.default_rng(zlib.crc32(run.run_id.encode()))
    fate = draws.integers(50)
    if fate == 0:
        return
    rows = _curve(run, draws)
    status, error = "done", None
    if fate == 1:
        status, error, rows = "failed", "RuntimeError: made up", []
    elif fate == 2:
        status, rows = "diverged", rows[: len(rows) // 3]
        error = f"the loss is not finite at epoch {len(rows) + 1}, step 1; try a smaller lr"
    run.directory.mkdir(parents=True, exist_ok=True)
    if rows:
        lines = [",".join(METRICS), *(",".join(map(repr, row)) for row in rows), ""]
        (run.directory / "metrics.csv").write_text("\n".join(lines))
    result = json.dumps(asdict(_result(run, name, status, error, rows)), indent=2)
    (run.directory / "result.json").write_text(result + "\n")


def _curve(run: Run, draws: np.random.Generator) -> list[tuple]:
    """The rows of metrics.csv."""
    config, choices = run.job.config, run.job.choices
    epoch = np.arange(1, config.epochs + 1)
    top = 0.70 + 0.02 * (choices["norm"] == "bn") + 0.01 * (choices["activation"] == "silu")
    top -= 0.01 * np.log10(config.lr["base"] / 0.02) ** 2
    top += 0.005 * np.random.default_rng(config.seed).normal()  # shared by a seed's runs
    rise = 1 - 0.85 * np.exp(-epoch / 6)
    noise = draws.normal(scale=0.004, size=(2, len(epoch)))
    accuracy = np.clip(top * rise + noise[0], 0, 1)
    train = np.clip((top + 0.1 * epoch / len(epoch)) * rise + noise[1], 0, 1)
    losses = 2.3 * (1 - train), 2.3 * (1 - accuracy)
    columns = (losses[0], train, losses[1], accuracy, np.full(len(epoch), config.lr["base"]))
    return list(zip(epoch.tolist(), *(np.round(each, 6).tolist() for each in columns), strict=True))


def _result(run: Run, name: str, status: str, error: str | None, rows: list[tuple]) -> Result:
    found = {}
    if rows:
        accuracies = [row[4] for row in rows]
        best = max(accuracies)
        found = {
            "best_val_accuracy": best, "best_epoch": accuracies.index(best) + 1,
            "final_train_loss": rows[-1][1], "final_train_accuracy": rows[-1][2],
            "final_val_accuracy": rows[-1][4], "initial_loss": 2.3026, "parameters": 83126,
            "macs": 2021360,
        }  # fmt: skip
    return Result(
        run_id=run.run_id, name=name, status=status, error=error, config=run.job.config.plain(),
        choices=run.job.choices, overrides=[], data_fingerprint=run.fingerprint,
        seconds=2.5 * len(rows), device="cpu", versions={"cnnlab": "made up"}, **found,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000, help=f"a multiple of {STEP}")
    parser.add_argument("--epochs", type=int, default=30, help="of each run")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder")
    asked = parser.parse_args()
    print(make(asked.outputs, asked.runs, asked.epochs).folder)


if __name__ == "__main__":
    main()
