"""Has a plan's pending runs trained: by our own workers, or by any other launcher of Hydra."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import cloudpickle
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from cnnlab.config.launcher import Limits, is_ours
from cnnlab.core.console import console
from cnnlab.core.errors import one_line
from cnnlab.data.loading import adopt, datasets
from cnnlab.data.sharing import Shared, share
from cnnlab.execution.choosing import settle
from cnnlab.execution.display import Display
from cnnlab.execution.planned_runs import PlannedRuns
from cnnlab.execution.task import lost
from cnnlab.execution.workers.pool import Pool
from cnnlab.planning.runs import Plan, Run
from cnnlab.records import locks, plan_file
from cnnlab.training import devices

Outcomes = dict[str, Mapping[str, Any]]
"""By run id, what `cnnlab.execution.task.train_one` returns."""


def launch(planned: Plan, launcher: Launcher, outcomes: Outcomes) -> None:
    """Trains what is pending.

    Args:
        planned: the sweep
        launcher: ours or any other of Hydra's
        outcomes: how each run went; filled here

    Raises:
        KeyboardInterrupt: if a person stopped it
        cnnlab.core.events.DiskFull: if there is no room for records
        cnnlab.execution.workers.pool.WorkersBroken: if no worker comes up
    """
    pending = planned.pending
    if not pending:
        return
    if is_ours(planned.hydra["launcher"]):
        with closing(share(datasets(run.job.config.data for run in pending))) as shared:
            _by_workers(planned, shared, outcomes)
    else:
        _by_another(planned, launcher, outcomes)


def environments(planned: Plan) -> list[dict[str, str]]:
    """Of our launcher's workers."""
    device = planned.runs[0].job.config.device
    settings = devices.chosen(planned.hydra["launcher"])
    given = {key: str(value) for key, value in planned.hydra["job"]["env_set"].items()}
    return [{**each, **given} for each in devices.environments(**settings, device=device)]


def _by_workers(planned: Plan, shared: Shared, outcomes: Outcomes) -> None:
    """Has our workers train in the way that is quickest here."""
    adopt(shared.open())  # and forget the first copy
    pending, settings = planned.pending, planned.hydra["launcher"]
    workers = environments(planned)
    # Held so that of two commands the second finds what the first one settled.
    with locks.held(planned.outputs, f"plan {planned.name}"):
        earlier = plan_file.read(planned.folder / "plan.json") or {"stacks": []}
        settled = settle(pending, earlier["stacks"], workers, settings["stack"], shared)
        planned.write(settled.kept)
    for line in settled.lines:
        console.print(line, markup=False)
    payloads = [
        _compiled(run) if compiled else run
        for run, compiled in zip(pending, settled.compiled, strict=True)
    ]
    setup = partial(PlannedRuns, command=planned.command, hydra=planned.hydra)
    limits = Limits(settings["timeout"], settings["tries"], settings["stack"])
    with _Runs(planned, outcomes) as watcher:
        pool = Pool(
            cloudpickle.dumps(setup), workers[: len(settled.stacks)], limits, watcher, shared
        )
        pool.run(payloads, settled.stacks)


class _Runs(Display):
    """Watches runs, and records those whose worker died with them."""

    def lost(self, number: int, reason: str) -> bool:
        return self.done(number, lost(self.runs[number], reason))


def _compiled(run: Run) -> Run:
    """The same run, its training steps compiled, which changes neither its result nor its id."""
    return replace(run, job=replace(run.job, config=replace(run.job.config, compile=True)))


def _by_another(planned: Plan, launcher: Launcher, outcomes: Outcomes) -> None:
    """Gives another launcher of Hydra the runs as overrides, which it composes again."""
    pending = planned.pending
    # It knows no way to stop but not to be given more.
    size = 1 if planned.command.on_error == "stop" else len(pending)
    for start in range(0, len(pending), size):
        part = pending[start : start + size]
        returned = launcher.launch([overrides(planned, run) for run in part], start)
        for run, each in zip(part, returned, strict=True):
            outcomes[run.run_id] = _outcome(each, run)
        if size == 1 and outcomes[part[0].run_id]["status"] == "failed":
            break


def overrides(planned: Plan, run: Run) -> list[str]:
    """A run's overrides for a launcher that composes its config again."""
    command = planned.command
    return [
        *run.job.overrides,
        *(["retry=failed"] if command.retry else []),
        *(["force=true"] if command.force else []),
        *(["outdated=keep"] if command.outdated == "keep" else []),
        f"hydra.sweep.dir={_quoted(str(run.directory.parent))}",
        f"hydra.sweep.subdir={_quoted(run.directory.name)}",
    ]


def _quoted(text: str) -> str:
    """As one value in Hydra's grammar."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _outcome(returned: JobReturn, run: Run) -> Mapping[str, Any]:
    """What a run's task returned; an error that it could not record itself counts as failed."""
    if returned.status == JobStatus.COMPLETED:
        return returned.return_value or {"status": "done"}
    try:
        error = returned.return_value  # raises what the task raised
    except Exception as raised:
        error = raised
    return {"status": "failed", "error": one_line(error), "directory": str(run.directory)}
