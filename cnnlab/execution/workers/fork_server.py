"""The fork server that worker processes come from, its heavy imports done; and how they end."""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess

from cnnlab.core import memory
from cnnlab.execution.workers import temporary

CONTEXT = multiprocessing.get_context("forkserver")

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a sweep to stop: Ctrl-C, a cluster's scheduler, a terminal that was closed."""


def warm_up(modules: Sequence[str]) -> None:
    """Starts the fork server, unless it runs; it imports modules while this process goes on."""
    CONTEXT.set_forkserver_preload(["cnnlab.execution.workers.worker", *modules])
    # One thread a worker: with two for one core, each step waits for the other's.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What is ignored is inherited: the process that started it decides what a signal means.
    with temporary.used(), _signals_ignored():
        forkserver.ensure_running()
    atexit.register(_cool_down)


@contextmanager
def _signals_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cool_down() -> None:
    """Ends the fork server with its process, also in the middle of its imports: a command that was
    refused leaves nothing running."""
    server = getattr(forkserver, "_forkserver", None)
    number = getattr(server, "_forkserver_pid", None)
    if number is not None:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def fate(process: BaseProcess) -> str:
    """How a process ended, in words."""
    code = process.exitcode
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = " (often: the machine had no memory left)" if -code == signal.SIGKILL else ""
    if -code == signal.SIGABRT and memory.limited():  # C++ without memory
        why = f". {memory.limited().rstrip('.')}"
    return f"its process was killed by {name}{why}"
