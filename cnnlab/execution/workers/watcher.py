"""What a pool of workers tells of its jobs, and to whom."""

from collections.abc import Mapping, Sequence
from typing import Any


class Watcher:
    """Whoever is told how the jobs go; this one does nothing, and has every job begun.

    All is called from the thread that runs the pool.
    """

    def started(self, numbers: Sequence[int]) -> None:
        """Jobs that a worker was given at once."""

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        """What a job told of itself."""

    def waiting(self, numbers: Sequence[int]) -> None:
        """Another process has one of these jobs in hand; they are put off together."""

    def again(self, number: int, reason: str) -> None:
        """A job is to be tried once more, alone."""

    def done(self, number: int, outcome: Any) -> bool:
        """A job came to its end; whether to begin others."""
        return True

    def lost(self, number: int, reason: str) -> bool:
        """A job's process died or hung, for the last time; whether to begin others."""
        return True

    def stopping(self) -> None:
        """A person asked to stop; each job is let come to a place where it can be continued."""

    def tick(self) -> None:
        """A moment passed."""
