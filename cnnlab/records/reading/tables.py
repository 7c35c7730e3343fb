"""Runs and their records as two tidy tables: one row a run, and one row an epoch of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.records.derived import derived
from cnnlab.records.reading.curves import NONE
from cnnlab.records.reading.found import MEASURED, Found
from cnnlab.records.schema import METRICS

RATE = "epoch_lr"
"""What the lr of an epoch is called in a table, where lr can be a factor."""

_CURVE = [RATE if name == "lr" else name for name in METRICS]

RESERVED = frozenset(
    ("run_id", "sweep", "directory", "variant", "status", "error", "fingerprint", "device",
     "stack_size", "code", *MEASURED, *_CURVE)
)  # fmt: skip
"""Columns that are neither factors nor the seed; no setting has such a name."""


@dataclass
class Run:
    """A run of a sweep, and the record that counts for it.

    Attributes:
        run_id: of the run
        sweep: its name
        directory: of the record
        settings: flat, as in plan.json
        published: numbers, by metric
        found: in the directory
    """

    run_id: str
    sweep: str
    directory: str
    settings: Mapping[str, Any]
    published: Mapping[str, float]
    found: Found


def factors(rows: Sequence[Mapping[str, Any]], typed: Sequence[str] = ()) -> list[str]:
    """The keys in which a sweep's runs differ, those that were typed first.

    The seed is never one, nor what follows from it or from other settings. A number below a group
    is one only where it differs between runs with the same choice of that group: AdamW's beta1 is
    part of optimizer=adamw.

    Args:
        rows: each run's settings
        typed: keys that the sweep names
    """
    keys = dict.fromkeys([*typed, *(key for row in rows for key in row)])
    groups = {key.partition(".")[0] for key in keys if "." in key} & keys.keys()
    found, idle = [], {"seed", *derived(rows)}
    for key in keys:
        group = key.partition(".")[0]
        below = key != group and group in groups
        choices = [row.get(group) if below else None for row in rows]
        values = zip(choices, (row.get(key) for row in rows), strict=True)
        if key not in idle and len(set(values)) > len(set(choices)):
            found.append(key)
    return found


def tables(
    runs: Sequence[Run], typed: Sequence[str] = ()
) -> tuple[list[str], pd.DataFrame, pd.DataFrame]:
    """The factors, the table of runs and the table of epochs, as in `records.reading.sweeps.Sweep`.

    Args:
        runs: of a sweep, in its order
        typed: keys that the sweep names, in its order
    """
    keys = factors([run.settings for run in runs], typed)
    names = {key: "lr" if key == "lr.base" and "lr" not in keys else key for key in keys}
    columns = list(names.values())
    table = _of_runs(runs, names)
    table["variant"] = (
        table.groupby(columns, sort=False, dropna=False).ngroup() if columns and len(runs) else 0
    )
    order = np.argsort(table["variant"].to_numpy(), kind="stable")
    table = table.take(order).reset_index(drop=True)
    return columns, table, _of_epochs(table, [runs[place].found for place in order], columns)


def _of_runs(runs: Sequence[Run], names: Mapping[str, str]) -> pd.DataFrame:
    """All but the variant.

    Args:
        runs: in the table's order
        names: of the factors' columns, by key
    """
    of_runs = [run.found.values for run in runs]
    metrics = dict.fromkeys(metric for run in runs for metric in run.published)
    return pd.DataFrame(
        {
            "run_id": [run.run_id for run in runs],
            "sweep": [run.sweep for run in runs],
            "directory": [run.directory for run in runs],
            **{name: [run.settings.get(key, "-") for run in runs] for key, name in names.items()},
            "seed": [run.settings.get("seed") for run in runs],
            "status": [run.found.status for run in runs],
            "error": pd.Series([each.get("error") for each in of_runs], dtype=object),
            "epoch": [int(run.found.rows[-1, 0]) if len(run.found.rows) else 0 for run in runs],
            "fingerprint": [run.settings.get("data.fingerprint") for run in runs],
            "device": pd.Series([each.get("device") for each in of_runs], dtype=object),
            "stack_size": _numbers([each.get("stack_size") for each in of_runs]),
            "code": pd.Series([each.get("code") for each in of_runs], dtype=object),
            **{name: _numbers([each.get(name) for each in of_runs]) for name in MEASURED},
            **{
                f"published.{metric}": _numbers([run.published.get(metric) for run in runs])
                for metric in metrics
            },
        }
    )


def _numbers(values: list[float | None]) -> pd.Series:
    """A column of floats with NaN for None; of integers where all are."""
    return pd.Series(values, dtype=float if None in values or not values else None)


def _of_epochs(runs: pd.DataFrame, found: Sequence[Found], columns: list[str]) -> pd.DataFrame:
    """The rows of all curves that count.

    Args:
        runs: the table of runs
        found: the records, in its order
        columns: the factors
    """
    kept = [place for place, each in enumerate(found) if each.finished]
    counts = [len(found[place].rows) for place in kept]
    rows = np.concatenate([NONE, *(found[place].rows for place in kept)])
    owners = runs[["run_id", *columns, "variant", "seed"]].take(np.repeat(kept, counts).astype(int))
    curve = pd.DataFrame(rows, columns=_CURVE).astype({"epoch": int})
    return pd.concat([owners.reset_index(drop=True), curve], axis="columns")
