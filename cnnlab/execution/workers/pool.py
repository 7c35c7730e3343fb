"""A pool of worker processes that loses no job: one that dies or hangs costs its job one try.

Every worker has a connection of its own and shares no lock with others, so that one that is killed
in the middle of a message cannot block the rest. (`concurrent.futures` gives up all jobs when one
worker dies; others share a queue between workers.) Workers come from a fork server that has the
heavy imports done, and has started no thread and no GPU.
"""

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from cnnlab.config.launcher import Limits
from cnnlab.core import events, memory
from cnnlab.execution.workers import worker
from cnnlab.execution.workers.fork_server import CONTEXT, STOPPING, fate
from cnnlab.execution.workers.watcher import Watcher

PATIENCE = 0.5
"""Seconds before a job that another process has in hand is offered again."""

GRACE = 1.0
"""Seconds that a hanging worker has to write down where it hangs, before it is killed."""

MOMENT = 0.1
"""Seconds between two looks at the clock."""

MOST_STILLBORN = 3
"""Workers that may end before they take a job, one after the other."""


class WorkersBroken(RuntimeError):
    """No worker comes up: going on is of no use."""


@dataclass(eq=False)
class _Member:
    """A worker, as the pool sees it."""

    index: int
    process: BaseProcess
    connection: Connection
    ready: bool = False
    used: bool = False
    numbers: list[int] = field(default_factory=list)
    """Of the jobs in its hands that it has not answered for."""
    working: bool = False
    together: bool = False
    """Whether it was given several jobs at once."""
    later: list[int] = field(default_factory=list)
    """Of the jobs that it answered for by asking to put them off."""
    alone: bool = False
    """Whether no other is to be given one meanwhile."""
    deadline: float = math.inf
    hanging: bool = False


def _under_nohup() -> bool:
    """Whether the command is to outlive its terminal."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


class Pool:
    """Does jobs in worker processes.

    A person may ask it to stop: once lets each job come to a place where it can be continued, twice
    ends all at once.

    Args:
        setup: a pickled function that gives a `worker.Job`, called with `inherited`
        environments: one a worker: what is set in its environment
        limits: of a job
        watcher: is told how the jobs go
        inherited: what workers are handed when they start; may hold open files
    """

    def __init__(
        self,
        setup: bytes,
        environments: Sequence[Mapping[str, str]],
        limits: Limits,
        watcher: Watcher,
        inherited: Any = None,
    ):
        self.inherited = inherited
        self.setup, self.environments, self.limits = setup, environments, limits
        self.watcher = watcher
        self._interrupts = 0
        self._members: dict[int, _Member] = {}
        self._stopping = self._enough = False
        self._stillborn = 0

    def run(self, payloads: Sequence[Any], groups: Sequence[Sequence[int]] | None = None) -> None:
        """Does all jobs. Each comes to the watcher's `done` or `lost`, unless it was stopped.

        Args:
            payloads: what each job is to do
            groups: the numbers of the jobs that a worker is given at once; each job is in one of
                them. None: each by itself

        Raises:
            KeyboardInterrupt: at the end, if a person stopped them
            WorkersBroken: if workers die before they take a job
            cnnlab.core.events.DiskFull: if there is no room for records
        """
        self._payloads = payloads
        self._queue = deque(groups or [[number] for number in range(len(payloads))])
        self._solo: deque[int] = deque()
        self._later: deque[tuple[float, list[int]]] = deque()
        self._tries = [0] * len(payloads)
        try:
            with self._interruptible():
                while self._busy or (self._left and not self._enough):
                    if not self._enough:
                        self._assign()
                    self._wait()
                    self._see_to_interrupts()
                    self._see_to_deadlines()
                    self.watcher.tick()
        finally:
            self._end()
        if self._interrupts:
            raise KeyboardInterrupt

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Signals ask the pool to stop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def count(*_: Any) -> None:
            self._interrupts += 1

        numbers = [each for each in STOPPING if each != signal.SIGHUP or not _under_nohup()]
        before = {number: signal.signal(number, count) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def _left(self) -> int:
        return len(self._queue) + len(self._solo) + len(self._later)

    @property
    def _busy(self) -> list[_Member]:
        return [member for member in self._members.values() if member.working]

    def _assign(self) -> None:
        """Gives jobs to workers that have none, and starts workers that are missing."""
        while self._later and self._later[0][0] <= time.monotonic():
            numbers = self._later.popleft()[1]
            if self._tries[numbers[0]]:
                self._solo += numbers
            else:
                self._queue.append(numbers)
        busy = self._busy
        if any(member.alone for member in busy):
            return  # that one is to be alone
        if not self._queue:
            if self._solo and not busy:
                self._assign_solo()
            return
        coming = sum(not member.ready for member in self._members.values())
        for index in range(len(self.environments)):
            member = self._members.get(index)
            if member is None and coming < len(self._queue):
                self._start(index)
                coming += 1
            elif member is not None and member.ready and not member.working and self._queue:
                self._give(member, self._queue.popleft())

    def _assign_solo(self) -> None:
        """Gives one job the whole machine: also what idle workers hold of its memory."""
        for member in [member for member in self._members.values() if member.used]:
            self._dismiss(member)
        if not self._members:
            self._start(0)
            return
        for member in self._members.values():
            if member.ready:
                self._give(member, [self._solo.popleft()])
                return

    def _give(self, member: _Member, numbers: Sequence[int]) -> None:
        member.numbers, member.together = list(numbers), len(numbers) > 1
        member.working = member.used = True
        member.alone = self._tries[numbers[0]] > 0
        if self.limits.seconds is not None:
            member.deadline = time.monotonic() + self.limits.seconds * len(numbers)
        alone = len(self.environments) == 1 or member.alone
        self.watcher.started(numbers)
        self._send(member, ({number: self._payloads[number] for number in numbers}, alone))

    def _start(self, index: int) -> None:
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(
            target=worker.main,
            args=(theirs, self.setup, dict(self.environments[index]), self.inherited),
            daemon=True,
            name=f"cnnlab-worker-{index}",
        )
        try:
            process.start()
        except (EOFError, OSError) as error:  # the fork server was killed; another one comes
            ours.close()
            self._fail_to_start(f"the fork server: {error}")
            return
        finally:
            theirs.close()
        self._members[index] = _Member(index, process, ours)

    def _fail_to_start(self, reason: str) -> None:
        self._stillborn += 1
        if self._stillborn > MOST_STILLBORN:
            raise WorkersBroken(
                f"{self._stillborn} workers ended before they took a run: {reason}. Their own "
                f"messages are above. {memory.limited()}".rstrip()
            )

    def _send(self, member: _Member, message: Any) -> None:
        with suppress(OSError):  # it died: `_wait` sees that
            member.connection.send(message)

    def _wait(self) -> None:
        """Hears what workers tell, and which of them died."""
        by_handle = {}
        for member in self._members.values():
            by_handle[member.connection] = by_handle[member.process.sentinel] = member
        ready = connection.wait(list(by_handle), timeout=MOMENT)
        for member in dict.fromkeys(by_handle[handle] for handle in ready):
            try:
                while member.connection.poll():
                    self._hear(member, *member.connection.recv())
            except (EOFError, OSError):
                self._bury(member)
                continue
            if not member.process.is_alive():
                self._bury(member)

    def _hear(self, member: _Member, kind: str, *what: Any) -> None:
        if kind == "ready":
            member.ready, self._stillborn = True, 0
            return
        if kind == "full":
            raise events.DiskFull(what[0])
        if kind == "free":  # what it has not answered for was stopped
            self._put_off(member)
            member.numbers, member.working = [], False
            member.deadline, member.hanging = math.inf, False
            return
        number, *rest = what
        if number not in member.numbers:
            return  # what it still had to say of a job that was taken from it
        if kind == "event":
            self.watcher.event(number, rest[0])
            return
        member.numbers.remove(number)
        if kind == "done":
            self._go_on(self.watcher.done(number, rest[0]))
        elif kind == "later":
            member.later.append(number)
        elif kind == "alone":
            self._tries[number] += 1
            self._solo.append(number)
            self.watcher.again(number, rest[0])

    def _put_off(self, member: _Member) -> None:
        """Has the jobs that a worker could not take in hand come back, together as they were."""
        if member.later:
            self._later.append((time.monotonic() + PATIENCE, member.later))
            self.watcher.waiting(member.later)
            member.later = []

    def _bury(self, member: _Member) -> None:
        """Sees to the jobs of a worker that died."""
        member.process.join(GRACE)  # or its end would be taken for our kill
        self._dismiss(member)
        self._put_off(member)
        if not member.numbers:
            if not member.ready:
                self._fail_to_start(fate(member.process))
            return
        if self._stopping:
            return  # what it had is on disk; whoever comes next goes on with it
        why = fate(member.process)
        if member.hanging:
            why = f"hung: not done after hydra.launcher.timeout={self.limits.seconds:g} s"
        for number in member.numbers:
            self._tries[number] += 1
            # Of several only one may be to blame; each has its own try then.
            if member.together or (not member.hanging and self._tries[number] < self.limits.tries):
                self._solo.append(number)
                self.watcher.again(number, why)
            else:
                often = self._tries[number] > 1 and not member.hanging
                times = f", {self._tries[number]} times" if often else ""
                self._go_on(self.watcher.lost(number, why + times))

    def _go_on(self, wanted: bool) -> None:
        if not wanted:
            self._enough = True
            self._stop()

    def _stop(self) -> None:
        self._stopping = self._enough = True
        for member in self._members.values():
            self._send(member, "stop")

    def _see_to_interrupts(self) -> None:
        if self._interrupts and not self._stopping:
            self.watcher.stopping()
            self._stop()
        if self._interrupts > 1:
            for member in self._busy:
                self._dismiss(member)

    def _see_to_deadlines(self) -> None:
        for member in self._busy:
            if time.monotonic() < member.deadline:
                continue
            if not member.hanging:
                member.hanging, member.deadline = True, time.monotonic() + GRACE
                with suppress(ProcessLookupError):
                    os.kill(member.process.pid, signal.SIGUSR1)  # it writes down where it is
            else:
                member.process.kill()

    def _dismiss(self, member: _Member) -> None:
        """Ends a worker, whatever it does."""
        self._members.pop(member.index, None)
        member.connection.close()
        member.process.kill()
        member.process.join()

    def _end(self) -> None:
        for member in list(self._members.values()):
            self._dismiss(member)
