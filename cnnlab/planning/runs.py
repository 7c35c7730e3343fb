"""The runs of a sweep, what there is of each, and the plan that they make."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlab.config.options import file_of, replaced
from cnnlab.config.schema import Command, key_text
from cnnlab.core import project
from cnnlab.core.formats import short
from cnnlab.data.loading import described
from cnnlab.planning.grid import Job
from cnnlab.records import history, plan_file
from cnnlab.records.identity import settings
from cnnlab.records.sources import changed, sources_of

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


def uncut(runs: Sequence[Run]) -> dict[str, str]:
    """By fingerprint, that of the first run whose data has the same settings but for the cut: what
    takes time does not depend on which images validate."""
    first: dict[str, str] = {}
    found = {}
    for run in runs:
        same = json.dumps({**run.job.config.data, "split_seed": None}, sort_keys=True)
        found[run.fingerprint] = first.setdefault(same, run.fingerprint)
    return found
