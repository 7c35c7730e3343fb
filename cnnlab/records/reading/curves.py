"""metrics.csv of many runs as numbers: each file's whole and sound lines, and what else is in it.

All files are parsed together: a report of 10,000 runs does nothing in Python for each epoch.
"""

import io
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cnnlab.records.schema import METRICS

NONE = np.empty((0, len(METRICS)))
"""The rows of a run that has none."""

ACCURACY = METRICS.index("val_accuracy")

_HEADER = ",".join(METRICS).encode()
# No exponent that a float does not hold: pandas 2 reads that as text.
_NUMBER = rb"-?(?:\d{1,40}(?:\.\d{0,40})?(?:e[-+]?\d{1,2})?|nan|inf)"
_LINE = re.compile(
    rb"^[1-9]\d{0,8}(?:,(?:%b)?){%d}\r?\n" % (_NUMBER, len(METRICS) - 1), re.MULTILINE
)
"""A whole line: an epoch, and a number or nothing in each other column."""

_SPAN = 10.0**9
"""More than any epoch that a line can have."""


def parse(files: Sequence[bytes]) -> list[tuple[np.ndarray, list[str]]]:
    """Each file's rows, and what is wrong with it.

    Args:
        files: contents of metrics.csv; an empty one has no rows, and nothing is wrong with it

    Returns:
        of each file its rows, (epochs, columns of METRICS), by ascending epoch, NaN where a number
        is missing or cannot be; and a sentence for each fault
    """
    faults: list[list[str]] = [[] for _ in files]
    bodies = [_sound(data, own) for data, own in zip(files, faults, strict=True)]
    counts = np.array([body.count(b"\n") for body in bodies], dtype=int)
    joined = b"".join(bodies)
    if not joined:
        return [(NONE, own) for own in faults]
    table = pd.read_csv(io.BytesIO(joined), header=None, names=METRICS, dtype=float).to_numpy()
    table, counts = _ascending(table, counts, faults)
    _only_numbers(table, counts, faults)
    return list(zip(np.split(table, np.cumsum(counts)[:-1]), faults, strict=True))


def _sound(data: bytes, faults: list[str]) -> bytes:
    """The lines of a file that can be used, without its head."""
    head, _, body = data.partition(b"\n")
    if not data:
        return b""
    if head.rstrip(b"\r") != _HEADER:
        faults.append(f"its first line is not {_HEADER.decode()}. The curve is missing")
        return b""
    sound = b"".join(_LINE.findall(body))
    if len(sound) < len(body):
        rest = body[body.rfind(b"\n") + 1 :]
        broken = body.count(b"\n") - sound.count(b"\n")
        if rest:
            faults.append("its last line is half-written. The lines before it count")
        if broken:
            faults.append(f"{broken} of its lines cannot be read. The others count")
    return sound


def _ascending(
    table: np.ndarray, counts: np.ndarray, faults: list[list[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Drops lines whose epoch came before in the same file."""
    owner = np.repeat(np.arange(len(counts)), counts)
    place = owner * _SPAN + table[:, 0]  # files follow one another, as their epochs do
    fresh = np.append(True, place[1:] > np.maximum.accumulate(place)[:-1])
    for each in np.unique(owner[~fresh]):
        faults[each].append("it has epochs twice, or out of order. The first of each count")
    table, counts = table[fresh], np.bincount(owner[fresh], minlength=len(counts))
    there = np.flatnonzero(counts)
    last = table[np.cumsum(counts)[there] - 1, 0]
    for each in there[last != counts[there]]:
        if not faults[each]:  # else it follows from what was told
            faults[each].append("some of its epochs are missing. The others count")
    return table, counts


def _only_numbers(table: np.ndarray, counts: np.ndarray, faults: list[list[str]]) -> None:
    """Puts NaN in the place of what is no loss, accuracy or rate."""
    shares = np.array([name.endswith("accuracy") for name in METRICS])
    possible = (table >= 0) & (table <= np.where(shares, 1.0, np.finfo(float).max))
    table[~possible] = np.nan
    owner = np.repeat(np.arange(len(counts)), counts)
    for each in np.unique(owner[~possible.all(axis=1)]):
        faults[each].append("a value is missing, not finite or impossible. The others count")
