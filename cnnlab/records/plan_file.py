"""plan.json: the runs of a sweep on disk, for the report and for the next command."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from cnnlab.config.schema import BEFORE, BY_SEED, key_text
from cnnlab.core.errors import MOVED
from cnnlab.core.files import leftovers, write_json
from cnnlab.core.formats import as_typed
from cnnlab.records import checkpoint, history
from cnnlab.records.derived import FINGERPRINT, derived, images
from cnnlab.records.schema import SCHEMA_VERSION, Damaged, number, parsed, setting


class Row(TypedDict):
    """A run of a plan, as plan.json has it."""

    run_id: str
    directory: str
    """Of the record, relative to the sweep's folder."""
    settings: dict[str, Any]
    """In full, as `cnnlab.records.identity.settings` gives them."""
    published: dict[str, float]
    """Numbers that somebody else measured, by metric."""


def difference(
    earlier: Mapping[str, Any], folder: Path, rows: Sequence[Row], factors: Sequence[str]
) -> dict[str, tuple[Any, Any]]:
    """In which settings a plan differs from the one of its name on disk, although neither varies
    them.

    Args:
        earlier: what `read` gave of it
        folder: of the sweep
        rows: of the new plan
        factors: keys that it may vary

    Returns:
        by key, the earlier value and the new one; empty if the one only widens the other
    """
    begun = [run for run in earlier["runs"] if _begun(folder / run["directory"])]
    if not begun:
        return {}
    old = [run["settings"] for run in begun]
    new = [row["settings"] for row in rows]
    varied = {"seed", *earlier["factors"], *factors}
    found = {}
    together = {*varied, *derived([*old, *new])}
    for key in dict.fromkeys([*old[0], *new[0]]):
        if key in together or key.partition(".")[0] in varied or key == FINGERPRINT:
            continue
        theirs, mine = _told(old, key), _told(new, key)
        if mine is not _VARIES and theirs is not _VARIES and mine != theirs:
            found[key] = (theirs, mine)
    if FINGERPRINT in derived(old) & derived(new) - together:
        known = {images(row): row[FINGERPRINT] for row in old}
        marks = [(known.get(images(row)), row[FINGERPRINT]) for row in new]
        found[FINGERPRINT] = next(pair for pair in marks if pair[0] not in (None, pair[1]))
    # A choice tells it all; its numbers follow from it.
    return {k: v for k, v in found.items() if "." not in k or k.partition(".")[0] not in found}


_VARIES = object()


def _told(settings: Sequence[Mapping[str, Any]], key: str) -> Any:
    """A key's value in all of a plan's runs; BY_SEED where it is that of each run's seed."""
    values = {repr(each.get(key)): each.get(key) for each in settings}
    if len(values) == 1:
        return next(iter(values.values()))
    return BY_SEED if key in derived(settings) else _VARIES


def settings_text(differences: Mapping[str, tuple[Any, Any]], which: int) -> str:
    """One side of a difference, as it would be typed."""
    return ", ".join(
        f"{key_text(key)}={as_typed(pair[which])}" for key, pair in differences.items()
    )


def write(
    folder: Path,
    rows: Sequence[Row],
    *,
    factors: Sequence[str],
    baseline: Mapping[str, str],
    question: str | None,
    project: str | None,
    stacks: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Writes plan.json. Of runs that it listed before, those that were begun stay in it.

    Its caller holds the plan's lock. A file that cannot be read is kept as plan.unreadable.json.

    Args:
        folder: of the sweep
        rows: its runs
        factors: keys that the sweep varies
        baseline: the typed value of some keys, by key
        question: of the sweep
        project: the folder whose parts its runs have; None where all are installed
        stacks: which runs are trained as one model: `runs` (their ids, in order) and `compiled` of
            each; None: those that it had
    """
    path = folder / "plan.json"
    if folder.is_dir():
        for left in leftovers(folder):  # of a process that was killed while it wrote here
            left.unlink(missing_ok=True)
    earlier = read(path)
    if earlier is None:
        if path.exists():
            path.replace(path.with_name("plan.unreadable.json"))
        earlier = NOTHING
    runs = _joined(folder, earlier, rows)
    varied = list(dict.fromkeys([*earlier["factors"], *factors]))
    asked = history.extended(folder, earlier, runs, varied)
    everything = [run["settings"] for run in runs.values()]
    common = {
        key: value
        for key, value in everything[0].items()
        if all(key in row and row[key] == value for row in everything)
    }
    for run in runs.values():
        own = run["settings"].items()
        run["settings"] = {key: value for key, value in own if key not in common}
    write_json(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            "name": folder.name,
            "factors": varied,
            "baseline": dict(baseline) or earlier["baseline"],
            "question": question or earlier["question"],
            "project": project,
            "stacks": list(earlier["stacks"] if stacks is None else stacks),
            "history": asked,
            "settings": common,
            "runs": list(runs.values()),
        },
    )


NOTHING: Mapping[str, Any] = {
    "factors": [], "baseline": {}, "question": None, "stacks": [], "history": [], "runs": [],
}  # fmt: skip
"""In the place of a plan.json that is not there."""


def _joined(folder: Path, earlier: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Row]:
    """The runs of a plan, by id: those of the one before that were begun, and these."""
    current = {row["run_id"]: row for row in rows}
    runs = {
        run["run_id"]: run
        for run in earlier["runs"]
        if run["run_id"] in current or _begun(folder / run["directory"])
    }
    for run_id, row in current.items():
        row["published"] = row["published"] or runs.get(run_id, row)["published"]
        runs[run_id] = row
    return runs


def added_after(
    folder: Path, earlier: Mapping[str, Any] | None, rows: Sequence[Row], factors: Sequence[str]
) -> tuple[int, int] | None:
    """Whether a command adds seeds to those that a report has shown.

    Args:
        folder: of the sweep
        earlier: what `read` gave of its plan
        rows, factors: as in `write`

    Returns:
        how many a report has shown, and how many there will be; None where it adds none, or a
        single one was shown, which no test is made of
    """
    before = earlier or NOTHING
    varied = list(dict.fromkeys([*before["factors"], *factors]))
    asked = history.extended(folder, before, _joined(folder, before, rows), varied)
    if asked == before["history"]:
        return None
    shown, seeds = len(asked[-1]["shown"]), len(asked[-1]["seeds"])
    return (shown, seeds) if 1 < shown < seeds else None


def read(path: Path) -> dict[str, Any] | None:
    """A plan.json with each run's settings in full; None if it is missing or cannot be used."""
    try:
        return parsed_plan(path.read_bytes())
    except (OSError, Damaged):
        return None


def parsed_plan(data: bytes) -> dict[str, Any]:
    """The content of a plan.json: factors, baseline, question, stacks, history, and runs as
    `Row`s.

    Raises:
        Damaged: if it is not that
    """
    plan = parsed(data)
    try:
        rows = [plan["settings"], *(run["settings"] for run in plan["runs"])]
        published = [value for run in plan["runs"] for value in run["published"].values()]
        names = [run[key] for run in plan["runs"] for key in ("run_id", "directory")]
        baseline, question = plan.get("baseline") or {}, plan.get("question")
        project = plan.get("project")
        stacks = [
            {"runs": list(map(str, each["runs"])), "compiled": bool(each["compiled"])}
            for each in plan.get("stacks", [])
        ]
        valid = (
            isinstance(plan["factors"], list)
            and all(type(name) is str for name in (*names, *plan["factors"]))
            and all(setting(value) for row in rows for value in row.values())
            and all(map(number, published))
            and isinstance(baseline, dict)
        )
        asked = history.checked(plan.get("history", []))
    except (AttributeError, KeyError, TypeError):
        valid = False
    if not valid:
        raise Damaged("it is incomplete, or has values of a wrong type")
    outside = next((run["directory"] for run in plan["runs"] if _outside(run["directory"])), None)
    if outside is not None:
        raise Damaged(f"it names a record that does not lie below outputs/: {outside[:80]}")
    shared = {**BEFORE, **_renamed(plan["settings"])}
    runs = [{**run, "settings": {**shared, **_renamed(run["settings"])}} for run in plan["runs"]]
    return {
        **plan,
        "factors": [MOVED.get(key, key) for key in plan["factors"]],
        "baseline": _renamed(baseline),
        "question": question if isinstance(question, str) else None,
        "project": project if isinstance(project, str) else None,
        "stacks": stacks,
        "history": asked,
        "runs": runs,
    }


def _renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an earlier version under the names that they have now."""
    return {MOVED.get(key, key): value for key, value in settings.items()}


def _outside(directory: str) -> bool:
    """Whether a path, relative to a sweep's folder, leaves the folder of all records."""
    if not directory.startswith(("/", "\\")) and ".." not in directory:
        return False
    return os.path.isabs(directory) or os.path.normpath(f"sweep/{directory}").startswith("..")


def _begun(directory: Path) -> bool:
    return any((directory / name).exists() for name in ("result.json", checkpoint.NAME))
