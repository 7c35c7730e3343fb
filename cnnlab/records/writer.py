"""Writes a run's record, and moves records out of the way."""

import csv
import hashlib
import io
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnnlab.core.files import leftovers, settle, write_file, write_json
from cnnlab.records import checkpoint
from cnnlab.records.schema import FINISHED, METRICS, TIMING, YOUNGER, Outcome, Result, read_result
from cnnlab.records.sources import changed

ASIDE = "aside"
"""The folder of a sweep that holds the records which were replaced: by `force=true`, or because
the code has changed."""


class Record:
    """Writes one run's record into its directory.

    Attributes:
        outcome: what training found so far
        epoch: the last finished one; 0 before the first
        place: among the runs that are given to a worker together: by it their log lines are known
        discarded: whether there was a checkpoint that could not be continued
        changed: the files whose code was another when that was made
        own_seconds: of its epochs so far, those of each divided by the runs that shared it

    Args:
        directory: of the record; see `open_record`, which makes it ready
        state: that the run goes on from
        discarded, changed: see above
    """

    def __init__(
        self,
        directory: Path,
        state: checkpoint.Checkpoint,
        *,
        discarded: bool = False,
        changed: Sequence[str] = (),
    ):
        self.directory, self._checkpoint = directory, state
        self.discarded, self.changed = discarded, changed
        self.outcome = Outcome(**state.outcome)
        self.place, self.own_seconds = 0, state.own_seconds
        self._best = {k: v for k, v in state.tensors.items() if k.startswith(_BEST)}
        self._before, self._began = state.seconds, time.perf_counter()

    @property
    def run_id(self) -> str:
        return self._checkpoint.run_id

    @property
    def epoch(self) -> int:
        return self._checkpoint.epoch

    @property
    def state(self) -> dict[str, Any]:
        """The trainer's arrays after that epoch, by name."""
        tensors = self._checkpoint.tensors
        return {name: each for name, each in tensors.items() if not name.startswith(_BEST)}

    @property
    def device(self) -> str:
        """That the run was begun on."""
        return self._checkpoint.made_with.get("device", "unknown")

    @property
    def sources(self) -> Mapping[str, str] | None:
        """The code that the run was begun with, as in Result."""
        return self._checkpoint.made_with.get("sources")

    @property
    def seconds(self) -> float:
        """That the run has taken so far, all its tries together."""
        return self._before + time.perf_counter() - self._began

    @property
    def stack_size(self) -> int:
        """As in Result."""
        return self._checkpoint.stack_size or 1

    @property
    def stack(self) -> str | None:
        """As in Result."""
        return self._checkpoint.stack

    @property
    def best_weights(self) -> dict[str, Any]:
        """The weights at the best validation accuracy so far, arrays by name."""
        return {name.removeprefix(_BEST): array for name, array in self._best.items()}

    def train_with(self, run_ids: Sequence[str]) -> None:
        """Notes with which runs, itself included, it is trained as one model; its first epoch's
        stay."""
        state = self._checkpoint
        if self.epoch and state.stack_size:
            return
        state.stack_size, state.stack = len(run_ids), stack_id(run_ids)
        self.own_seconds = state.seconds / len(run_ids)  # not 0 where an earlier version began it

    def restore_files(self) -> None:
        """Makes the other files agree with the checkpoint, which comes first."""
        for name in ("metrics.csv", "timing.csv", "best.safetensors", "result.json"):
            (self.directory / name).unlink(missing_ok=True)
        self._write_tables()
        if self._best:
            self._write_best()

    def best(self, weights: Mapping[str, Any]) -> None:
        """Replaces best.safetensors.

        Args:
            weights: NumPy arrays by name
        """
        self._best = {_BEST + name: array for name, array in weights.items()}
        self._write_best()

    def add(
        self,
        metrics: Mapping[str, Any],
        timing: Mapping[str, Any],
        state: Mapping[str, Any],
    ) -> None:
        """Notes a finished epoch, and all that is needed to go on from it.

        Args:
            metrics: a row of metrics.csv; keys as in METRICS
            timing: a row of timing.csv; keys as in TIMING
            state: the trainer's arrays, by name
        """
        self._checkpoint.epoch = metrics["epoch"]
        self._checkpoint.metrics.append(dict(metrics))
        self._checkpoint.timing.append(dict(timing))
        self._checkpoint.outcome = asdict(self.outcome)
        self._checkpoint.seconds, self._checkpoint.own_seconds = self.seconds, self.own_seconds
        self._checkpoint.tensors = {**state, **self._best}
        checkpoint.write(self.directory, self._checkpoint)
        _append(self.directory / "metrics.csv", METRICS, metrics)
        _append(self.directory / "timing.csv", TIMING, timing)

    def finish(self, result: Result, *, keep_checkpoint: bool = False) -> None:
        """Writes result.json: from now on the run is over.

        Args:
            result: its content
            keep_checkpoint: of a run that failed through no fault of its own
        """
        write_json(self.directory / "result.json", asdict(result))
        if not keep_checkpoint:
            settle(self.directory)
            (self.directory / checkpoint.NAME).unlink(missing_ok=True)

    def _write_tables(self) -> None:
        for name, columns, rows in (
            ("metrics.csv", METRICS, self._checkpoint.metrics),
            ("timing.csv", TIMING, self._checkpoint.timing),
        ):
            if rows:
                write_file(self.directory / name, _csv(columns, rows, header=True))

    def _write_best(self) -> None:
        from safetensors.numpy import save

        write_file(self.directory / "best.safetensors", save(self.best_weights))


_BEST = "best/"


def open_record(
    directory: Path, run_id: str = "", made_with: Mapping[str, Any] | None = None
) -> Record:
    """A record to write into.

    A try that was cut short is continued from its checkpoint; without one that fits, its files are
    replaced. A finished record is refused, and so is a result that is not this run's.

    Args:
        directory: made if it is missing
        run_id: of the run
        made_with: what its numbers depend on besides its config; a checkpoint that was made with
            anything else is not continued. None: whatever it was made with. Its `sources` count as
            the same where the checkpoint has none

    Raises:
        FileExistsError: if the directory holds what must not be replaced
    """
    directory.mkdir(parents=True, exist_ok=True)
    earlier = read_result(directory)
    if earlier is not None and earlier["status"] in FINISHED:
        raise FileExistsError(f"{directory}: holds a finished record")
    if earlier is None and (directory / "result.json").exists():
        raise FileExistsError(f"{directory}: holds a result.json that is not this run's")
    for path in leftovers(directory):
        path.unlink(missing_ok=True)
    there = checkpoint.read(directory)
    before = there.made_with if there is not None else {}
    now = before if made_with is None else made_with
    files = changed(before.get("sources"), now.get("sources"))
    same = not files and {**before, **YOUNGER} == {**now, **YOUNGER}
    fits = there is not None and there.run_id == run_id and same
    state = there if fits else checkpoint.Checkpoint(run_id=run_id, made_with=made_with or {})
    discarded = there is not None and there.epoch > 0 and not fits
    record = Record(directory, state, discarded=discarded, changed=files)
    if not fits:
        checkpoint.write(directory, state)
    record.restore_files()
    return record


def stack_id(run_ids: Sequence[str]) -> str | None:
    """The name of a stack of runs; None for a run alone."""
    if len(run_ids) == 1:
        return None
    return hashlib.blake2b(" ".join(run_ids).encode(), digest_size=8).hexdigest()


def set_aside(directory: Path) -> Path:
    """Moves a record out of the way of a fresh one, into its sweep's folder `aside`; says where."""
    aside = directory.parent / ASIDE
    aside.mkdir(exist_ok=True)
    number = 1
    while (aside / f"{directory.name}-{number}").exists():
        number += 1
    return directory.rename(aside / f"{directory.name}-{number}")


def tidy(directory: Path) -> None:
    """Takes away what a process left in a finished record that was killed in its last moment."""
    for path in (directory / checkpoint.NAME, *leftovers(directory)):
        path.unlink(missing_ok=True)


def drop_hollow(directory: Path) -> None:
    """Takes away a directory that was made for a run which was then trained elsewhere."""
    hollow = {".hydra", "run.log"}
    if directory.is_dir() and {path.name for path in directory.iterdir()} <= hollow:
        shutil.rmtree(directory)


def _append(path: Path, columns: tuple[str, ...], row: Mapping[str, Any]) -> None:
    new = not path.exists()
    with open(path, "a", encoding="utf-8", newline="") as file:
        file.write(_csv(columns, [row], header=new))


def _csv(columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]], *, header: bool) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
