"""The plan of a sweep as a report reads it: checked, and with the reason where it is of no use."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnlab.records import plan_file
from cnnlab.records.reading.found import Damaged, Problem, content, number, parsed, setting, stamp

AGAIN = "The sweep's command writes it anew."
UNCOUNTED = "Runs that are not trained yet cannot be counted"


@dataclass(frozen=True)
class Planned:
    """What plan.json tells.

    Attributes:
        stamp: of the file
        known: whether it can be used
        runs: by run id: directory, settings, published
        factors, baseline: as the plan has them
        question: of the sweep, if the plan tells it
        problems: of the file
    """

    stamp: Any
    known: bool = False
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    factors: list[str] = field(default_factory=list)
    baseline: dict[str, Any] = field(default_factory=dict)
    question: str | None = None
    problems: list[Problem] = field(default_factory=list)


def read(folder: Path, reserved: frozenset[str]) -> Planned:
    """The plan of a sweep, however damaged.

    Args:
        folder: of the sweep
        reserved: names that no setting can have
    """
    path = folder / "plan.json"
    seen = stamp(str(path))
    place = f"{folder.name}/plan.json"
    try:
        data = content(str(path), seen)
        if data is None:
            return Planned(seen, problems=[Problem(place, f"there is none. {UNCOUNTED}", AGAIN)])
        _check(parsed(data), reserved)
        told = plan_file.read(path)
        if told is None:
            raise Damaged("it is incomplete")
    except Damaged as damaged:
        return Planned(seen, problems=[Problem(place, f"{damaged}. {UNCOUNTED}", AGAIN)])
    runs: dict[str, dict[str, Any]] = {}
    for run in told["runs"]:
        runs.setdefault(run["run_id"], run)
    problems = []
    if len(runs) < len(told["runs"]):
        what = "it names a run twice. The first of each counts"
        problems = [Problem(place, what, AGAIN)]
    question = told["question"] if isinstance(told.get("question"), str) else None
    return Planned(seen, True, runs, told["factors"], told["baseline"], question, problems)


def _check(told: Mapping[str, Any], reserved: frozenset[str]) -> None:
    """Raises Damaged if a plan is not of the types that it should have."""
    try:
        rows = [told["settings"], *(run["settings"] for run in told["runs"])]
        published = [value for run in told["runs"] for value in run["published"].values()]
        names = [run[key] for run in told["runs"] for key in ("run_id", "directory")]
        valid = (
            isinstance(told["factors"], list)
            and all(type(name) is str for name in (*names, *told["factors"]))
            and all(setting(value) for row in rows for value in row.values())
            and all(map(number, published))
            and isinstance(told.get("baseline") or {}, dict)
        )
    except (AttributeError, KeyError, TypeError):
        valid = False
    if not valid:
        raise Damaged("it is incomplete, or has values of a wrong type")
    taken = sorted(reserved.intersection(*[{key for row in rows for key in row}]))
    if taken:
        raise Damaged(f"its settings have {', '.join(taken)}, which no config has")
    outside = next((run["directory"] for run in told["runs"] if _outside(run["directory"])), None)
    if outside is not None:
        raise Damaged(f"it names a record that does not lie below outputs/: {outside[:80]}")


def _outside(directory: str) -> bool:
    """Whether a path, relative to a sweep's folder, leaves the folder of all records."""
    if not directory.startswith(("/", "\\")) and ".." not in directory:
        return False
    return os.path.isabs(directory) or os.path.normpath(f"sweep/{directory}").startswith("..")
