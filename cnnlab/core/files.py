"""Files that appear whole or not at all."""

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_LEFTOVER = re.compile(r"\..+\.part-\w{8}")
"""The names of files that were being written when their process was killed."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says that takes no more."""


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes the place of `path` at the end, if nothing was raised.

    Its folder is made if it is missing. It is flushed to the disk before it appears.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.part-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes it private
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)  # there is none any more where all went well


def write_file(path: Path, content: str | bytes) -> None:
    """A file that appears whole or not at all."""
    with whole(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Indented JSON.

    Raises:
        ValueError: if a number is not finite, for which JSON has no word
    """
    write_file(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def settle(folder: Path) -> None:
    """Flushes a folder's list of names to the disk: what was moved there survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def leftovers(folder: Path) -> list[Path]:
    """The half-written files of killed processes in a folder."""
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if _LEFTOVER.fullmatch(entry.name)]


def writable(folder: Path) -> str | None:
    """Why nothing can be written below a folder; None if it can. Leaves no trace there."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        return error.strerror


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
