"""One sweep from its plan to its last line: sets aside, launches, counts, says what is wrong."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from logging import ERROR, WARNING
from pathlib import Path
from typing import NoReturn

from hydra.plugins.launcher import Launcher

from cnnlab.config.launcher import is_ours
from cnnlab.core import events
from cnnlab.core.console import console, labelled, output, say
from cnnlab.core.errors import FAILED, INTERRUPTED
from cnnlab.core.files import FULL
from cnnlab.core.reasons import Trouble, reasons
from cnnlab.execution.launching import Outcomes, environments, launch
from cnnlab.execution.task import last_lines
from cnnlab.execution.workers.pool import WorkersBroken
from cnnlab.planning.preview import print_plan
from cnnlab.planning.runs import Plan
from cnnlab.records import locks, writer
from cnnlab.records.schema import FINISHED, read_result


def train_missing(planned: Plan, launcher: Launcher) -> None:
    """Trains the runs of a plan that are missing.

    Args:
        planned: the sweep
        launcher: ours or any other of Hydra's

    Raises:
        SystemExit: with FAILED or INTERRUPTED, if not all is done
    """
    output.when_gone = "Nobody reads the output any more; the sweep goes on without it."
    _announce(planned)
    if planned.command.plan:
        ours = is_ours(planned.hydra["launcher"])
        print_plan(planned, len(environments(planned)) if ours else 1)
        return
    outcomes: Outcomes = {}
    interrupted = False
    try:
        _make_room(planned)
        _write(planned, {})
        try:
            launch(planned, launcher, outcomes)
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


def _give_up(why: str) -> NoReturn:
    """Ends a sweep that cannot go on."""
    say(f"{why} Finished epochs are kept; the same command goes on from there.", ERROR)
    raise SystemExit(FAILED)


def _make_room(planned: Plan) -> None:
    """Sets aside the old records of what is trained again; tidies the others that are finished."""
    force = planned.command.force
    for run in planned.runs:
        if run.superseded is not None and run.superseded.exists():
            with suppress(locks.Busy), locks.held(planned.outputs, run.run_id, wait=False):
                writer.set_aside(run.superseded)
        again = force or run.state == "outdated"
        if not run.directory.exists() or not (again or run.state in FINISHED):
            continue
        try:
            with locks.held(planned.outputs, run.run_id, wait=False):
                if not again:
                    writer.tidy(run.directory)
                elif force or read_result(run.directory) == run.result:
                    writer.set_aside(run.directory)  # else another command did, in the meantime
        except locks.Busy:
            if again:
                say(f"{run.directory.name}: another process trains it; left as it is.", WARNING)


def _announce(planned: Plan) -> None:
    line = f"Sweep {planned.name}: {_runs(len(planned.runs))}, {planned.to_train} to train."
    console.print(line, style="bold")
    for name, number in planned.reused.items():
        of_them = f"{number:,} of them trained" if len(planned.runs) > 1 else "Trained"
        console.print(f"{of_them} before, in sweep {name}.")
    _announce_code(planned)
    for note in (*planned.replaced, *planned.data_notes):
        say(note, WARNING)
    for warning in planned.warnings:
        for line in labelled("", warning):
            say(line, WARNING)
    for note in planned.notes[:MOST_NOTES]:
        console.print(f"Left alone: {note}", style="yellow", markup=False)
    if len(planned.notes) > MOST_NOTES:
        console.print(f"... and {len(planned.notes) - MOST_NOTES} more.", style="yellow")


def _announce_code(planned: Plan) -> None:
    """Says which files have changed since runs were trained, and of how many that is not known."""
    for name, number in planned.differing.items():
        console.print(f"Changed since: {name}: {_runs(number)}.", style="yellow", markup=False)
    if planned.differing and planned.command.outdated == "keep":
        console.print("Their records count as they are: outdated=keep.")
    elif planned.differing:
        console.print("They are trained anew, the old records kept in aside/; or: outdated=keep.")
    if planned.code_unknown:
        console.print(f"Code unknown: {_runs(planned.code_unknown)}, trained by an older version.")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


MOST_NOTES = 5
"""As many are printed of what lies in a sweep's folder and is not used."""


def _write(planned: Plan, outcomes: Outcomes) -> None:
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


def _conclude(planned: Plan, outcomes: Outcomes) -> bool:
    """The last lines; gives whether a run failed or diverged."""
    states: Counter[str] = Counter()
    troubles = []
    pending = {run.run_id for run in planned.pending}
    for run in planned.runs:
        outcome = outcomes.get(run.run_id)
        if outcome is None and run.run_id in pending:
            states["not trained"] += 1
            continue
        outcome = outcome or {**run.result, "directory": str(run.directory)}
        states[outcome["status"]] += 1
        if outcome["status"] != "done":
            seed, error, place = run.job.config.seed, outcome["error"], outcome["directory"]
            variant = planned.variant_text(run)
            troubles.append(Trouble(outcome["status"], variant, seed, error, place))
    for reason in reasons(troubles):
        level = ERROR if reason.status == "failed" else WARNING
        for line in labelled("", f"{reason.sentence.rstrip('.')}."):
            say(line, level)
        say(f"  see {Path(reason.directory).resolve() / 'run.log'}", level)
    if len(planned.runs) == 1 and not pending:
        for line in last_lines(planned.runs[0].result, planned.runs[0].directory):
            say(line)
    if len(planned.runs) > 1:
        counts = [f"{states[state]} {state}" for state in ("done", "diverged", "failed")]
        if states["not trained"]:
            counts.append(f"{states['not trained']} not trained")
        counted = f"{', '.join(counts)}."
        compare = f"Compare: python -m cnnlab.report name={planned.name}"
        between = " " if len(counted) + 1 + len(compare) <= 80 else "\n"
        console.print(f"{counted}{between}{compare}", markup=False)
    if states["failed"]:
        console.print("retry=failed, added to the same command, trains failed runs again.")
    return bool(states["failed"] or states["diverged"])
