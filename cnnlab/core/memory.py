"""How much memory a process may still take, and what to say of a limit (RLIMIT_AS, `ulimit -v`)."""

import errno
import os
import re
import resource
from pathlib import Path

ROOM = 400_000_000
"""Bytes of addresses that training takes beside what PyTorch's import has taken: 0.3 GB on an x86
with PyTorch 2, where that took 3.1 GB."""


def available() -> int:
    """Bytes that this process may still take: what is free, within its limit."""
    try:
        found = re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
        free = int(found[1]) * 1024
    except OSError:  # macOS does not tell
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    left = _left()
    return free if left is None else max(0, min(free, left))


def scarce() -> bool:
    """Whether the limit leaves this process too little room to train, its imports done."""
    left = _left()
    return left is not None and left < ROOM


def _left() -> int | None:
    """Bytes of addresses within the limit; None if there is none, or it is not known."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not status.exists():
        return None
    return limit - int(status.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def limited() -> str:
    """What to say of the limit where something had too little memory; empty if there is none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return ""
    return (
        f"The memory of a process is limited to {limit / 1e9:.1f} GB here (RLIMIT_AS), which is "
        "too little for PyTorch: ulimit -v unlimited, typed before the command, lifts it."
    )


def ran_out(error: BaseException) -> bool:
    """Whether an error comes from a lack of memory."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, ImportError) and "failed to map segment" in str(error))
    )
