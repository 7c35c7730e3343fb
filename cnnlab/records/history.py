"""Which seeds of a sweep were asked for when, and which of them a report had shown by then.

Student's test and Holm's correction are for seeds that were chosen before anybody looked. So
plan.json keeps a `history`: an entry for each command that asked for other seeds than before. And
a report's made.json keeps which runs it showed, and since when.

A seed counts as soon as two variants have it: before, there is nothing to compare. Accuracies that
the terminal prints in training are no report: nothing is tested there.
"""

import json
import os
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypedDict

MADE = "made.json"
"""In a report's folder: of what its files were made, and which runs it showed."""

Shown = Mapping[str, Sequence[str]]
"""By time, the runs whose results a report showed then for the first time."""


class Entry(TypedDict):
    """A command that asked for other seeds than before."""

    when: str
    """ISO 8601, in UTC: such texts sort by time."""
    seeds: list[int]
    """Of the sweep from then on."""
    shown: list[int]
    """Of those, what reports had shown before."""


def now() -> str:
    """The time as `Entry` has it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def checked(entries: Any) -> list[Entry]:
    """A history as it was read.

    Raises:
        TypeError: if it is none
    """
    for each in entries:
        numbers = [*each["seeds"], *each["shown"]]
        if type(each["when"]) is not str or any(type(seed) is not int for seed in numbers):
            raise TypeError
    return [{"when": e["when"], "seeds": e["seeds"], "shown": e["shown"]} for e in entries]


def paired(runs: Iterable[Mapping[str, Any]], factors: Sequence[str]) -> list[int]:
    """The seeds that two variants at least have.

    Args:
        runs: each with its `settings`
        factors: the keys that tell variants apart
    """
    variants: dict[int, set[str]] = defaultdict(set)
    for run in runs:
        seed = run["settings"].get("seed")
        if type(seed) is int:
            variants[seed].add(repr([run["settings"].get(key) for key in factors]))
    return sorted(seed for seed, found in variants.items() if len(found) > 1)


def extended(
    folder: Path,
    earlier: Mapping[str, Any],
    runs: Mapping[str, Mapping[str, Any]],
    factors: Sequence[str],
) -> list[Entry]:
    """The history of a sweep after a command.

    Args:
        folder: of the sweep
        earlier: its plan before the command: history, factors, runs
        runs: its runs from now on, by id
        factors: that tell them apart
    """
    history = list(earlier["history"])
    if runs.keys() == {run["run_id"] for run in earlier["runs"]}:
        return history
    seeds = paired(runs.values(), factors)
    if seeds == paired(earlier["runs"], earlier["factors"]):
        return history
    for each in _elsewhere(folder, runs, factors):
        if each not in history:
            history.append(each)
    seen = seen_by(reports(folder.parent))
    shown = paired((run for run_id, run in runs.items() if run_id in seen), factors)
    history.append({"when": now(), "seeds": seeds, "shown": shown})
    return sorted(history, key=lambda each: each["when"])


def _elsewhere(
    folder: Path, runs: Mapping[str, Mapping[str, Any]], factors: Sequence[str]
) -> list[Entry]:
    """Of the sweeps in which these runs were trained: under another name a sweep is widened too."""
    homes = defaultdict(list)
    for run in runs.values():
        home = os.path.dirname(run["directory"])
        if home:
            homes[Path(os.path.normpath(folder / home))].append(run)
    taken = set(paired((run for several in homes.values() for run in several), factors))
    found: list[Entry] = []
    for home, several in homes.items():
        if not paired(several, factors):
            continue
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            entries = checked(json.loads((home / "plan.json").read_bytes()).get("history", []))
            found += [
                {key: value if key == "when" else sorted(taken.intersection(value))
                 for key, value in each.items()}
                for each in entries
            ]  # fmt: skip
    return found


# --- what reports showed


def reports(outputs: Path) -> list[Shown]:
    """What each report of any sweep, or of several together, has shown."""
    return [shown(path.parent) for path in outputs.glob(f"*/report/{MADE}")]


def shown(report: Path) -> dict[str, list[str]]:
    """What a report has shown; empty where there is none, or it cannot be read."""
    try:
        known = json.loads((report / MADE).read_bytes())["shown"]
        return {str(when): list(map(str, runs)) for when, runs in known.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def seen_by(reports: Iterable[Shown], when: str | None = None) -> Container[str]:
    """The runs that reports have shown, before some time or at all."""
    return {
        run
        for each in reports
        for since, runs in each.items()
        if when is None or since < when
        for run in runs
    }


def showing(report: Path, runs: Iterable[str]) -> dict[str, list[str]]:
    """What a report has shown when it shows these runs as well."""
    before = shown(report)
    fresh = sorted(set(runs).difference(*before.values()))
    return {**before, now(): fresh} if fresh else before
