"""One sweep from its plan to its last line: sets aside, launches, counts, says what is wrong."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from logging import ERROR, WARNING
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from cnnlab.core import events
from cnnlab.core.console import console, say
from cnnlab.core.errors import FAILED, INTERRUPTED
from cnnlab.core.files import FULL
from cnnlab.data.loading import adopt, datasets
from cnnlab.data.sharing import Shared, share
from cnnlab.execution import grouping
from cnnlab.execution.choosing import tuned
from cnnlab.execution.display import Display
from cnnlab.execution.hydra_jobs import Together
from cnnlab.execution.launching import Crew
from cnnlab.execution.workers.pool import WorkersBroken
from cnnlab.planning import plan
from cnnlab.planning.preview import preview
from cnnlab.records import locks, writer
from cnnlab.training import devices

Outcomes = dict[str, Mapping[str, Any]]
"""By run id, what `cnnlab.execution.task.task` returns."""


def sweep(planned: plan.Plan, launcher: Launcher) -> Sequence[JobReturn]:
    """Trains the runs of a plan that are missing.

    Args:
        planned: the sweep
        launcher: ours or any other of Hydra's

    Raises:
        SystemExit: with FAILED or INTERRUPTED, if not all is done
    """
    _announce(planned)
    if planned.command.plan:
        preview(planned, _workers(planned, launcher))
        return []
    outcomes: Outcomes = {}
    returns: Sequence[JobReturn] = []
    interrupted = False
    try:
        _make_room(planned)
        _write(planned, {})
        try:
            returns = _launch(planned, launcher, outcomes)
        except KeyboardInterrupt:
            interrupted = True
        _write(planned, outcomes)
    except WorkersBroken as error:
        _give_up(str(error))
    except events.DiskFull as error:
        _give_up(f"The disk is full: {error}.")
    except OSError as error:
        if error.errno not in FULL:
            raise
        _give_up(f"The disk is full: {error.filename or planned.folder}: {error.strerror}.")
    troubled = _conclude(planned, outcomes)
    if interrupted:
        console.print("Interrupted. The same command goes on from here.", style="bold")
        raise SystemExit(INTERRUPTED)
    if troubled:
        raise SystemExit(FAILED)
    return returns


def _give_up(why: str) -> NoReturn:
    """Ends a sweep that cannot go on."""
    say(f"{why} Finished epochs are kept; the same command goes on from there.", ERROR)
    raise SystemExit(FAILED)


def _make_room(planned: plan.Plan) -> None:
    """Sets old records aside where all is trained again; else tidies those that are finished."""
    force = planned.command.force
    for run in planned.runs:
        if not run.directory.exists() or not (force or run.state in writer.FINISHED):
            continue
        try:
            with locks.held(planned.outputs, run.run_id, wait=False):
                writer.set_aside(run.directory) if force else writer.tidy(run.directory)
        except locks.Busy:
            if force:
                say(f"{run.directory.name}: another process trains it; left as it is.", WARNING)


def _workers(planned: plan.Plan, launcher: Launcher) -> int:
    """How many runs are trained at the same time."""
    return len(_environments(planned, launcher)) if hasattr(launcher, "crew") else 1


def _environments(planned: plan.Plan, launcher: Launcher) -> list[dict[str, str]]:
    """Of our launcher's workers."""
    device = planned.runs[0].job.config.device
    return devices.environments(**devices.chosen(launcher.settings), device=device)


def _announce(planned: plan.Plan) -> None:
    count = len(planned.runs)
    runs = "1 run" if count == 1 else f"{count:,} runs"
    line = f"Sweep {planned.name}: {runs}, {len(planned.pending):,} to train."
    console.print(line, style="bold")
    for name, number in planned.reused.items():
        console.print(f"{number} of them trained before, in sweep {name}.")
    for note in planned.notes[:MOST_NOTES]:
        console.print(f"Left alone: {note}", style="yellow", markup=False)
    if len(planned.notes) > MOST_NOTES:
        console.print(f"... and {len(planned.notes) - MOST_NOTES} more.", style="yellow")


MOST_NOTES = 5
"""As many are printed of what lies in a sweep's folder and is not used."""


def _write(planned: plan.Plan, outcomes: Outcomes) -> None:
    """plan.json, with the places where the records came to lie."""
    runs = []
    for run in planned.runs:
        place = Path(outcomes.get(run.run_id, {}).get("directory", run.directory))
        if place.resolve() != run.directory.resolve():
            writer.drop_hollow(run.directory)
            run = replace(run, directory=planned.outputs / place.parent.name / place.name)
        runs.append(run)
    with locks.held(planned.outputs, f"plan {planned.name}"):
        replace(planned, runs=tuple(runs)).write()


def _launch(planned: plan.Plan, launcher: Launcher, outcomes: Outcomes) -> Sequence[JobReturn]:
    """Launches what is pending; fills in how each run went."""
    pending = planned.pending
    if not pending:
        return []
    if hasattr(launcher, "crew"):  # ours
        # Hydra defines its plugins' classes anew each time it searches for them: no isinstance.
        with closing(share(datasets(run.job.config.data for run in pending))) as shared:
            return _launch_ours(planned, launcher, shared, outcomes)
    jobs = [overrides(planned, run) for run in pending]
    returns: list[JobReturn] = []
    # Others know no way to stop but not to be given more.
    size = 1 if planned.command.on_error == "stop" else len(jobs)
    for start in range(0, len(jobs), size):
        found = launcher.launch(jobs[start : start + size], start)
        for run, returned in zip(pending[start : start + size], found, strict=True):
            outcomes[run.run_id] = _outcome(returned, run)
        returns += found
        if size == 1 and outcomes[pending[start].run_id]["status"] == "failed":
            break
    return returns


def _launch_ours(
    planned: plan.Plan, launcher: Launcher, shared: Shared, outcomes: Outcomes
) -> Sequence[JobReturn]:
    """Has our launcher train what is pending, in the way that is quickest here."""
    adopt(shared.open())  # and forget the first copy
    pending = planned.pending
    workers = _environments(planned, launcher)
    choices = tuned(pending, workers, launcher.settings["stack"], shared)
    runs = [(run.job.config, run.fingerprint) for run in pending]
    groups = grouping.stacks(runs, lambda kind, _: choices[kind].size, len(workers))
    jobs = [
        overrides(planned, run, compiled=choices[grouping.structure(*each)].compiled)
        for run, each in zip(pending, runs, strict=True)
    ]
    with Display(planned, outcomes) as display:
        launcher.crew = Crew(display, shared, _prepare, Together(_begin, _go_on), groups)
        return launcher.launch(jobs, 0)


def _begin(config: DictConfig, place: int) -> Any:
    from cnnlab.execution import task

    return task.begin(config, place)


def _go_on(begun: Mapping[int, Any], answer: Callable[[int, Any], None]) -> None:
    from cnnlab.execution import task

    task.go_on(begun, answer)


def _prepare(shared: Shared) -> None:
    adopt(shared.open())


def overrides(planned: plan.Plan, run: plan.Run, *, compiled: bool = False) -> list[str]:
    """A run's overrides for the launcher, which composes the config again.

    Args:
        planned: the sweep
        run: one of its runs
        compiled: whether its steps are
    """
    command = planned.command
    return [
        *run.job.overrides,
        *(["compile=true"] if compiled and not run.job.config.compile else []),
        *(["retry=failed"] if command.retry else []),
        *(["force=true"] if command.force else []),
        f"hydra.sweep.dir={_quoted(str(run.directory.parent))}",
        f"hydra.sweep.subdir={_quoted(run.directory.name)}",
    ]


def _quoted(text: str) -> str:
    """As one value in Hydra's grammar."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _outcome(returned: JobReturn, run: plan.Run) -> Mapping[str, Any]:
    """What a run's task returned; an error that it could not record itself counts as failed."""
    if returned.status == JobStatus.COMPLETED:
        return returned.return_value or {"status": "done"}
    try:
        error = returned.return_value  # raises what the task raised
    except Exception as raised:
        error = raised
    found = f"{type(error).__name__}: {error}"
    return {"status": "failed", "error": found, "directory": str(run.directory)}


def _conclude(planned: plan.Plan, outcomes: Outcomes) -> bool:
    """The last lines; gives whether a run failed or diverged."""
    states: Counter[str] = Counter()
    pending = {run.run_id for run in planned.pending}
    for run in planned.runs:
        told = outcomes.get(run.run_id)
        if told is None and run.run_id in pending:
            states["not trained"] += 1
            continue
        told = told or {**run.result, "directory": str(run.directory)}
        states[told["status"]] += 1
        if told["status"] != "done":
            log = Path(told["directory"]).resolve() / "run.log"
            line = f"{told['status'].capitalize()}: {told['error']}\n  see {log}"
            say(line, ERROR if told["status"] == "failed" else WARNING)
    if len(planned.runs) == 1 and not pending:
        for line in writer.summary(planned.runs[0].result, planned.runs[0].directory):
            say(line)
    if len(planned.runs) > 1:
        counts = [f"{states[state]} {state}" for state in ("done", "diverged", "failed")]
        if states["not trained"]:
            counts.append(f"{states['not trained']} not trained")
        line = f"{', '.join(counts)}. Compare: python -m cnnlab.report name={planned.name}"
        console.print(line, markup=False)
    if states["failed"]:
        console.print("retry=failed, added to the same command, trains failed runs again.")
    return bool(states["failed"] or states["diverged"])
