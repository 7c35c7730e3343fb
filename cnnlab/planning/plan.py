"""Makes the plan of a command: the identity of each run, and which are still to train."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.config.schema import key_text
from cnnlab.core import memory, project
from cnnlab.core.errors import Refused
from cnnlab.core.formats import as_typed
from cnnlab.data.loading import described, load
from cnnlab.planning.checks import faults_of_cuts, faults_of_data, faults_of_jobs
from cnnlab.planning.expansion import expand
from cnnlab.planning.grid import Expansion, Job
from cnnlab.planning.naming import factors_of, slug, unnamed
from cnnlab.planning.runs import Plan, Run
from cnnlab.records import lookup, plan_file
from cnnlab.records.identity import run_id
from cnnlab.records.sources import sources_of


def make(
    hydras: tuple[str, ...],
    arguments: tuple[str, ...],
    before_parts: Callable[[], None] | None = None,
) -> Plan:
    """Plans a command, once. Nothing is trained and nothing is written.

    Args:
        hydras: overrides of Hydra's own settings
        arguments: all others
        before_parts: called when all is right that can be checked without the code of parts: what
            takes seconds and would only slow a refusal down may begin

    Raises:
        Refused: with every fault of the command, its data and its model
    """
    command = (project.conf(), hydras, arguments)
    if command not in _plans:
        _plans[command] = _made(expand(hydras, arguments, before_parts), arguments)
    return _plans[command]


_plans: dict[tuple[Any, ...], Plan] = {}


def forget() -> None:
    """Forgets the plans that were made: they know which runs are missing."""
    _plans.clear()


def _made(expansion: Expansion, arguments: Sequence[str]) -> Plan:
    """The plan of a command's jobs."""
    if not expansion.faults and memory.scarce():  # before C++ ends the process in its own words
        raise Refused(memory.limited())
    faults = (
        expansion.faults
        or faults_of_data(expansion.data, described)
        or faults_of_jobs(expansion.jobs)
    )
    if not faults and not expansion.command.plan:  # a command that is refused downloads nothing
        faults = faults_of_data(expansion.data, load)
    if faults := faults or faults_of_cuts(expansion.jobs):
        raise Refused(faults)
    jobs: dict[str, Job] = {}
    for job in expansion.jobs:  # of equal runs the first stays
        jobs.setdefault(run_id(job.config.plain(), described(job.config.data).fingerprint), job)
    first = expansion.jobs[0].config
    outputs = Path(first.outputs).expanduser()
    blank = any(described(part).blank for part in expansion.data)
    name = first.name or unnamed(outputs, jobs, blank)
    planned = _located(outputs / name, jobs, expansion)
    if owner := _owner(planned):
        raise Refused(
            f"name={name}: {planned.folder} is a sweep of the project in {owner}, whose parts have "
            "these names too. Give this one another name, or another folder with outputs=..."
        )
    differences = _difference(planned, expansion)
    if not differences:
        return planned
    own = "-".join(
        f"{key_text(key)}-{as_typed(pair[1], padded=True).strip('[]')}"
        for key, pair in differences.items()
    )
    other = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}-{own}")[:64]
    if not any(text.startswith("name=") for text in arguments):  # a sweep file, with other settings
        planned = _located(outputs / other, jobs, expansion)
        if not _difference(planned, expansion):
            return planned
    if "data.fingerprint" in differences:
        raise Refused(
            f"name={name}: {outputs / name} holds a sweep on other images than these (fingerprint "
            f"{differences['data.fingerprint'][0]}). Give this one a name of its own."
        )
    theirs, ours = (plan_file.settings_text(differences, which) for which in (0, 1))
    raise Refused(
        f"name={name}: {outputs / name} holds a sweep with {theirs}; this one has {ours}. Give it "
        f"another name, e.g. name={other}, or vary the key in one sweep, its values with a comma "
        "between."
    )


def _owner(planned: Plan) -> str | None:
    """Another project, which is still there, whose sweep lies where this one is to be."""
    theirs = planned.earlier and planned.earlier["project"]
    if not theirs or not Path(theirs).is_dir():
        return None
    return theirs if planned.project not in (None, theirs) else None


def _difference(planned: Plan, expansion: Expansion) -> dict[str, tuple[Any, Any]]:
    if planned.earlier is None:
        return {}  # before 10,000 rows are made
    found = plan_file.difference(planned.earlier, planned.folder, planned.rows(), expansion.factors)
    if any(run.unknown for run in planned.runs):
        found.pop("data.fingerprint", None)
    return found


def _located(folder: Path, jobs: Mapping[str, Job], expansion: Expansion) -> Plan:
    """The plan of jobs whose records lie, or will lie, in a folder."""
    factors = factors_of([job.values for job in jobs.values()])
    command = expansion.command
    code = {identity: sources_of(job.config) for identity, job in jobs.items()}
    found, useless = lookup.find(
        folder.parent, folder, code, elsewhere=not command.force, keep=command.outdated == "keep"
    )
    runs = []
    for identity, job in jobs.items():
        data = described(job.config.data)
        there = found.get(identity)
        if there is not None:
            state = (there.directory, there.result, there.epoch, there.changed, there.superseded)
        else:
            fresh = lookup.free(folder / f"{slug(job, factors)}-{identity[:8]}", identity)
            state = (fresh, None)
        runs.append(Run(identity, job, data.fingerprint, *state, unknown=data.blank))
    known = {run.directory.name for run in runs}
    earlier = plan_file.read(folder / "plan.json")
    known |= {run["directory"] for run in (earlier or {"runs": []})["runs"]}
    notes = {
        **{path: f"{path}: {reason}" for path, reason in useless.items()},
        **{text.partition(": ")[0]: text for text in lookup.strangers(folder, known)},
    }
    return Plan(
        folder.name, folder, factors, expansion.baseline, command,
        expansion.hydra, tuple(runs), tuple(notes.values()), earlier,
    )  # fmt: skip
