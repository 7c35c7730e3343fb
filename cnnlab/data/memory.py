"""Whether images fit into memory, asked before any is made."""

import os
import re
import resource
from pathlib import Path

from cnnlab.core.errors import Refused
from cnnlab.core.formats import byte_size


def require(what: str, size: int, advice: str) -> None:
    """Refuses images that cannot fit into memory.

    They are there twice when the validation split is cut, and when workers get them.

    Args:
        what: the images as their user knows them, in the plural
        size: bytes of all of them
        advice: what to do
    """
    free = available()
    if 2 * size > free:
        raise Refused(
            f"{what} take {byte_size(size)}, twice that while they are split; "
            f"{byte_size(free)} of memory are free. {advice}"
        )


def available() -> int:
    """Bytes that this process may still take: what is free, within its limit (`ulimit -v`)."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        free = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * page
    except OSError:  # macOS tells neither
        free, taken = os.sysconf("SC_PHYS_PAGES") * page, 0
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return free if limit == resource.RLIM_INFINITY else max(0, min(free, limit - taken))
