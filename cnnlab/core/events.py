"""How a run talks with whoever started it: it tells how far it is, and asks whether to stop.

Inside a worker process this reaches the launcher's display; under any other launcher what is told
goes nowhere, and nothing asks the run to stop.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol


class Ended(BaseException):
    """A run ended in a way that is no result of it, and that only whoever started it can see to."""


class Stopped(Ended):
    """The run was asked to stop; what it has is on disk."""


class Later(Ended):
    """Somebody else has the run in hand: ask again later."""


class Alone(Ended):
    """The run has too little memory beside others: try it again alone."""


class DiskFull(Ended):
    """There is no room for records; going on is of no use."""


class Listener(Protocol):
    """Whoever started the run."""

    alone: bool
    """Whether no other run is in training beside this one."""
    patient: bool
    """Whether the run may wait for another process."""

    def hear(self, event: dict[str, Any]) -> None: ...

    def stopping(self) -> bool: ...


class Nobody:
    """Listens where there is no launcher of ours."""

    alone = True
    patient = True

    def hear(self, event: dict[str, Any]) -> None:
        """Drops it: the run's log has it too."""

    def stopping(self) -> bool:
        return False


listener: Listener = Nobody()
"""A worker puts itself here."""

INTERVAL = 0.2
"""Seconds between two reports from inside an epoch."""


def reporter(epochs: int, steps: int, run: int = 0) -> Callable[[int, int], None]:
    """What a training loop calls with the epoch and the number of steps done in it."""
    last = 0.0

    def report(epoch: int, step: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= INTERVAL:
            last = now
            progress = {"epoch": epoch, "epochs": epochs, "step": step, "steps": steps}
            listener.hear({"run": run, **progress})

    return report
