"""Trains runs, each once wherever it is asked for, and leaves their records."""

import faulthandler
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cnnlab.config.compose import GROUPS
from cnnlab.config.schema import Command, command_of, validate
from cnnlab.core import events
from cnnlab.core.console import logged_to
from cnnlab.core.errors import one_line
from cnnlab.core.files import FULL
from cnnlab.core.provenance import git, versions
from cnnlab.data.loading import load
from cnnlab.planning.grid import Job
from cnnlab.planning.plan import Run
from cnnlab.records import locks, lookup
from cnnlab.records.identity import run_id
from cnnlab.records.schema import FINISHED, Result, read_result
from cnnlab.records.sources import sources_of
from cnnlab.records.writer import Record, open_record, set_aside

log = logging.getLogger(__name__)


@dataclass
class Begun:
    """A run in hand.

    Attributes:
        run: which
        record: of it
        device: that it is trained on
        held: its lock and its log, until it ends
    """

    run: Run
    record: Record
    device: str
    held: ExitStack


def train_one(config: DictConfig) -> dict[str, Any]:
    """Trains one run under another launcher than ours, as Hydra calls it with its config.

    An error costs this run only: it is recorded, with its whole traceback in run.log. A run that
    another process finished meanwhile is not trained again.

    Returns:
        `status` (done, diverged or failed), `error`, `directory`, and the best validation accuracy

    Raises:
        cnnlab.core.events.Stopped, Later, Alone, DiskFull: what only the launcher can see to
    """
    plain = OmegaConf.to_container(config, resolve=True)
    checked, hydra = validate(plain), HydraConfig.get()
    choices = {group: hydra.runtime.choices[group] for group in GROUPS}
    job = Job(checked, choices, tuple(hydra.overrides.task), {}, {})
    fingerprint = load(checked.data).fingerprint
    identity = run_id(asdict(checked), fingerprint)
    run = Run(identity, job, fingerprint, Path(hydra.runtime.output_dir), None)
    begun = begin(run, command_of(plain))
    if isinstance(begun, dict):
        return begun
    answers: list[Any] = []
    go_on({0: begun}, lambda _, answer: answers.append(answer))
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


def begin(
    run: Run,
    command: Command,
    place: int = 0,
    prepare: Callable[[Run], None] = lambda run: None,
) -> Begun | dict[str, Any]:
    """Takes a run in hand: its lock, its log, its record.

    Args:
        run: as it was planned; what lies in its directory may be another's by now
        command: what is said of the sweep as a whole
        place: among the runs that are trained together
        prepare: called with the run where it is to be trained, before its record is opened

    Returns:
        what `go_on` takes; or of a run that is finished what `train_one` returns

    Raises:
        cnnlab.core.events.Later, DiskFull: what only the launcher can see to
    """
    own = run.directory.parent
    outputs = own.parent
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.held(outputs, run.run_id, wait=events.listener.patient))
        except locks.Busy as busy:
            raise events.Later(str(run.directory)) from busy
        found, _ = lookup.find(
            outputs, own, {run.run_id: sources_of(run.job.config)},
            elsewhere=not command.force, keep=command.outdated == "keep",
        )  # fmt: skip
        there = found.get(run.run_id)
        result = there and there.result
        if result and there.changed:
            _make_way(there.directory)
        elif result and (result["status"] in FINISHED or command.retry is None):
            for line in ("Another command trained it.", *last_lines(result, there.directory)):
                events.listener.hear({"run": place, "line": line, "level": logging.INFO})
            return outcome_of(result, there.directory)
        directory = lookup.free(run.directory, run.run_id) if there is None else there.directory
        run = replace(run, directory=directory, result=None)
        with _room(directory):
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(logged_to(directory / "run.log", place))
            if result and there.changed:
                log.warning("Trained anew: another code of %s now.", ", ".join(there.changed))
            prepare(run)
            return _recorded(run, place, stack)


def _make_way(directory: Path) -> None:
    """Sets an outdated record aside that the sweep, when it began, could not, or found to count.

    What Hydra has just written there belongs to the new record.
    """
    hydra = set_aside(directory) / ".hydra"
    directory.mkdir()
    if hydra.exists():
        hydra.rename(directory / hydra.name)


def _recorded(run: Run, place: int, stack: ExitStack) -> Begun:
    """Opens a run's record; the locks and logs of `stack` stay until the run ends."""
    from cnnlab.training.device import describe, resolve

    device = describe(resolve(run.job.config.device))
    made_with = {"versions": versions(), "device": device, "sources": sources_of(run.job.config)}
    record = open_record(run.directory, run.run_id, made_with)
    record.place = place
    log.info("%s", run.directory.name, extra={"run": place})
    if record.discarded:
        code = f"another code of {', '.join(record.changed)}" if record.changed else ""
        what = code or "other versions or another device"
        log.warning(
            "Its checkpoint was made with %s: it begins afresh.", what, extra={"run": place}
        )
    return Begun(run, record, device, stack.pop_all())


def go_on(begun: Mapping[int, Begun], answer: Callable[[int, Any], None]) -> None:
    """Trains runs as one model, and leaves their records.

    Args:
        begun: by place among the runs that were given together; alike as `grouping` has it
        answer: called with the place of each run that ended and what `train_one` returns, or with
            what ended it that only the launcher can see to

    Raises:
        cnnlab.core.events.Stopped, DiskFull: what only the launcher can see to
    """
    from cnnlab.training.train import train

    places = list(begun)
    runs = [begun[place] for place in places]
    config = runs[0].run.job.config

    def ended(slot: int, error: Exception | None) -> None:
        with runs[slot].held, _room(runs[slot].run.directory):
            answer(places[slot], _conclude(runs[slot], error))

    with ExitStack() as stack:
        for each in runs:
            stack.enter_context(each.held)
        with _room(runs[0].run.directory):
            # One file, for the process has one such place; a crash ends all of them anyway.
            stack.enter_context(_crashes_in(runs[0].run.directory / "run.log"))
            train(
                [each.run.job.config for each in runs],
                load(config.data),
                [each.record for each in runs],
                compiled=bool(config.compile),
                ended=ended,
            )


def _conclude(begun: Begun, error: Exception | None) -> Any:
    """Records how a run ended; gives what is told of it."""
    run, record = begun.run, begun.record
    own = {"run": record.place}
    if error is not None:  # the boundary that spares the sweep's other runs
        log.debug("The run failed", exc_info=error, extra=own)
        if isinstance(error, OSError) and error.errno in FULL:
            raise error
        if _out_of_memory(error) and not events.listener.alone:
            return events.Alone(one_line(error))
        record.outcome.status = "failed"
        record.outcome.error = one_line(error)
    result = result_of(run, record, begun.device)
    record.finish(result)
    if result.error is not None:
        log.debug("%s: %s", result.status.capitalize(), result.error, extra=own)
    for line in last_lines(asdict(result), run.directory):
        log.info(line, extra=own)
    return outcome_of(asdict(result), run.directory)


@contextmanager
def _room(directory: Path) -> Iterator[None]:
    """Tells a disk that has no room left from other errors."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise events.DiskFull(f"{directory}: {error.strerror}") from error
        log.debug("The run could not be recorded", exc_info=True)
        raise


def unrecorded(run: Run, error: Exception) -> dict[str, Any]:
    """What is told of a run whose error could not be recorded."""
    return {**_FAILED, "error": one_line(error), "directory": str(run.directory)}


_FAILED = {"status": "failed", "best_val_accuracy": None, "best_epoch": None}


def lost(run: Run, reason: str) -> dict[str, Any]:
    """Records a run whose process died with it; what it had reached is kept for another try.

    Returns:
        as `train_one`
    """
    with ExitStack() as stack:
        try:
            outputs = run.directory.parent.parent.resolve()
            stack.enter_context(locks.held(outputs, run.run_id, wait=False))
        except locks.Busy:  # another process goes on with it already
            return {**_FAILED, "error": reason, "directory": str(run.directory)}
        result = read_result(run.directory)
        if result is not None and result["status"] in FINISHED:  # and came to an end
            return outcome_of(result, run.directory)
        record = open_record(run.directory, run.run_id)
        record.outcome.status, record.outcome.error = "failed", reason
        result = result_of(run, record, record.device)
        record.finish(result, keep_checkpoint=True)
    return outcome_of(asdict(result), run.directory)


def result_of(run: Run, record: Record, device: str) -> Result:
    """The content of a run's result.json."""
    commit, dirty = git()
    return Result(
        run_id=run.run_id,
        name=run.directory.parent.name,
        config=asdict(run.job.config),
        choices=run.job.choices,
        overrides=list(run.job.overrides),
        data_fingerprint=run.fingerprint,
        seconds=round(record.seconds, 3),
        stack_size=record.stack_size,
        stack=record.stack,
        device=device,
        versions=versions(),
        git_commit=commit,
        git_dirty=dirty,
        sources=record.sources,
        **vars(record.outcome),
    )


def outcome_of(result: dict[str, Any], directory: Path) -> dict[str, Any]:
    kept = {key: result[key] for key in ("status", "error", "best_val_accuracy", "best_epoch")}
    return {**kept, "directory": str(directory)}


def last_lines(result: Mapping[str, Any], directory: Path) -> list[str]:
    """The last lines of a run: what came out, and where the record is."""
    best = result["best_val_accuracy"]
    place = f"Record: {directory}"
    if best is None:
        return [place]
    return [f"Best validation accuracy: {best:.4f} (epoch {result['best_epoch']})", place]


def _out_of_memory(error: BaseException) -> bool:
    """PyTorch's CPU allocator has no exception of its own."""
    import torch

    known = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, known) or "DefaultCPUAllocator" in str(error)


@contextmanager
def _crashes_in(path: Path) -> Iterator[TextIO]:
    """A crash below Python (a segmentation fault, an abort) leaves its traceback in a file.

    So does SIGUSR1, with which the launcher asks a hanging run where it hangs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = faulthandler.is_enabled()
    with open(path, "a", encoding="utf-8") as file:
        faulthandler.enable(file)
        faulthandler.register(signal.SIGUSR1, file)
        try:
            yield file
        finally:
            faulthandler.unregister(signal.SIGUSR1)
            faulthandler.disable()
            if before:
                faulthandler.enable()
