"""plan.json: the runs of a sweep on disk, for the report and for the next command."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.config.compose import GROUPS
from cnnlab.config.schema import shown
from cnnlab.core.files import leftovers
from cnnlab.records import checkpoint, writer

if TYPE_CHECKING:
    from cnnlab.planning.plan import Plan

IRRELEVANT = ("name", "device", "outputs", "data", "compile", "resident")
"""Keys that cannot change a run's result. Of the data, the fingerprint tells all."""

LATER = {"label_smoothing": 0.0, "clip_norm": None, "patience": None, "model.dropout": 0.0}
"""Keys that are younger than the first records, at the value that means what was done before."""


def settings(
    config: Mapping[str, Any], choices: Mapping[str, str], fingerprint: str
) -> dict[str, Any]:
    """A config as one flat table row: a group's choice at its name, its numbers at dotted keys.

    Runs on different images differ in `data.fingerprint`, so they are never taken for seeds of one
    variant.
    """
    flat: dict[str, Any] = dict(LATER)

    def walk(prefix: str, node: Mapping[str, Any]) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping):
                walk(f"{prefix}{key}.", value)
            elif key not in ("_target_", "path", "root"):
                flat[prefix + key] = value

    for key, value in config.items():
        if key in GROUPS:
            flat[key] = choices[key]
            walk(f"{key}.", value)
            if key == "data":
                flat["data.fingerprint"] = fingerprint[:8]
        elif key not in IRRELEVANT and not isinstance(value, Mapping):
            flat[key] = value
    return flat


def rows(plan: "Plan") -> dict[str, dict[str, Any]]:
    """Each run of a plan as plan.json has it, by run id, its settings in full."""
    return {
        run.run_id: {
            "run_id": run.run_id,
            "directory": os.path.relpath(run.directory, plan.folder),
            "settings": settings(asdict(run.job.config), run.job.choices, run.fingerprint),
            "published": dict(run.job.published),
        }
        for run in plan.runs
    }


def difference(plan: "Plan", factors: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """In which settings a plan differs from the one of its name on disk, although neither varies
    them.

    Args:
        plan: the new one
        factors: keys that it may vary

    Returns:
        by key, the earlier value and the new one; empty if the one only widens the other
    """
    earlier = read(plan.folder / "plan.json")
    begun = [
        run for run in (earlier or {"runs": []})["runs"] if _begun(plan.folder / run["directory"])
    ]
    if not begun:
        return {}
    old = [run["settings"] for run in begun]
    new = [row["settings"] for row in rows(plan).values()]
    varied = {"seed", *earlier["factors"], *factors}
    found = {}
    for key in dict.fromkeys([*old[0], *new[0]]):
        mine, theirs = _constant(new, key), _constant(old, key)
        group = key.partition(".")[0]
        if key in varied or (group in varied and group in GROUPS) or mine == theirs:
            continue
        if mine is not _VARIES and theirs is not _VARIES:
            found[key] = (theirs, mine)
    if any(key.startswith("data") for key in found if key != "data.fingerprint"):
        found.pop("data.fingerprint", None)  # other images follow from that
    # A choice tells it all; its numbers follow from it.
    return {k: v for k, v in found.items() if "." not in k or k.partition(".")[0] not in found}


_VARIES = object()


def _constant(settings: Sequence[Mapping[str, Any]], key: str) -> Any:
    values = {repr(each.get(key)): each.get(key) for each in settings}
    return next(iter(values.values())) if len(values) == 1 else _VARIES


def told(differences: Mapping[str, tuple[Any, Any]], which: int) -> str:
    """One side of a difference, as it would be typed."""
    return ", ".join(f"{shown(key)}={pair[which]}" for key, pair in differences.items())


def write(plan: "Plan") -> None:
    """Writes plan.json. Of runs that it listed before, those that were begun stay in it.

    Its caller holds the plan's lock.

    One that cannot be read is kept aside as plan.unreadable.json.
    """
    path = plan.folder / "plan.json"
    if plan.folder.is_dir():
        for left in leftovers(plan.folder):  # of a process that was killed while it wrote here
            left.unlink(missing_ok=True)
    earlier = read(path)
    if earlier is None:
        if path.exists():
            path.replace(path.with_name("plan.unreadable.json"))
        earlier = {"factors": [], "baseline": {}, "question": None, "runs": []}
    current = rows(plan)
    runs = {
        run["run_id"]: run
        for run in earlier["runs"]
        if run["run_id"] in current or _begun(plan.folder / run["directory"])
    }
    for run_id, row in current.items():
        row["published"] = row["published"] or runs.get(run_id, row)["published"]
        runs[run_id] = row
    everything = [run["settings"] for run in runs.values()]
    common = {
        key: value
        for key, value in everything[0].items()
        if all(key in row and row[key] == value for row in everything)
    }
    for run in runs.values():
        own = run["settings"].items()
        run["settings"] = {key: value for key, value in own if key not in common}
    writer.write_json(
        path,
        {
            "schema_version": writer.SCHEMA_VERSION,
            "name": plan.name,
            "factors": list(dict.fromkeys([*earlier["factors"], *plan.factors])),
            "baseline": plan.baseline or earlier["baseline"],
            "question": plan.command.question or earlier["question"],
            "settings": common,
            "runs": list(runs.values()),
        },
    )


def read(path: Path) -> dict[str, Any] | None:
    """A plan.json with each run's settings in full; None if it is missing or cannot be used."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema_version"] != writer.SCHEMA_VERSION:
            return None
        found["factors"] = [str(key) for key in found["factors"]]
        found["baseline"] = dict(found.get("baseline") or {})
        found["question"] = found.get("question")
        for run in found["runs"]:
            run["settings"] = {**LATER, **found["settings"], **run["settings"]}
            run["published"] = dict(run["published"])
            run["run_id"], run["directory"] = str(run["run_id"]), str(run["directory"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _begun(directory: Path) -> bool:
    return any((directory / name).exists() for name in ("result.json", checkpoint.NAME))
