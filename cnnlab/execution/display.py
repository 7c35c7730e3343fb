"""What a person sees of a sweep in training: live on a terminal, else a line for each run."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cnnlab.core.console import console, duration, labelled, say
from cnnlab.core.reasons import common
from cnnlab.execution.workers.watcher import Watcher
from cnnlab.planning.runs import Plan, Run

REFRESH = 0.2
"""Seconds between two pictures on a terminal."""


@dataclass
class _InTraining:
    """What is known of a run that is in a worker's hands."""

    label: str
    began: float
    row: "_Row"


@dataclass(eq=False)
class _Row:
    """What is shown of the runs that a worker was given at once; the last event of any of them."""

    label: str
    runs: int
    event: dict[str, Any] = field(default_factory=dict)


class Display(Watcher):
    """Watches a sweep's runs, and shows them.

    Args:
        planned: the sweep
        outcomes: by run id, how each run went; filled here
    """

    def __init__(self, planned: Plan, outcomes: dict[str, Mapping[str, Any]]):
        self.planned, self.outcomes = planned, outcomes
        self.runs = planned.pending
        self.single = len(self.runs) == 1
        self.active: dict[int, _InTraining] = {}
        self._waiting: set[int] = set()
        self._known: set[tuple[str, str]] = set()
        self.finished = len(planned.runs) - len(self.runs)
        pending = {run.run_id for run in self.runs}
        there = [run for run in planned.runs if run.run_id not in pending]
        self.failed = sum(run.state == "failed" for run in there)
        self.best: tuple[str, float] | None = None
        self.scores: dict[str, list[float]] = {}
        for run in there:
            self._score(run, run.result)
        self.best = self._leader()
        self.epochs_left = sum(run.epochs_left for run in self.runs)
        self.epochs_seen = 0
        self.clock: float | None = None
        self.pictured = 0.0
        self.live = Live(
            get_renderable=self._picture, console=console, transient=True, auto_refresh=False
        )

    def __enter__(self) -> "Display":
        if console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if console.is_terminal:
            self.live.stop()

    # --- what the pool tells

    def started(self, numbers: Sequence[int]) -> None:
        more = f" +{len(numbers) - 1}" if len(numbers) > 1 else ""
        row = _Row(f"{self._label(self.runs[numbers[0]])}{more}", len(numbers))
        for number in numbers:
            label = self._label(self.runs[number])
            self.active[number] = _InTraining(label, time.monotonic(), row)
        self.clock = self.clock or time.monotonic()

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        if "line" in event:
            self._line(number, event["line"], event["level"])
            return
        row = self.active[number].row
        row.event.update(event)
        if "val_loss" in event:
            self.epochs_seen += 1
            row.event["step"] = 0

    def waiting(self, numbers: Sequence[int]) -> None:
        label = self.active[numbers[0]].row.label
        for number in numbers:
            del self.active[number]
        if numbers[0] not in self._waiting:
            self._waiting.add(numbers[0])
            which = "one of them" if len(numbers) > 1 else "it"
            say(f"{label}: another process is training {which}; waiting for its record.")

    def again(self, number: int, reason: str) -> None:
        known = self.active.pop(number)
        say(f"{known.label}: {reason}; tried again, alone.", logging.WARNING)

    def stopping(self) -> None:
        say("Stopping after the current epochs. Ctrl-C again stops at once.", logging.WARNING)

    def tick(self) -> None:
        now = time.monotonic()
        if console.is_terminal and now - self.pictured >= REFRESH:
            self.pictured = now
            self.live.refresh()

    def done(self, number: int, outcome: Mapping[str, Any]) -> bool:
        """Notes and prints how a run went; gives whether to begin others."""
        run, known = self.runs[number], self.active.pop(number)
        self.outcomes[run.run_id] = outcome
        self.finished += 1
        self.failed += outcome["status"] == "failed"
        self._score(run, outcome)
        if not self.single:
            self._print(known, outcome)
        return outcome["status"] != "failed" or self.planned.command.on_error == "continue"

    # --- what is made of it

    def _print(self, known: _InTraining, outcome: Mapping[str, Any]) -> None:
        total = len(self.planned.runs)
        head = f"[{self.finished:{len(str(total))}}/{total}] {known.label}: "
        seconds = f"{time.monotonic() - known.began:.1f} s"
        if known.row.runs > 1:  # they end together; a table divides it by them: "seconds a run"
            seconds += f" for {known.row.runs} runs"
        if outcome["status"] == "done":
            accuracy = outcome.get("best_val_accuracy")
            words = "" if accuracy is None else f"{accuracy:.4f} at epoch {outcome['best_epoch']}, "
            say(f"{head}{words}{seconds}")
        else:
            level = logging.ERROR if outcome["status"] == "failed" else logging.WARNING
            say(f"{head}{outcome['status']}", level)
            why = outcome["status"], common(outcome["error"])
            if why not in self._known:  # once; the end of the sweep counts the others
                self._known.add(why)
                for line in labelled("  ", outcome["error"]):
                    say(line, level)
        leader = self._leader()
        if leader is not None and (self.best is None or leader[0] != self.best[0]):
            say(f"{' ' * (2 * len(str(total)) + 4)}best so far: {leader[0]}, {leader[1]:.4f}")
        self.best = leader

    def _line(self, number: int, line: str, level: int) -> None:
        """What a run logs: all of it where there is one run, else only what is wrong."""
        if self.single:
            say(line, level)
        elif level == logging.WARNING:
            say(f"{self.active[number].label}: {line}", level)

    def _label(self, run: Run) -> str:
        return f"{self.planned.variant_text(run)} seed={run.job.config.seed}".strip()

    def _score(self, run: Run, outcome: Mapping[str, Any]) -> None:
        accuracy = outcome.get("best_val_accuracy")
        if outcome["status"] == "done" and accuracy is not None and self.planned.factors:
            self.scores.setdefault(self.planned.variant_text(run), []).append(accuracy)

    def _leader(self) -> tuple[str, float] | None:
        """The variant with the highest mean accuracy so far."""
        means = {variant: sum(each) / len(each) for variant, each in self.scores.items()}
        return max(means.items(), key=lambda pair: pair[1], default=None)

    def _picture(self) -> Table:
        whole = Table.grid()
        total = len(self.planned.runs)
        failed = f", {self.failed} failed" if self.failed else ""
        best = f", best {self.best[0]} {self.best[1]:.4f}" if self.best else ""
        head = f"{self.planned.name}: {self.finished}/{total} done{failed}, {self._left()}{best}"
        whole.add_row(Text(head, style="bold", overflow="ellipsis", no_wrap=True))
        table = Table.grid(padding=(0, 1))
        table.add_column(max_width=26, no_wrap=True, overflow="ellipsis")
        for _ in range(5):
            table.add_column(no_wrap=True)
        for row in dict.fromkeys(known.row for known in self.active.values()):
            table.add_row(*_cells(row))
        whole.add_row(table)
        return whole

    def _left(self) -> str:
        if not self.epochs_seen or self.clock is None:
            return "time left: ?"
        each = (time.monotonic() - self.clock) / self.epochs_seen
        return f"{duration(each * max(self.epochs_left - self.epochs_seen, 0))} left"


def _cells(row: _Row) -> list[Any]:
    event = row.event
    if not event:
        return [row.label, "starts"]
    epoch, epochs = event["epoch"], event["epochs"]
    inside = event.get("step", 0) / event.get("steps", 1)
    completed = epoch if not inside else epoch - 1 + inside
    cells = [row.label, ProgressBar(epochs, completed, width=8), f"epoch {epoch}/{epochs}"]
    if "train_loss" in event:
        speed = event["images"] / max(event["seconds"], 1e-9)
        cells.append(f"loss {event['train_loss']:.3f}")
        cells.append(f"acc {event['val_accuracy']:.3f}")
        cells.append(f"{speed / 1000:.1f}k img/s")
    return cells
