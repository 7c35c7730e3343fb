"""A worker process: does one job after the other, and tells its pool how each goes."""

import gc
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from cnnlab.core import events
from cnnlab.execution.workers.fork_server import STOPPING

Tell = Callable[..., None]
"""Called with `done`, `later` or `alone`, a job's number, and what there is to say of it."""

Job = Callable[[dict[int, Any], Tell], None]
"""Does jobs at once, given by their numbers what each is to do; tells how each of them goes."""


class _Worker:
    """The worker's side of the connection to its pool; the listener of the run in hand."""

    patient = False

    def __init__(self, connection: Connection):
        self.connection = connection
        self.alone = False
        self.numbers: list[int] = []
        self.jobs: queue.SimpleQueue[tuple[dict[int, Any], bool]] = queue.SimpleQueue()
        self._stop = threading.Event()

    def listen(self) -> None:
        """Takes what the pool sends. When the pool is gone, so is its worker, at once: a run may
        be in another's hands a moment later."""
        while True:
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                os._exit(1)
            if message == "stop":
                self._stop.set()
            else:
                self.jobs.put(message)

    def tell(self, kind: str, *what: Any) -> None:
        try:
            self.connection.send((kind, *what))
        except OSError:  # the pool is gone
            os._exit(1)

    def hear(self, event: dict[str, Any]) -> None:
        self.tell("event", self.numbers[event.get("run", 0)], event)

    def stopping(self) -> bool:
        return self._stop.is_set()


def main(connection: Connection, setup: bytes, environment: dict[str, str], inherited: Any) -> None:
    """Works until the pool closes the connection.

    Args:
        connection: to the pool
        setup: a pickled function that gives the Job, called with `inherited`
        environment: set before anything asks for it, e.g. CUDA_VISIBLE_DEVICES
        inherited: what the pool hands over
    """
    for number in STOPPING:  # the pool decides what they mean
        signal.signal(number, signal.SIG_IGN)
    os.environ.update(environment)
    logging.raiseExceptions = False  # of a log that has no room on the disk
    worker = _Worker(connection)
    threading.Thread(target=worker.listen, daemon=True).start()
    job: Job = cloudpickle.loads(setup)(inherited)
    events.listener = worker
    gc.freeze()  # what was imported is no garbage: not looked through again, nor copied from others
    worker.tell("ready")
    while True:
        payloads, worker.alone = worker.jobs.get()
        worker.numbers = list(payloads)
        try:
            job(payloads, worker.tell)
        except events.Stopped:
            pass
        except events.DiskFull as reason:
            worker.tell("full", str(reason))
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # nobody reads it any more
                stream.flush()
        worker.tell("free")
