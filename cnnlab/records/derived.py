"""Settings that say nothing of their own: what follows from the seed, and from other settings."""

from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]
"""Each run's settings, flat, as `cnnlab.records.identity.settings` gives them."""

FINGERPRINT = "data.fingerprint"


def derived(rows: Rows) -> set[str]:
    """The keys of runs whose values follow from the seed or from other settings.

    A part's own seed does where it is the run's in each run (`data.split_seed=seed`), and where
    it is in the runs of some levels of `vary` and the others share one value. The fingerprint of
    the images does where settings of the data tell it: not where a file has changed, or two lie at
    different paths.

    Args:
        rows: of the runs
    """
    below = {key for row in rows for key in row if key.rpartition(".")[2].endswith("seed")}
    found = {key for key in below if "." in key and _follows(rows, key)}
    return found | ({FINGERPRINT} if _told(rows) else set())


def _follows(rows: Rows, key: str) -> bool:
    """Whether a key is the run's seed, or is held."""
    levels: dict[Any, list[tuple[Any, Any]]] = {}
    for row in (row for row in rows if key in row):
        levels.setdefault(row.get("vary"), []).append((row[key], row.get("seed")))
    held = [
        {value for value, _ in pairs}
        for pairs in levels.values()
        if any(value != seed for value, seed in pairs)
    ]
    return len(set().union(*held)) <= 1


def _told(rows: Rows) -> bool:
    """Whether runs whose data has the same settings have the same images."""
    marks: dict[Any, Any] = {}
    return all(
        marks.setdefault(images(row), row.get(FINGERPRINT)) == row.get(FINGERPRINT) for row in rows
    )


def images(row: Mapping[str, Any], without: frozenset[str] = frozenset()) -> frozenset[Any]:
    """The settings of a run's data, but for the fingerprint.

    Args:
        row: of the run
        without: keys that are left out
    """
    return frozenset(
        (key, value)
        for key, value in row.items()
        if key.partition(".")[0] == "data" and key != FINGERPRINT and key not in without
    )
