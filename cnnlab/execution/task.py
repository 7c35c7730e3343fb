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

from cnnlab.config.checking import command_of, validate
from cnnlab.config.options import groups
from cnnlab.config.schema import Command
from cnnlab.core import events
from cnnlab.core.console import logged_to
from cnnlab.core.errors import one_line
from cnnlab.core.files import FULL
from cnnlab.core.provenance import git, versions
from cnnlab.data.loading import load
from cnnlab.planning.grid import Job
from cnnlab.planning.runs import Run
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
    another process finished meanwhile is not trained again, nor one whose images have changed.

    Returns:
        `status` (done, diverged or failed), `error`, `directory`, and the best validation accuracy

    Raises:
        cnnlab.core.events.Stopped, Later, Alone, DiskFull: what only the launcher can see to
    """
    plain = OmegaConf.to_container(config, resolve=True)
    checked, hydra = validate(plain), HydraConfig.get()
    choices = {group: hydra.runtime.choices[group] for group in groups()}
    job = Job(checked, choices, tuple(hydra.overrides.task), {}, {})
    fingerprint = load(checked.data).fingerprint
    identity = run_id(checked.plain(), fingerprint)
    directory = Path(hydra.runtime.output_dir)
    run = Run(identity, job, fingerprint, directory, None)
    if not lookup.is_of(directory.name, identity):
        changed = f"data.path={checked.data['path']}" if "path" in checked.data else "data"
        error = f"{changed}: its images have changed since the plan. The same command plans anew."
        return unrecorded(run, error)
    begun = begin(run, command_of(plain), locked(run))
    if isinstance(begun, dict):
        return begun
    answers: list[Any] = []
    go_on({0: begun}, lambda _, answer: answers.append(answer))
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


def locked(run: Run) -> ExitStack:
    """A run's lock, until that is closed.

    Raises:
        cnnlab.core.events.Later: if another process has it, and nobody is to wait
    """
    outputs = run.directory.parent.parent
    with ExitStack() as held:
        try:
            held.enter_context(locks.held(outputs, run.run_id, wait=events.listener.patient))
        except locks.Busy as busy:
            raise events.Later(str(run.directory)) from busy
        return held.pop_all()


def begin(
    run: Run,
    command: Command,
    held: ExitStack,
    place: int = 0,
    write_hydra: Callable[[Run], None] | None = None,
) -> Begun | dict[str, Any]:
    """Takes a run in hand: its log, its record.

    Args:
        run: as it was planned; what lies in its directory may be another's by now
        command: what is said of the sweep as a whole
        held: its lock; given back at the run's end
        place: among the runs that are trained together
        write_hydra: writes `.hydra/`, called with the run where it is to be trained; None: Hydra
            did, before it called us

    Returns:
        what `go_on` takes; or of a run that is finished what `train_one` returns

    Raises:
        cnnlab.core.events.DiskFull: what only the launcher can see to
    """
    own = run.directory.parent
    with held as stack:
        found, _ = lookup.find(
            own.parent, own, {run.run_id: sources_of(run.job.config)},
            elsewhere=not command.force, keep=command.outdated == "keep",
        )  # fmt: skip
        there = found.get(run.run_id)
        result = there and there.result
        if result and there.changed:  # the sweep, when it began, could not see to it, or counted it
            hydra = set_aside(there.directory) / ".hydra"
            if write_hydra is None and hydra.exists():
                there.directory.mkdir()
                hydra.rename(there.directory / hydra.name)
        elif result and (result["status"] in FINISHED or command.retry is None):
            for line in ("Another command trained it.", *last_lines(result, there.directory)):
                events.listener.hear({"run": place, "line": line, "level": logging.INFO})
            return outcome_of(result, there.directory)
        directory = lookup.free(run.directory, run.run_id) if there is None else there.directory
        run = replace(run, directory=directory, result=None)
        with _room(directory, place):
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(logged_to(directory / "run.log", place))
            if result and there.changed:
                log.warning("Trained anew: another code of %s now.", ", ".join(there.changed))
            if write_hydra is not None:
                write_hydra(run)
            return _recorded(run, place, stack)


def _recorded(run: Run, place: int, stack: ExitStack) -> Begun:
    """Opens a run's record; the locks and logs of `stack` stay until the run ends."""
    from cnnlab.training.device import describe, resolve

    device = describe(resolve(run.job.config.device))
    made_with = {"versions": versions(), "device": device, "sources": sources_of(run.job.config)}
    record = open_record(run.directory, run.run_id, made_with)
    record.place = place
    log.info("%s", run.directory.name, extra={"run": place})
    for note in load(run.job.config.data).notes:  # the command has printed it
        log.debug("%s", note, extra={"run": place})
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
        place, run = places[slot], runs[slot].run
        with runs[slot].held:
            try:
                with _room(run.directory, place):
                    outcome = _conclude(runs[slot], error)
            except Exception as fault:
                outcome = unrecorded(run, one_line(fault))
            answer(place, outcome)

    with ExitStack() as stack:
        for each in runs:
            stack.enter_context(each.held)
        with _room(runs[0].run.directory, places[0]):
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
def _room(directory: Path, place: int = 0) -> Iterator[None]:
    """Tells a disk that has no room left from other errors."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise events.DiskFull(f"{directory}: {error.strerror}") from error
        log.debug("The run could not be recorded", exc_info=True, extra={"run": place})
        raise


def unrecorded(run: Run, error: str) -> dict[str, Any]:
    """What `train_one` returns of a run whose end is in no record."""
    kept = {"status": "failed", "error": error, "best_val_accuracy": None, "best_epoch": None}
    return {**kept, "directory": str(run.directory)}


def lost(run: Run, reason: str) -> dict[str, Any]:
    """Records a run whose process died with it; what it had reached is kept for another try.

    Returns:
        as `train_one`

    Raises:
        cnnlab.core.events.DiskFull: if there is no room for its record
    """
    outputs = run.directory.parent.parent.resolve()
    try:
        with locks.held(outputs, run.run_id, wait=False), _room(run.directory):
            result = read_result(run.directory)
            if result is not None and result["status"] in FINISHED:  # and came to an end
                return outcome_of(result, run.directory)
            record = open_record(run.directory, run.run_id)
            record.outcome.status, record.outcome.error = "failed", reason
            failed = result_of(run, record, record.device)
            record.finish(failed, keep_checkpoint=True)
    except locks.Busy:  # another process goes on with it already
        return unrecorded(run, reason)
    except Exception as error:
        return unrecorded(run, f"{reason}; not recorded: {one_line(error)}")
    return outcome_of(asdict(failed), run.directory)


def result_of(run: Run, record: Record, device: str) -> Result:
    """The content of a run's result.json."""
    commit, dirty = git()
    return Result(
        run_id=run.run_id,
        name=run.directory.parent.name,
        config=run.job.config.plain(),
        choices=run.job.choices,
        overrides=list(run.job.overrides),
        data_fingerprint=run.fingerprint,
        seconds=round(record.seconds, 3),
        own_seconds=round(record.own_seconds, 3),
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
