"""What is on disk already: which run's record lies where, and what lies there that is of no use."""

import os
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlab.records import checkpoint, writer
from cnnlab.records.schema import FINISHED, Damaged, parsed_result
from cnnlab.records.sources import changed


@dataclass(frozen=True)
class Found:
    """A run's record.

    Attributes:
        directory: where it lies
        result: of result.json; None while the run is unfinished
        epoch: the last finished one of an unfinished run that can be continued
        sources: the code that it was trained with; None where that is not known
        changed: the files whose code is another now, where that makes the record outdated
        superseded: an outdated record of the run in the sweep's own folder, beside this one
    """

    directory: Path
    result: Mapping[str, Any] | None
    epoch: int = 0
    sources: Mapping[str, str] | None = None
    changed: tuple[str, ...] = ()
    superseded: Path | None = None

    def beside(self, sources: Mapping[str, str]) -> "Found":
        """The same, seen from the code of today: a checkpoint of other code is not continued."""
        other = changed(self.sources, sources)
        return replace(self, epoch=0, changed=other) if other else self

    @property
    def rank(self) -> int:
        """The lower, the more is done; what is outdated comes last."""
        if self.changed:
            return 3
        if self.result is None:
            return 1
        return 0 if self.result["status"] in FINISHED else 2


def find(
    outputs: Path,
    own: Path,
    code: Mapping[str, Mapping[str, str]],
    *,
    elsewhere: bool = True,
    keep: bool = False,
) -> tuple[dict[str, Found], dict[str, str]]:
    """The records of runs, in whatever sweep they lie; the sweep's own folder comes first.

    A record of other code is outdated. Those of other sweeps are not taken then.

    Args:
        outputs: the folder of all records
        own: the sweep's folder
        code: by the run id of each run that is looked for, its sources today
        elsewhere: also in other sweeps
        keep: take results of other code too

    Returns:
        by run id, the record of each run that has one; and by directory, why what is in it is of
        no use although its name ends like that of a run
    """
    wanted: dict[str, list[str]] = {}
    for run_id in code:
        wanted.setdefault(run_id[:8], []).append(run_id)
    found: dict[str, Found] = {}
    useless: dict[str, str] = {}
    others = [each for each in _subfolders(outputs) if each != own] if elsewhere else []
    for folder in [own, *others]:
        for directory in _subfolders(folder, wanted):
            identities = wanted[_id8(directory.name)]
            candidate, reason = _look(directory)
            if reason is not None and folder == own:
                useless[str(directory)] = reason
            for identity, each in candidate:
                if identity not in identities:
                    continue
                if not (keep and each.result):
                    each = each.beside(code[identity])
                if each.changed and folder != own:
                    continue
                found[identity] = _better(found.get(identity), each)
    return found, useless


def _better(one: Found | None, other: Found) -> Found:
    """The one of two records of a run in which more is done; an outdated one beside it is noted."""
    if one is None:
        return other
    best, rest = (other, one) if other.rank < one.rank else (one, other)
    old = rest.changed and not best.changed and rest.result
    return replace(best, superseded=rest.directory) if old else best


def strangers(folder: Path, known: Iterable[str]) -> list[str]:
    """What lies in a sweep's folder and is neither a record nor of the sweep, each with a reason.

    Args:
        folder: of the sweep
        known: the names of the directories that its runs have
    """
    strange = []
    kept = {*known, "plan.json", "plan.unreadable.json", "report", writer.ASIDE}
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    for entry in entries:
        if entry.name in kept or entry.name.startswith("."):
            continue
        if not entry.is_dir(follow_symlinks=False):
            strange.append(f"{entry.path}: no record")
            continue
        candidate, reason = _look(Path(entry.path))
        if reason is not None:
            strange.append(f"{entry.path}: {reason}")
        elif not candidate:
            empty = not os.listdir(entry.path)
            strange.append(f"{entry.path}: {'an empty folder' if empty else 'no record'}")
    return strange


def free(directory: Path, run_id: str) -> Path:
    """A directory for a run's new record: that one, or with a number if something else is in it."""
    candidate, number = directory, 1
    while (candidate / "result.json").exists() or _anothers(candidate, run_id):
        number += 1
        candidate = directory.with_name(f"{directory.name}-{number}")
    return candidate


def _anothers(directory: Path, run_id: str) -> bool:
    """Whether a directory holds the checkpoint of another run."""
    state = checkpoint.read(directory, tensors=False)
    return state is not None and state.run_id != run_id


def _look(directory: Path) -> tuple[list[tuple[str, Found]], str | None]:
    """The record in a directory with its run id, or why there is none to use."""
    path = directory / "result.json"
    if not path.exists():
        state = checkpoint.read(directory, tensors=False)
        if state is None:
            return [], None
        begun = Found(directory, None, state.epoch, state.made_with.get("sources"))
        return [(state.run_id, begun)], None
    try:
        result = parsed_result(path.read_bytes())
    except OSError as error:
        return [], f"result.json cannot be read: {error.strerror}"
    except Damaged as damaged:
        return [], f"result.json: {damaged}"
    return [(result["run_id"], Found(directory, result, sources=result["sources"]))], None


def is_of(name: str, run_id: str) -> bool:
    """Whether a directory's name is one that `free` gives a run's record."""
    return _id8(name) == run_id[:8]


def _id8(name: str) -> str:
    """The part of a directory's name that is a run's: `...-<id8>` or `...-<id8>-<number>`."""
    head, _, tail = name.rpartition("-")
    return head.rpartition("-")[2] if len(tail) < 8 and tail.isdecimal() else tail


def _subfolders(folder: Path, ids: Container[str] | None = None) -> list[Path]:
    """The folders in a folder, by name; with `ids` only those of runs whose ids begin so."""
    try:
        with os.scandir(folder) as entries:
            names = [
                e.name
                for e in entries
                if e.name[0] != "."
                and (ids is None or _id8(e.name) in ids)
                and e.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]
