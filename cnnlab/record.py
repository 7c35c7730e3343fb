"""What a run leaves on disk: the schema of it, and the only code that writes below outputs/.

    <outputs>/<sweep>/plan.json                     the runs of the sweep
    <outputs>/<sweep>/<slug>-<id8>/metrics.csv      a row an epoch: what the training computed
                                   timing.csv       a row an epoch: how long it took
                                   best.safetensors weights at the best validation accuracy
                                   result.json      written last; a run without it is unfinished
    <outputs>/<sweep>/report/                       tables and pictures

Times are kept apart from the metrics because they alone differ when a run is repeated: two runs
of the same seed leave the same metrics.csv, byte for byte.
"""

import csv
import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cnnlab.files import whole

log = logging.getLogger(__name__)

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
    stack_size: int = 1
    device: str
    versions: Mapping[str, str]
    git_commit: str | None = None
    git_dirty: bool | None = None


class Record:
    """Writes one run's record into its directory.

    Files of an unfinished earlier try are replaced; a finished record is refused.

    Attributes:
        outcome: what training found so far

    Args:
        directory: made if it is missing
    """

    def __init__(self, directory: Path):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.outcome = Outcome()
        earlier = read_result(self.directory)
        if earlier is not None and earlier["status"] in FINISHED:
            raise FileExistsError(f"{self.directory}: holds a finished record")
        for name in ("metrics.csv", "timing.csv", "best.safetensors", "result.json"):
            (self.directory / name).unlink(missing_ok=True)

    def epoch(self, metrics: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        """Appends one epoch to metrics.csv and timing.csv; keys as in METRICS and TIMING."""
        _append(self.directory / "metrics.csv", METRICS, metrics)
        _append(self.directory / "timing.csv", TIMING, timing)

    def best(self, weights: Mapping[str, Any]) -> None:
        """Replaces best.safetensors.

        Args:
            weights: NumPy arrays by name
        """
        from safetensors.numpy import save

        write(self.directory / "best.safetensors", save(dict(weights)))

    def finish(self, result: Result) -> None:
        """Writes result.json: from now on the run is over."""
        write_json(self.directory / "result.json", asdict(result))


def tell(result: Mapping[str, Any], directory: Path) -> None:
    """The last lines of a run: what came out, and where the record is."""
    best = result["best_val_accuracy"]
    if best is not None:
        log.info("Best validation accuracy: %.4f (epoch %d)", best, result["best_epoch"])
    if result["status"] != "done":
        log.error("%s: %s", result["status"].capitalize(), result["error"])
    log.info("Record: %s", directory)


def read_result(directory: Path) -> dict[str, Any] | None:
    """A run's result.json; None if it is missing, damaged or of another schema version."""
    try:
        found = json.loads((Path(directory) / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    expected = {f.name for f in fields(Result)}
    valid = isinstance(found, dict) and expected <= found.keys()
    return found if valid and found["schema_version"] == SCHEMA_VERSION else None


def write(path: Path, content: str | bytes) -> None:
    """A file that appears whole or not at all."""
    with whole(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Indented JSON.

    Raises:
        ValueError: if a number is not finite, for which JSON has no word
    """
    write(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def writable(folder: Path) -> str | None:
    """Why nothing can be written below a folder; None if it can. Leaves no trace there."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        return error.strerror


def _append(path: Path, columns: tuple[str, ...], row: Mapping[str, Any]) -> None:
    new = not path.exists()
    with open(path, "a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
