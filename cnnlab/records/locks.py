"""Locks between processes: no run is trained by two at once, no plan written by two.

Each lock is one byte of `<outputs>/.lock`, so nothing is left behind but that empty file. The
operating system takes a lock back when its process ends, however it ends. Processes on several
machines that share a folder share its locks where its file system has POSIX record locks.
"""

import errno
import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)


class Busy(Exception):
    """Another process holds the lock."""


@contextmanager
def held(outputs: Path, what: str, *, wait: bool = True) -> Iterator[None]:
    """Holds a lock for as long as the block runs.

    Args:
        outputs: the folder of all records; made if it is missing
        what: the lock's name, e.g. a run id
        wait: until another process gives it back

    Raises:
        Busy: if another process holds it, and `wait` is false
    """
    handle = _opened(str(outputs.resolve()))
    offset = int.from_bytes(hashlib.blake2b(what.encode(), digest_size=7).digest(), "big")
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, offset)
    except (BlockingIOError, PermissionError) as error:  # EAGAIN or EACCES, as POSIX allows both
        raise Busy(what) from error
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        _warn(str(outputs))
        yield
        return
    try:
        yield
    finally:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, offset)


@cache
def _opened(outputs: str) -> int:
    """The lock file, open for good: closing it would give back all locks that a process holds."""
    Path(outputs).mkdir(parents=True, exist_ok=True)
    return os.open(Path(outputs) / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


@cache
def _warn(outputs: str) -> None:
    log.warning("%s: its file system has no locks: start one command there at a time.", outputs)
