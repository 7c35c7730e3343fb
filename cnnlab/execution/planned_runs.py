"""What our workers do: they train planned runs, several as one model, and leave their records."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from cnnlab.config.schema import Command
from cnnlab.core import events
from cnnlab.core.errors import one_line
from cnnlab.data.loading import adopt
from cnnlab.data.sharing import Shared
from cnnlab.execution import task
from cnnlab.execution.hydra_files import HydraFiles
from cnnlab.execution.workers.worker import Tell
from cnnlab.planning.runs import Run

KINDS = {events.Later: "later", events.Alone: "alone"}
"""What a pool is told of a run that it is to try again."""


class PlannedRuns:
    """Trains runs as a plan has them; see `cnnlab.execution.workers.worker.Job`.

    Args:
        images: of all runs
        command: what is said of the sweep as a whole
        hydra: Hydra's own settings
    """

    def __init__(self, images: Shared, command: Command, hydra: Mapping[str, Any]):
        adopt(images.open())
        self.command, self.files = command, HydraFiles(hydra)

    def __call__(self, runs: Mapping[int, Run], tell: Tell) -> None:
        """Trains runs as one model; tells of each what `task.train_one` returns."""
        numbers = list(runs)

        def answer(place: int, outcome: Any) -> None:
            if isinstance(outcome, events.Ended):
                tell(KINDS[type(outcome)], numbers[place], str(outcome))
            else:
                tell("done", numbers[place], outcome)

        held: list[ExitStack] = []
        try:
            for run in runs.values():
                held.append(task.locked(run))
        except events.Later as busy:  # all wait: nobody's results hang on which process was first
            for each in held:
                each.close()
            for place in range(len(numbers)):
                answer(place, busy)
            return
        begun: dict[int, task.Begun] = {}
        for place, number in enumerate(numbers):
            try:
                write = partial(self.files.write, number=number)
                started = task.begin(runs[number], self.command, held[place], place, write)
                if isinstance(started, task.Begun):
                    begun[place] = started
                else:
                    answer(place, started)
            except Exception as error:  # the boundary that spares the other runs
                answer(place, task.unrecorded(runs[number], one_line(error)))
        if begun:
            task.go_on(begun, answer)
