"""The plan of a sweep as a report reads it: checked, and with the reason where it is of no use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnlab.records import plan_file
from cnnlab.records.history import Entry
from cnnlab.records.reading.found import Problem, content, stamp
from cnnlab.records.schema import Damaged

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
        history: when which seeds were asked for
        problems: of the file
    """

    stamp: Any
    known: bool = False
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    factors: list[str] = field(default_factory=list)
    baseline: dict[str, Any] = field(default_factory=dict)
    question: str | None = None
    history: list[Entry] = field(default_factory=list)
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
        plan = plan_file.parsed_plan(data)
        _check(plan["runs"], reserved)
    except Damaged as damaged:
        return Planned(seen, problems=[Problem(place, f"{damaged}. {UNCOUNTED}", AGAIN)])
    runs: dict[str, dict[str, Any]] = {}
    for run in plan["runs"]:
        runs.setdefault(run["run_id"], run)
    problems = []
    if len(runs) < len(plan["runs"]):
        what = "it names a run twice. The first of each counts"
        problems = [Problem(place, what, AGAIN)]
    kept = (plan[key] for key in ("factors", "baseline", "question", "history"))
    return Planned(seen, True, runs, *kept, problems)


def _check(runs: Iterable[Mapping[str, Any]], reserved: frozenset[str]) -> None:
    """Raises Damaged if a setting has the name of another column."""
    taken = sorted(reserved.intersection({key for run in runs for key in run["settings"]}))
    if taken:
        raise Damaged(f"its settings have {', '.join(taken)}, which no config has")
