"""One sweep's runs, and which record counts for each: what was planned beside what was found."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlab.records import writer
from cnnlab.records.reading import cache as kept_cache
from cnnlab.records.reading import found, planned
from cnnlab.records.reading.curves import NONE
from cnnlab.records.reading.found import AGAIN, Found, Problem
from cnnlab.records.reading.tables import RESERVED, Run


@dataclass
class Part:
    """One sweep before its runs are put into tables.

    Attributes:
        plan: of the sweep
        runs: by run id, those of the plan first
        unknown: how many records cannot be read that may be those of its runs
        problems: all that were found
        signature: of all files, as `signature` has it
    """

    plan: planned.Planned
    runs: dict[str, Run]
    unknown: int
    problems: list[Problem]
    signature: str


def signature(folder: Path) -> str:
    """What changes with each file that `read` reads, in a fraction of its time.

    A report that was made of the same signature need not be made again. A sweep in which a file
    could not be opened has another one each time that it is read: the next time it may open.
    """
    plan, stamps, problems = _look(folder)
    return _hash(plan, stamps, problems)


def read(folder: Path, *, cache: bool = True) -> Part:
    """Reads a sweep.

    Args:
        folder: of the sweep
        cache: use and keep what was read the last time
    """
    plan, stamps, problems = _look(folder)
    signed = _hash(plan, stamps, problems)
    known = kept_cache.load(folder) if cache else {}
    records = found.read(str(folder), stamps, known)
    same = records.keys() == known.keys() and all(records[name] is known[name] for name in known)
    if cache and records and not same:
        kept_cache.save(folder, records)
    if not all(each.lasting for each in records.values()):
        signed += "-unread"
    problems += [
        Problem(_place(folder, name, file), what, remedy)
        for name, each in records.items()
        for file, what, remedy in each.problems
    ]
    part = Part(plan, {}, 0, problems, signed)
    _take_planned(folder, records, part)
    _take_others(folder, records, part)
    return part


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files left out.

    Raises:
        OSError: if it cannot be looked into
    """
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _look(folder: Path) -> tuple[planned.Planned, dict[str, list[Any]], list[Problem]]:
    """The plan, the stamps of all records by directory, and the faults of both."""
    plan = planned.read(folder, RESERVED)
    problems = list(plan.problems)
    named = {run["directory"] for run in plan.runs.values()}
    try:
        others = [name for name in names(folder) if name not in named]
    except OSError as error:
        others = []
        what = f"{error.strerror}. What lies in it does not count"
        problems.append(Problem(folder.name, what, found.READABLE))
    others = [name for name in others if name not in ("report", writer.ASIDE)]
    strange = found.look(str(folder), others, settings=True)
    stamps = found.look(str(folder), named, settings=False)
    # A folder that has neither file is no record.
    stamps |= {name: each for name, each in strange.items() if each[:2] != [None, None]}
    return plan, stamps, problems


def _take_planned(folder: Path, records: Mapping[str, Found], part: Part) -> None:
    """Adds the runs of the plan with what lies where it says."""
    for identity, run in part.plan.runs.items():
        directory = run["directory"]
        there = records[directory]
        if there.run_id not in (None, identity):
            what = f"plan.json names run {identity[:8]} here; this is run {there.run_id[:8]}"
            part.problems.append(
                Problem(_place(folder, directory), f"{what}. It does not count", AGAIN)
            )
            there = replace(there, status="unreadable", run_id=None, values={}, rows=NONE)
        part.runs[identity] = Run(
            identity, folder.name, directory, run["settings"], run["published"], there
        )


def _take_others(folder: Path, records: Mapping[str, Found], part: Part) -> None:
    """Adds the records that the plan does not name; of several of one run the first counts."""
    named = {run.directory for run in part.runs.values()}
    for directory in sorted(records.keys() - named):
        there, place = records[directory], _place(folder, directory)
        if there.run_id is None:
            part.unknown += there.status == "unreadable" and not part.plan.known
            if there.status == "pending":
                what = "an unfinished run that plan.json does not name. It does not count"
                part.problems.append(Problem(place, what, "The command that began it finishes it."))
            continue
        earlier = part.runs.get(there.run_id)
        if earlier is None:
            part.runs[there.run_id] = Run(
                there.run_id, folder.name, directory, there.settings or {}, {}, there
            )
        elif earlier.found.run_id is None:  # where the plan says there is none
            earlier.directory, earlier.found = directory, there
        else:
            what = f"a second record of run {there.run_id[:8]}. Only {earlier.directory} counts"
            part.problems.append(Problem(place, what, "Move it away."))


def _place(folder: Path, directory: str, file: str = "") -> str:
    """A path relative to outputs/; the record may lie in another sweep's folder."""
    return os.path.normpath(f"{folder.name}/{directory}/{file}")


def _hash(plan: planned.Planned, stamps: Mapping[str, Any], problems: list[Problem]) -> str:
    parts = [kept_cache.VERSION, plan.stamp, sorted(stamps.items()), list(map(str, problems))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
