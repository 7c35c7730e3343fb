"""What a report has read, kept below `<sweep>/report/`, so that only what is new is read again.

One file, whole or not there: the rows of all curves, and JSON for the rest. Nothing is unpickled.
Without it, or where it is damaged or of another version, everything is read anew.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np

from cnnlab import __version__
from cnnlab.core.files import write_file
from cnnlab.records.reading.curves import NONE
from cnnlab.records.reading.found import MEASURED, Found
from cnnlab.records.schema import SCHEMA_VERSION

NAME = "report/cache.npz"

VERSION = f"{__version__} {SCHEMA_VERSION} 2 {' '.join(MEASURED)}"
"""Of the program, of the records, and of what is made of them: raise the 2 with the latter."""

_KEYS = [e.name for e in fields(Found) if e.name not in ("rows", "lasting", "sources")]


def load(folder: Path) -> dict[str, Found]:
    """What was read of a sweep, by directory; empty if that is not known."""
    try:
        with open(folder / NAME, "rb") as whole, np.load(whole, allow_pickle=False) as file:
            head, rows = json.loads(file["head"].tobytes()), file["rows"]
        if head["version"] != VERSION:
            return {}
        return _unpacked(head["runs"], rows, head["sources"])
    except Exception:  # whatever is wrong with it, the records themselves are there
        return {}


def save(folder: Path, found: Mapping[str, Found]) -> None:
    """Keeps what was read of a sweep, where its folder can be written into."""
    lasting = {name: each for name, each in found.items() if each.lasting}
    runs = {
        name: [len(each.rows), *(getattr(each, key) for key in _KEYS)]
        for name, each in lasting.items()
    }
    # Most runs share theirs; `code` names them.
    sources = {each.values["code"]: each.sources for each in lasting.values() if each.sources}
    head = json.dumps({"version": VERSION, "runs": runs, "sources": sources}).encode()
    rows = np.concatenate([NONE, *(each.rows for each in lasting.values())])
    buffer = io.BytesIO()
    np.savez(buffer, head=np.frombuffer(head, dtype=np.uint8), rows=rows)
    try:
        write_file(folder / NAME, buffer.getvalue())
    except OSError:  # no rights, or a full disk: the next report reads everything once more
        return


def _unpacked(
    runs: Mapping[str, list], rows: np.ndarray, sources: Mapping[str, Mapping[str, str]]
) -> dict[str, Found]:
    """Raises an exception if the parts do not fit together."""
    if rows.dtype != float or rows.shape != (sum(each[0] for each in runs.values()), NONE.shape[1]):
        raise ValueError("rows")
    found, end = {}, 0
    for name, (count, *values) in runs.items():
        start, end = end, end + count
        each = Found(**dict(zip(_KEYS, values, strict=True)), rows=rows[start:end])
        each.sources = sources.get(each.values.get("code"))
        found[name] = each
    return found
