"""From records on disk to two tidy tables: one row a run, and one row an epoch of a run.

Nothing here imports torch: a report starts in a second, also where there is no PyTorch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab import planfile, record
from cnnlab.compose import GROUPS

MEASURED = (
    "best_val_accuracy", "best_epoch", "final_val_accuracy", "final_train_accuracy",
    "final_train_loss", "test_accuracy", "initial_loss", "parameters", "macs", "seconds",
)  # fmt: skip
"""What runs.csv takes over from result.json."""

STATES = ("done", "diverged", "failed", "pending", "unreadable")


@dataclass(frozen=True)
class Sweep:
    """One sweep, read from disk.

    Attributes:
        name: of the sweep
        factors: the columns of `runs` that tell its variants apart, in the sweep's order
        runs: a row a run in the sweep's order: run_id, directory, each factor, variant (counted
            from 0), seed, status (one of STATES), error, MEASURED, and published.<metric>
        epochs: a row an epoch of each run that is done or diverged: run_id, each factor, variant,
            seed, and the columns of metrics.csv, of which lr is called epoch_lr here
    """

    name: str
    factors: list[str]
    runs: pd.DataFrame
    epochs: pd.DataFrame


def folders(outputs: Path) -> list[Path]:
    """The sweeps below outputs/, by name: each folder with a plan or a run's result."""
    if not outputs.is_dir():
        return []
    return sorted(
        folder
        for folder in outputs.iterdir()
        if folder.is_dir()
        and ((folder / "plan.json").is_file() or any(folder.glob("*/result.json")))
    )


def read(folder: Path) -> Sweep:
    """Reads one sweep: what was planned, and what was found, finished or not."""
    planned = planfile.read(folder / "plan.json") or {"factors": [], "runs": []}
    rows = {run["run_id"]: {**run, **_found(folder / run["directory"])} for run in planned["runs"]}
    known = {run["directory"] for run in planned["runs"]}
    for path in sorted(folder.glob("*/result.json")):
        if path.parent.name in known:
            continue
        found = _found(path.parent)
        result = found["result"]
        rows[result["run_id"] if result else path.parent.name] = {
            "directory": path.parent.name,
            "settings": planfile.settings(
                result["config"], result["choices"], result["data_fingerprint"]
            )
            if result
            else {},
            "published": {},
            **found,
        }
    keys = factors(
        [row["settings"] for row in rows.values() if row["settings"]], planned["factors"]
    )
    names = {key: "lr" if key == "lr.base" and "lr" not in keys else key for key in keys}
    runs = pd.DataFrame([_row(identity, row, names) for identity, row in rows.items()])
    columns = list(names.values())
    if runs.empty:
        return Sweep(folder.name, columns, runs, runs)
    runs["variant"] = runs.groupby(columns, sort=False, dropna=False).ngroup() if columns else 0
    runs = runs.sort_values("variant", kind="stable", ignore_index=True)
    return Sweep(folder.name, columns, runs, _epochs(folder, runs, columns))


def factors(rows: Sequence[Mapping[str, Any]], typed: Sequence[str] = ()) -> list[str]:
    """The keys in which a sweep's runs differ, those that were typed first.

    The seed is never one. A number below a group is one only where it differs between runs with
    the same choice of that group: AdamW's beta1 is part of optimizer=adamw.
    """
    keys = dict.fromkeys([*typed, *(key for row in rows for key in row)])
    found = []
    for key in keys:
        group = key.partition(".")[0]
        per_choice: dict[Any, set] = {}
        for row in rows:
            choice = row.get(group) if key != group and group in GROUPS else None
            per_choice.setdefault(choice, set()).add(repr(row.get(key)))
        if key != "seed" and any(len(values) > 1 for values in per_choice.values()):
            found.append(key)
    return found


def _found(directory: Path) -> dict[str, Any]:
    """A run's state and result."""
    result = record.read_result(directory)
    if result is not None:
        return {"status": result["status"], "result": result}
    there = (directory / "result.json").exists()
    return {"status": "unreadable" if there else "pending", "result": None}


def _row(identity: str, row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    result = row["result"] or {}
    return {
        "run_id": identity,
        "directory": row["directory"],
        **{name: row["settings"].get(key, "-") for key, name in names.items()},
        "seed": row["settings"].get("seed"),
        "status": row["status"],
        "error": result.get("error"),
        **{name: result.get(name) for name in MEASURED},
        **{f"published.{metric}": value for metric, value in row["published"].items()},
    }


def _epochs(folder: Path, runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    tables = []
    for run in runs[runs["status"].isin(record.FINISHED)].to_dict("records"):
        path = folder / run["directory"] / "metrics.csv"
        try:
            table = pd.read_csv(path).rename(columns={"lr": "epoch_lr"})
        except (OSError, ValueError):  # diverged in its first epoch, or taken away
            continue
        kept = {name: run[name] for name in ("run_id", *columns, "variant", "seed")}
        tables.append(table.assign(**kept))
    if not tables:
        measured = [name if name != "lr" else "epoch_lr" for name in record.METRICS]
        return pd.DataFrame(columns=["run_id", *columns, "variant", "seed", *measured])
    return pd.concat(tables, ignore_index=True)
