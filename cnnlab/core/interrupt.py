"""Ctrl-C where Python code cannot be trusted to hear it: while modules are imported.

A KeyboardInterrupt in the middle of an import is a traceback of it, or, where C code runs a
module's Python, an abort. Imports nothing that takes time, so that it can
be imported first.
"""

import atexit
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SENTENCE = b"Interrupted.\n"


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process with a line and exit code 130."""
    signal.signal(signal.SIGINT, _leave)


@contextmanager
def importing() -> Iterator[None]:
    """While it lasts, Ctrl-C ends the process at once; then it is what it was."""
    before = signal.getsignal(signal.SIGINT)
    try:
        leave_at_once()
    except ValueError:  # not in the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def as_usual() -> None:
    """After `leave_at_once`: Ctrl-C is a KeyboardInterrupt again, as Python has it."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: Any) -> None:
    os.write(2, SENTENCE)
    atexit._run_exitfuncs()  # what was started ends too
    os._exit(130)
