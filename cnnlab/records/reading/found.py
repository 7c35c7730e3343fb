"""What lies in the folders of runs: each record looked at, read and judged, whatever its state.

A record is read again only if a file of it has changed. What is damaged is told, and none of its
numbers is used.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnlab.core.metrics import METRICS
from cnnlab.records.identity import settings
from cnnlab.records.reading import curves
from cnnlab.records.schema import FINISHED, Damaged, number, parsed_result, setting
from cnnlab.records.sources import code_of

MEASURED = (*METRICS, "best_epoch", "initial_loss", "parameters", "macs", "seconds",
            "own_seconds")  # fmt: skip
"""The numbers that are taken over from result.json."""

OTHER = ("error", "device", "stack_size")
"""What else is taken over."""

AGAIN = "Move the folder away: the sweep's command then trains the run again."
"""What helps where a record is lost."""

READABLE = "Make it readable, e.g. with chmod -R u+rX."

Stamp = list[int] | str | None
"""What tells a file from a later one of its name: its size and the times at which its content and
its rights changed, in ns; why it cannot be looked at; or None where there is none."""


class Unreadable(Damaged):
    """A file that the system does not hand out; it may do so the next time."""


@dataclass(frozen=True)
class Problem:
    """Something on disk that is not as it should be, for the top of a report.

    Attributes:
        path: relative to outputs/
        what: is wrong, and what of it counts all the same
        remedy: what to do
    """

    path: str
    what: str
    remedy: str


@dataclass
class Found:
    """One run's folder.

    Attributes:
        stamps: of result.json and of metrics.csv, and whether the settings were wanted
        status: done, diverged, failed, pending or unreadable
        run_id: None where there is no record that can be used
        values: MEASURED, OTHER and `code`, short for the sources; empty where there is no record
            that can be used
        sources: as in result.json
        settings: as in plan.json, where they were wanted
        problems: file, what is wrong, what to do
        rows: of metrics.csv, (epochs, columns)
        lasting: whether the same files would be found to be the same the next time
    """

    stamps: list[Any]
    status: str = "pending"
    run_id: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] | None = None
    settings: dict[str, Any] | None = None
    problems: list[list[str]] = field(default_factory=list)
    rows: np.ndarray = field(default_factory=lambda: curves.NONE)
    lasting: bool = True

    @property
    def finished(self) -> bool:
        return self.status in FINISHED


def stamp(path: str) -> Stamp:
    """The stamp of a file; links are followed."""
    try:
        there = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        return getattr(error, "strerror", None) or str(error)
    if not stat.S_ISREG(there.st_mode):  # reading a pipe could wait for ever
        return "it is a folder" if stat.S_ISDIR(there.st_mode) else "it is no file"
    return [there.st_size, there.st_mtime_ns, there.st_ctime_ns]


def content(path: str, stamp: Stamp) -> bytes | None:
    """The content of a file that was looked at; None where there is none.

    Raises:
        Damaged: if it cannot be read
    """
    if stamp is None:
        return None
    if isinstance(stamp, str):
        raise Damaged(stamp)
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except FileNotFoundError:  # taken away since
        return None
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None


def look(folder: str, directories: Iterable[str], *, settings: bool) -> dict[str, list[Any]]:
    """The stamps of records; nothing is read.

    Args:
        folder: of the sweep
        directories: relative to it
        settings: whether they are wanted: where plan.json does not tell them
    """
    return {
        name: [
            stamp(f"{folder}/{name}/result.json"), stamp(f"{folder}/{name}/metrics.csv"), settings
        ]
        for name in directories
    }  # fmt: skip


def read(
    folder: str, stamps: Mapping[str, list[Any]], known: Mapping[str, Found]
) -> dict[str, Found]:
    """Reads the records that were looked at, and of those that are known only what has changed.

    Args:
        folder: of the sweep
        stamps: by directory, as `look` has them
        known: by directory, as this has returned them
    """
    found, tables = {}, {}
    for name, each in stamps.items():
        if name in known and known[name].stamps == each:
            found[name] = known[name]
        else:
            found[name], tables[name] = _record(f"{folder}/{name}", each)
    parsed = curves.parse(list(tables.values()))
    for name, (rows, faults) in zip(tables, parsed, strict=True):
        _add_curve(found[name], rows, faults)
    return found


def _record(directory: str, stamps: list[Any]) -> tuple[Found, bytes]:
    """What result.json tells, and the content of metrics.csv."""
    found, table = Found(stamps), b""
    try:
        data = content(f"{directory}/result.json", stamps[0])
        if data is not None:
            _take(found, parsed_result(data))
    except Damaged as damaged:
        found.status = "unreadable"
        found.problems = [["result.json", f"{damaged}. The run does not count", _remedy(damaged)]]
        found.lasting = not isinstance(damaged, Unreadable)
        return found, b""
    try:
        table = content(f"{directory}/metrics.csv", stamps[1]) or b""
    except Damaged as damaged:
        found.problems.append(["metrics.csv", f"{damaged}. The curve is missing", _remedy(damaged)])
        found.lasting = not isinstance(damaged, Unreadable)
    return found, table


def _remedy(damaged: Damaged) -> str:
    if isinstance(damaged, Unreadable) or "denied" in str(damaged):
        return READABLE
    return AGAIN


def _take(found: Found, result: Mapping[str, Any]) -> None:
    """Takes over what a report needs of a result.

    Raises:
        Damaged: if its settings are none
    """
    if found.stamps[2]:
        found.settings = _settings(result)
    values = {name: result[name] for name in (*MEASURED, *OTHER)}
    for name in MEASURED:
        value = values[name]
        if value is not None and not (number(value) and _possible(name, value)):
            values[name] = None
            what = f"{name} is {str(value)[:40]}, which it cannot be. It does not count"
            found.problems.append(["result.json", what, AGAIN])
    values["code"] = code_of(result["sources"])
    found.status, found.run_id, found.values = result["status"], result["run_id"], values
    found.sources = result["sources"]


def _possible(name: str, value: float) -> bool:
    return value >= 0 and (value <= 1 or not name.endswith("accuracy"))


def _settings(result: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = settings(result["config"], result["choices"], result["data_fingerprint"])
    except (AttributeError, KeyError, TypeError):
        raise Damaged("its config and choices do not fit together") from None
    if not all(map(setting, found.values())):
        raise Damaged("its config has a value that no setting can have")
    return found


def _add_curve(found: Found, rows: np.ndarray, faults: list[str]) -> None:
    """Adds what metrics.csv holds. Of an unfinished run it may be half-written at any time."""
    found.rows = rows
    if not found.finished or isinstance(found.stamps[1], str) or not found.lasting:
        return
    last = found.values["final_val_accuracy"]
    if not faults and not len(rows) and found.status == "done":
        faults = ["it is missing or empty. The numbers of result.json count"]
    elif not faults and len(rows) and last is not None and rows[-1, curves.ACCURACY] != last:
        faults = ["its last epoch is not the one of result.json. Both count"]
    found.problems += [["metrics.csv", fault, AGAIN] for fault in faults]
