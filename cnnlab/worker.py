"""A worker process: does one job after the other, and tells its pool how each goes."""

import gc
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from cnnlab import channel

Job = Callable[[int, Any], Any]
"""Does one job, given its number and what it is to do; gives what is sent back."""


class _Worker:
    """The worker's side of the connection to its pool; the listener of the run in hand."""

    patient = False

    def __init__(self, connection: Connection):
        self.connection = connection
        self.alone = False
        self.jobs: queue.SimpleQueue[tuple[int, Any, bool]] = queue.SimpleQueue()
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
        self.tell("event", event)

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
    for number in (signal.SIGINT, signal.SIGTERM):  # the pool decides what they mean
        signal.signal(number, signal.SIG_IGN)
    os.environ.update(environment)
    logging.raiseExceptions = False  # of a log that has no room on the disk
    worker = _Worker(connection)
    threading.Thread(target=worker.listen, daemon=True).start()
    job: Job = cloudpickle.loads(setup)(inherited)
    channel.listener = worker
    gc.freeze()  # what was imported is no garbage: not looked through again, nor copied from others
    worker.tell("ready")
    while True:
        number, payload, worker.alone = worker.jobs.get()
        answer = _answer(job, number, payload)
        sys.stdout.flush()
        sys.stderr.flush()
        worker.tell(*answer)


def _answer(job: Job, number: int, payload: Any) -> tuple[Any, ...]:
    """What the pool is told of a job that came to an end, or could not."""
    try:
        return "done", job(number, payload)
    except channel.Stopped:
        return ("stopped",)
    except channel.Later:
        return ("later",)
    except channel.Alone as reason:
        return "alone", str(reason)
    except channel.DiskFull as reason:
        return "full", str(reason)
