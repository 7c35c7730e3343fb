"""The plan: the runs of a sweep, the identity of each, and which are still to train."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlab.config.options import file_of, replaced
from cnnlab.config.schema import Command, key_text
from cnnlab.core import memory, project
from cnnlab.core.errors import Refused
from cnnlab.core.formats import as_typed, short
from cnnlab.data.loading import described, load
from cnnlab.planning.checks import faults_of_cuts, faults_of_data, faults_of_jobs
from cnnlab.planning.expansion import expand
from cnnlab.planning.grid import Expansion, Job
from cnnlab.planning.naming import factors_of, slug, unnamed
from cnnlab.records import history, lookup, plan_file
from cnnlab.records.identity import run_id, settings
from cnnlab.records.sources import changed, sources_of


def uncut(runs: Sequence["Run"]) -> dict[str, str]:
    """By fingerprint, that of the first run whose data has the same settings but for the cut: what
    takes time does not depend on which images validate."""
    first: dict[str, str] = {}
    found = {}
    for run in runs:
        same = json.dumps({**run.job.config.data, "split_seed": None}, sort_keys=True)
        found[run.fingerprint] = first.setdefault(same, run.fingerprint)
    return found


STATES = ("done", "diverged", "failed", "outdated", "partly trained", "pending", "unknown")


@dataclass(frozen=True)
class Run:
    """One variant with one seed.

    Attributes:
        run_id: a hash of the config and the images
        job: the config and where it comes from
        fingerprint: of the images
        directory: of the record
        result: of result.json, if there is one that can be read
        epoch: the last finished one of an unfinished run
        outdated: the files whose code is another than that of the result; empty where it counts
        superseded: an outdated record of the run in the sweep's folder, beside that one
        unknown: whether its images are not here yet, so that nobody knows what there is of it
    """

    run_id: str
    job: Job
    fingerprint: str
    directory: Path
    result: Mapping[str, Any] | None
    epoch: int = 0
    outdated: tuple[str, ...] = ()
    superseded: Path | None = None
    unknown: bool = False

    @property
    def state(self) -> str:
        """One of STATES."""
        if self.unknown:
            return "unknown"
        if self.result is not None:
            return "outdated" if self.outdated else self.result["status"]
        return "partly trained" if self.epoch else "pending"

    @property
    def epochs_left(self) -> int:
        """To be trained, if it goes on from its epoch."""
        return self.job.config.epochs - self.epoch


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep.

    Attributes:
        name: of the sweep
        folder: `<outputs>/<name>`
        factors: the keys that were given several values, in the order that they were typed
        baseline: the typed value of some keys, by key; empty where none was named
        command: what is said of the sweep as a whole
        hydra: Hydra's own settings
        runs: in the order of training, each once
        notes: what was found on disk and is not used, and why
        earlier: its plan.json as it is on disk, if there is one that can be read
    """

    name: str
    folder: Path
    factors: tuple[str, ...]
    baseline: Mapping[str, str]
    command: Command
    hydra: Mapping[str, Any]
    runs: tuple[Run, ...]
    notes: tuple[str, ...]
    earlier: Mapping[str, Any] | None

    @property
    def outputs(self) -> Path:
        return self.folder.parent

    @property
    def pending(self) -> list[Run]:
        """The runs that this command trains, as they begin; with `force`, before any epoch."""
        if self.command.force:
            return [replace(run, epoch=0) for run in self.runs]
        states = (
            "pending",
            "partly trained",
            "outdated",
            "unknown",
            *([self.command.retry] if self.command.retry else []),
        )
        return [run for run in self.runs if run.state in states]

    def variant_text(self, run: Run) -> str:
        """A run's variant in words: `norm=bn lr=0.01`; empty where the sweep has one only."""
        values = run.job.values
        return " ".join(
            f"{key_text(key)}={short(values[key])}" for key in self.factors if key in values
        )

    @property
    def to_train(self) -> str:
        """How many those are, for a person."""
        unknown = any(run.unknown for run in self.runs)
        return f"{'at most ' if unknown else ''}{len(self.pending):,}"

    @property
    def differing(self) -> dict[str, int]:
        """How many finished runs were trained with another code of a file, by the file's name.

        Where the command keeps them, as well.
        """
        return Counter(
            name
            for run in self.runs
            if run.result is not None
            for name in changed(run.result["sources"], sources_of(run.job.config))
        )

    @property
    def code_unknown(self) -> int:
        """How many finished runs have no sources in their record: it is of an earlier version."""
        return sum(run.result is not None and run.result["sources"] is None for run in self.runs)

    @property
    def reused(self) -> dict[str, int]:
        """How many of the runs have their record in another sweep, by that sweep's name."""
        counts: dict[str, int] = {}
        for run in self.runs:
            if run.directory.parent != self.folder and run.result is not None:
                name = run.directory.parent.name
                counts[name] = counts.get(name, 0) + 1
        return counts

    @property
    def data_notes(self) -> list[str]:
        """What the user should know of the images, a line each."""
        datasets = (described(run.job.config.data) for run in self.runs)
        return list(dict.fromkeys(note for data in datasets for note in data.notes))

    @property
    def replaced(self) -> list[str]:
        """Which options the runs have that stand in the place of cnnlab's own."""
        chosen = dict.fromkeys(each for run in self.runs for each in run.job.choices.items())
        own = [(group, option) for group, option in chosen if replaced(group, option)]
        return [
            f"{group}={option}: {file_of(group, option)}, in cnnlab's place."
            for group, option in own
        ]

    @property
    def project(self) -> str | None:
        """The folder of the project whose parts the runs have.

        None where all are installed, or the records lie in that folder: they go where it goes.
        """
        home = project.home()
        if home in self.folder.resolve().parents:
            return None
        files = {name for run in self.runs for name in sources_of(run.job.config)}
        own = any((home / name).exists() for name in files if not name.startswith("cnnlab/"))
        return str(home) if own else None

    def rows(self) -> list[plan_file.Row]:
        """The runs as plan.json has them."""
        return [
            {
                "run_id": run.run_id,
                "directory": os.path.relpath(run.directory, self.folder),
                "settings": settings(run.job.config.plain(), run.job.choices, run.fingerprint),
                "published": dict(run.job.published),
            }
            for run in self.runs
        ]

    @property
    def warnings(self) -> list[str]:
        """What the user should know before seeds are added to those that a report has shown."""
        seen = history.seen_by(history.reports(self.outputs))
        if not any(run.run_id in seen for run in self.runs):
            return []  # before 10,000 rows are made
        added = plan_file.added_after(self.folder, self.earlier, self.rows(), self.factors)
        if added is None:
            return []
        return [
            f"A report has shown {added[0]} of these {added[1]} seeds: p-values will be too small. "
            "Fix the number before, or decide by a new sweep of fresh seeds (another name=)."
        ]

    def write(self, stacks: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Writes plan.json; its caller holds the plan's lock.

        Args:
            stacks: as `cnnlab.records.plan_file.write` has them
        """
        plan_file.write(
            self.folder, self.rows(), factors=self.factors, baseline=self.baseline,
            question=self.command.question, project=self.project, stacks=stacks,
        )  # fmt: skip


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
