"""The one temporary folder of a command, for whatever its processes leave in such places.

multiprocessing's sockets (`pymp-*`) and what PyTorch compiles (`torchinductor_*`) stay behind when
a process is killed. So they lie in a folder whose owner holds a lock on it; whoever comes later
removes the folders whose lock is free.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import util
from pathlib import Path

PREFIX = "cnnlab-"
OWNER = "owner"
"""The file that is locked."""

LONGEST = 55
"""Characters of a place: 48 more are those of a socket in it, which may have 103 on macOS."""


@cache
def own_folder() -> Path:
    """This process's folder; it is gone when the process ends."""
    place = Path(tempfile.gettempdir())
    if len(str(place)) > LONGEST:
        place = Path("/tmp")
    remove_left(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    coming = folder / f"{OWNER}.new"
    handle = os.open(coming, os.O_CREAT | os.O_RDWR, 0o600)  # open as long as the process lives
    fcntl.flock(handle, fcntl.LOCK_EX)
    coming.rename(folder / OWNER)  # not seen by others before it is locked
    # After multiprocessing has removed its own (at -100), which complains where that is gone.
    util.Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=-200)
    return folder


def remove_left(place: Path) -> None:
    """Removes the folders of processes that are gone."""
    for owner in place.glob(f"{PREFIX}*/{OWNER}"):
        with suppress(OSError), open(owner, "rb+") as file:  # another user's, or in use
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(owner.parent, ignore_errors=True)


@contextmanager
def used() -> Iterator[None]:
    """While it lasts, temporary files of this process, and ever after those of the processes that
    it starts meanwhile, are made in its own folder."""
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    folder = str(own_folder())
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before[1]
        if before[0] is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before[0]
