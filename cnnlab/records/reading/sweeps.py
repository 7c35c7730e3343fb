"""From records on disk to two tidy tables: one row a run, and one row an epoch of a run.

Nothing here imports torch: a report starts in a second, also where there is no PyTorch.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab.core.errors import Refused
from cnnlab.records import history
from cnnlab.records.derived import FINGERPRINT, derived, images
from cnnlab.records.reading import code, counted
from cnnlab.records.reading.counted import Part, signature
from cnnlab.records.reading.found import Problem, stamp
from cnnlab.records.reading.tables import Run, tables
from cnnlab.records.schema import read_result

__all__ = ["STATES", "Problem", "Sweep", "folders", "read", "read_many", "signature"]

STATES = ("done", "diverged", "failed", "pending", "unreadable")


@dataclass(frozen=True)
class Sweep:
    """One sweep, or several as one, read from disk.

    Attributes:
        name: of the sweep; of several, with commas between
        factors: the columns of `runs` that tell its variants apart, in the sweep's order
        runs: a row a run in the sweep's order: run_id, sweep, directory (relative to `folder`),
            each factor, variant (counted from 0), seed, status (one of STATES), error, epoch (the
            last whole one in metrics.csv, 0 before the first), fingerprint (of the data, 8
            characters), device, stack_size, code (of its parts, in short, or
            unknown), `cnnlab.records.reading.found.MEASURED`, and published.<metric>
        epochs: a row an epoch of each run that is done or diverged: run_id, each factor, variant,
            seed, and the columns of metrics.csv, of which lr is called epoch_lr here
        folder: of the sweep; of several, the folder of all records
        baseline: the typed value of some keys, by key; empty where none was named
        question: of the sweep, where its plan tells it
        settings: of each run in `runs`, by run id: flat, with dotted keys
        counts: of runs, by state. Those of which only a damaged record is known are in no table,
            but are counted here
        problems: what on disk is not as it should be
        notices: what else to know before runs are compared
        looks: the seeds that reports had shown, each time that others were asked for
        signature: changes with each file that was read; see `signature`
    """

    name: str
    factors: list[str]
    runs: pd.DataFrame
    epochs: pd.DataFrame
    folder: Path = Path()
    baseline: Mapping[str, Any] = field(default_factory=dict)
    question: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    notices: Sequence[str] = ()
    looks: Sequence[Sequence[int]] = ()
    signature: str = ""

    def config(self, directory: str) -> dict[str, Any] | None:
        """A run's whole config, read when it is asked for; None where there is no record.

        Args:
            directory: of the run, as in `runs`
        """
        result = read_result(self.folder / directory)
        return None if result is None else result["config"]


def folders(outputs: Path) -> list[Path]:
    """The sweeps below outputs/, by name: each folder with a plan or a run's result.

    So is one that cannot be looked into: its report says so.
    """
    try:
        return [outputs / name for name in counted.names(outputs) if _is_sweep(outputs / name)]
    except OSError:
        return []


def _is_sweep(folder: Path) -> bool:
    if stamp(f"{folder}/plan.json") is not None:
        return True
    try:
        return any(stamp(f"{folder}/{name}/result.json") for name in counted.names(folder))
    except NotADirectoryError:
        return False
    except OSError:
        return True


def read(folder: Path, *, cache: bool = True) -> Sweep:
    """Reads one sweep: what was planned, and what was found, finished or not, damaged or not.

    Args:
        folder: of the sweep
        cache: use and keep what was read the last time, in <folder>/report
    """
    part = counted.read(folder, cache=cache)
    return _sweep(folder, [part], list(part.runs.values()), part.plan.factors, folder.name)


def read_many(outputs: Path, names: Sequence[str], *, cache: bool = True) -> Sweep:
    """Reads several sweeps as one.

    A run that several of them have counts once; its `sweep` names them with + between. Runs of
    equal settings and other seeds are seeds of one variant, whichever sweep they are from. But
    where sweeps have the same variants and no run in common, nothing else tells them apart, and
    they may come from other code or machines: then `sweep` is a factor, the first one.

    Args:
        outputs: the folder of all records
        names: of the sweeps
        cache: as for `read`

    Raises:
        Refused: if a sweep is not there, or if they are on different data
    """
    there = [folder.name for folder in folders(outputs)]
    absent = [name for name in names if name not in there]
    if absent:
        known = f"There are: {', '.join(there) or 'none'}."
        raise Refused(f"{name}: no such sweep below {outputs}. {known}" for name in absent)
    parts = {name: counted.read(outputs / name, cache=cache) for name in dict.fromkeys(names)}
    _refuse_different_data(parts)
    several = list(parts.values())
    typed = [key for part in several for key in part.plan.factors]
    if _nothing_tells_apart(several):
        typed.insert(0, "sweep")
        for run in (run for part in several for run in part.runs.values()):
            run.settings = {"sweep": run.sweep, **run.settings}
    return _sweep(outputs, several, _pooled(several), typed, ",".join(parts))


def _sweep(
    folder: Path, parts: Sequence[Part], runs: Sequence[Run], typed: Sequence[str], name: str
) -> Sweep:
    factors, table, epochs = tables(runs, typed)
    counts = Counter(run.found.status for run in runs)
    counts["unreadable"] += sum(part.unknown for part in parts)
    baselines = [part.plan.baseline for part in parts]
    questions = dict.fromkeys(part.plan.question for part in parts if part.plan.question)
    signatures = " ".join(part.signature for part in parts)
    several = len(parts) > 1
    return Sweep(
        name=name,
        factors=factors,
        runs=table,
        epochs=epochs,
        folder=folder,
        baseline=baselines[0] if all(each == baselines[0] for each in baselines) else {},
        question=" ".join(questions) or None,
        settings={run.run_id: run.settings for run in runs},
        counts={state: counts[state] for state in STATES},
        problems=list(dict.fromkeys(each for part in parts for each in part.problems)),
        notices=code.notices(runs, table, factors),
        looks=_looks(folder, parts, table),
        signature=hashlib.sha256(signatures.encode()).hexdigest() if several else signatures,
    )


def _looks(folder: Path, parts: Sequence[Part], runs: pd.DataFrame) -> list[list[int]]:
    """The seeds that reports had shown, each time that others were asked for.

    One of several sweeps that are read together is widened by each later one that shares variants
    with it. Reports of the one are no look at the other's plan; so times tell which came first.
    """
    entries = sorted((e for part in parts for e in part.plan.history), key=lambda e: e["when"])
    if len(parts) < 2:
        return [entry["shown"] for entry in entries]
    reports = history.reports(folder)
    found = []
    for entry in entries:
        seen = runs[runs["run_id"].isin(history.seen_by(reports, entry["when"]))]
        several = seen.groupby("seed")["variant"].nunique() > 1
        found.append(sorted({*entry["shown"], *several.index[several]}))
    return found


# --- several sweeps as one


def _refuse_different_data(parts: Mapping[str, Part]) -> None:
    """Raises Refused if the sweeps are not all on the same data."""
    rows_of = {
        name: rows
        for name, part in parts.items()
        if (rows := [r.settings for r in part.runs.values()])
    }
    data_of = {
        name: {(row.get(FINGERPRINT), row.get("data")) for row in rows}
        for name, rows in rows_of.items()
    }
    idle = frozenset(derived([row for rows in rows_of.values() for row in rows]))
    if FINGERPRINT in idle:  # then the settings tell as much, and more seeds may be more cuts
        marks = {frozenset(images(row, idle) for row in rows) for rows in rows_of.values()}
    else:
        marks = {frozenset(mark for mark, _ in data) for data in data_of.values()}
    if len(marks) > 1:
        lines = "; ".join(
            f"{name} is on {', '.join(sorted(f'{what} ({mark})' for mark, what in data))}"
            for name, data in data_of.items()
        )
        raise Refused(f"Sweeps on different data are not compared: {lines}. Report each by itself.")


def _nothing_tells_apart(parts: Sequence[Part]) -> bool:
    """Whether several sweeps have the same variants and no run in common."""
    idle = {"seed", *derived([run.settings for part in parts for run in part.runs.values()])}
    variants = [
        {
            frozenset((key, value) for key, value in run.settings.items() if key not in idle)
            for run in part.runs.values()
        }
        for part in parts
    ]
    different = len(set().union(*(part.runs for part in parts)))
    return (
        len(parts) > 1
        and all(each == variants[0] for each in variants)
        and different == sum(len(part.runs) for part in parts)
    )


def _pooled(parts: Sequence[Part]) -> list[Run]:
    """Each run once, with the record of the first sweep that has one; directories from outputs."""
    pooled: dict[str, Run] = {}
    for run in (run for part in parts for run in part.runs.values()):
        run.directory = os.path.normpath(f"{run.sweep}/{run.directory}")
        earlier = pooled.setdefault(run.run_id, run)
        if earlier is run:
            continue
        earlier.sweep += f"+{run.sweep}"
        earlier.published = {**run.published, **earlier.published}
        if earlier.found.run_id is None and run.found.run_id is not None:
            earlier.directory, earlier.found = run.directory, run.found
    return list(pooled.values())
