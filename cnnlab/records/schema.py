"""What a run leaves on disk: its schema, and the one reader of result.json.

    <outputs>/<sweep>/plan.json                     the runs of the sweep, its history
    <outputs>/<sweep>/<slug>-<id8>/metrics.csv      a row an epoch: what the training computed
                                   timing.csv       a row an epoch: how long it took
                                   best.safetensors weights at the best validation accuracy
                                   checkpoint       what resuming needs; gone once the run is done
                                   result.json      written last; a run without it is unfinished
    <outputs>/<sweep>/report/                       tables and pictures

Times are kept apart from the metrics because they alone differ when a run is repeated: two runs
of the same seed leave the same metrics.csv, byte for byte.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
"""Raised whenever a record's meaning changes; part of every run id."""

METRICS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr")
TIMING = ("epoch", "seconds", "memory_mb")

FINISHED = ("done", "diverged")
"""States that training again would only repeat."""


@dataclass(kw_only=True)
class Outcome:
    """What training found. Losses are means of cross-entropy in nats, accuracies in 0 to 1.

    A value is None where the run did not get there.
    """

    status: str = "done"
    """done, diverged or failed."""
    error: str | None = None
    best_val_accuracy: float | None = None
    best_epoch: int | None = None
    """Counted from 1; the first of equals."""
    final_train_loss: float | None = None
    final_train_accuracy: float | None = None
    final_val_accuracy: float | None = None
    test_accuracy: float | None = None
    """Of the best weights; None unless evaluate_test=true."""
    initial_loss: float | None = None
    """Of the first batch, before the first step."""
    parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates of one image's forward pass."""


@dataclass(kw_only=True)
class Result(Outcome):
    """The content of result.json: the outcome, of which run, and how it came about."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    name: str
    """Of the sweep."""
    config: Mapping[str, Any]
    choices: Mapping[str, str]
    """The option chosen in each config group."""
    overrides: list[str]
    data_fingerprint: str
    seconds: float | None = None
    """On the clock, also those in which only others of its stack were trained."""
    own_seconds: float | None = None
    """Of its epochs, those of each divided by the runs that shared it."""
    stack_size: int = 1
    """How many runs, itself included, were trained as one model in its first epoch."""
    stack: str | None = None
    """A hash of their ids, in order; None: alone."""
    device: str
    versions: Mapping[str, str]
    git_commit: str | None = None
    git_dirty: bool | None = None
    sources: Mapping[str, str] | None = None
    """The code of its parts, a hash for each file; None: trained before records kept it."""


YOUNGER: Mapping[str, Any] = {"sources": None, "stack": None, "own_seconds": None}
"""Keys that are younger than the first records, with the value that they have there."""

REQUIRED = frozenset(each.name for each in fields(Result)) - YOUNGER.keys()
"""The keys of each result.json."""


class Damaged(ValueError):
    """Why a file is of no use."""


def read_result(directory: Path) -> dict[str, Any] | None:
    """A run's result.json; None if it is missing, damaged or of another schema version."""
    try:
        return parsed_result((Path(directory) / "result.json").read_bytes())
    except (OSError, Damaged):
        return None


def parsed_result(data: bytes) -> dict[str, Any]:
    """The content of a result.json.

    Raises:
        Damaged: if it is not that
    """
    result = parsed(data)
    missing = sorted(REQUIRED - result.keys())
    if missing:
        raise Damaged(f"it is incomplete: it has no {', '.join(missing)}")
    result = {**YOUNGER, **result}
    wrong = [key for key, kind in _TYPES.items() if not isinstance(result[key], kind)]
    wrong += ["status"] * (result["status"] not in _STATUSES)
    wrong += ["stack_size"] * (not number(result["stack_size"]))
    if wrong:
        raise Damaged(f"it has no valid {', '.join(wrong)}")
    if result["own_seconds"] is None and number(result["seconds"]):
        result["own_seconds"] = result["seconds"] / max(result["stack_size"], 1)
    return result


_TYPES = {
    "run_id": str, "name": str, "status": str, "error": str | None, "config": dict,
    "choices": dict, "data_fingerprint": str, "device": str, "sources": dict | None,
    "stack": str | None,
}  # fmt: skip
_STATUSES = ("done", "diverged", "failed")


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object of this program's schema.

    Raises:
        Damaged: if it is anything else
    """
    try:
        text = data.decode()
        found = json.loads(text)
        if "\\u" in text:  # half a surrogate pair is a str that no file can hold
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeError:
        raise Damaged("it is not UTF-8") from None
    except (ValueError, RecursionError):
        raise Damaged("it is cut short, or is no JSON") from None
    if not isinstance(found, dict) or "schema_version" not in found:
        raise Damaged("it is incomplete: it has no schema_version")
    if found["schema_version"] != SCHEMA_VERSION:
        raise Damaged(
            f"it is of schema version {str(found['schema_version'])[:20]}; this program reads "
            f"version {SCHEMA_VERSION}"
        )
    return found


def number(value: Any) -> bool:
    """Whether a value is a finite number that a column can hold. True and False are none."""
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is float and math.isfinite(value)


def setting(value: Any) -> bool:
    """Whether a value can be the value of a setting: a text, a finite number, yes, no or none."""
    return value is None or type(value) in (str, bool) or number(value)
