"""A limit on a process's addresses (RLIMIT_AS, `ulimit -v`)."""

import errno
import resource
from pathlib import Path

ROOM = 400_000_000
"""Bytes of addresses that training takes beside what PyTorch's import has taken: 0.3 GB on an x86
with PyTorch 2, where that took 3.1 GB."""


def limited() -> str:
    """What to say of the limit where something had too little memory; empty if there is none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return ""
    return (
        f"The memory of a process is limited to {limit / 1e9:.1f} GB here (RLIMIT_AS), which is "
        "too little for PyTorch: ulimit -v unlimited, typed before the command, lifts it."
    )


def scarce() -> bool:
    """Whether the limit leaves this process too little room to train, its imports done."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not status.exists():
        return False
    return limit - int(status.read_text().split()[0]) * resource.getpagesize() < ROOM


def ran_out(error: BaseException) -> bool:
    """Whether an error comes from a lack of memory."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, ImportError) and "failed to map segment" in str(error))
    )
