"""How many runs are trained as one model, and whether compiled: what is quickest here.

Before a sweep begins, its workers train some steps of each structure alone, as stacks that grow,
and compiled, for as long as that is a small share of what the sweep will take. Another way than the
plain one is chosen where it is clearly quicker, so that noise seldom decides.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from cnnlab.config.schema import Config
from cnnlab.data.loading import adopt, load
from cnnlab.execution import grouping
from cnnlab.execution.workers.worker import Tell
from cnnlab.training.throughput import EPOCHS, STEPS, pace

SHARE = 0.15
"""Of the time that a structure's runs will take, this much may go into measuring."""

FEWEST_STEPS = 500
"""A structure whose runs have fewer steps to train, one after the other, is not measured."""

FEWEST_COMPILED = 20_000
"""Likewise, where there is only to choose whether steps are compiled."""

MOST = 256
"""Runs that are thought of as one model."""

MARGIN = 1.15
"""Times as fast as the next smaller choice that a larger one must be. Two measurements of one way
differ by up to 1.05 here, and a gain that falls with the size of the stack passes 1.15 only once:
two tries choose the same unless a gain lies next to it, where the quickest of several that are
about as quick would be drawn by lot."""

WORSE = 1.1
"""A stack this many times slower than the best one ends the search for larger ones."""

COMPILATION = 100.0
"""Seconds that may be left for measuring before compiling is tried, which takes 7 to 25 of them and
seldom pays on a CPU."""


@dataclass(frozen=True)
class Measured:
    """How fast one way to train a structure was.

    Attributes:
        size: how many runs as one model
        compiled: whether its steps were
        step: seconds a step and run
        warm_up: seconds before the first step, compilation included
    """

    size: int
    compiled: bool
    step: float
    warm_up: float


@dataclass(frozen=True)
class Choice:
    """How the runs of a structure are trained.

    Attributes:
        size: how many as one model, at most
        compiled: whether steps are compiled
        gain: how many times as fast as alone and not compiled; None: was not measured
    """

    size: int = 1
    compiled: bool = False
    gain: float | None = None


@dataclass(frozen=True)
class Question:
    """What is to be measured: a worker's job.

    Attributes:
        configs: of runs of a structure, those that see the same images together
        steps: that each has to train, on average
        sizes: of stacks that may be formed; where 1 is among them it comes first
        compiled: what was asked for; None: whatever is quicker
    """

    configs: Sequence[Config]
    steps: float
    sizes: Sequence[int]
    compiled: bool | None

    @property
    def work(self) -> float:
        """Steps that a worker has to train."""
        return self.steps * max(self.sizes)

    @property
    def worth(self) -> bool:
        """Whether there is something to choose, and enough to train."""
        if len(self.sizes) > 1:
            return self.work >= FEWEST_STEPS
        return self.compiled is None and self.work >= FEWEST_COMPILED

    @property
    def unmeasured(self) -> Choice:
        """What was asked for, else alone and not compiled."""
        return Choice(self.sizes[0], bool(self.compiled))

    def stack(self, size: int) -> list[Config]:
        """Runs as they would be trained together."""
        seen = [grouping.images_of(each) for each in self.configs]
        pieces = grouping.cut(range(len(self.configs)), seen, size)
        return [self.configs[number] for number in max(pieces, key=len)]


def sizes(most: int) -> list[int]:
    """Stacks to try: 1, powers of two, and the largest, not close to each other."""
    powers = [2**power for power in range(most.bit_length())]
    return [*(power for power in powers if 1.5 * power < most), most]


def measure(question: Question) -> list[Measured]:
    """Trains some steps in one way after the other; the first is alone and not compiled."""
    data = load(question.configs[0].data)
    found: list[Measured] = []

    def tried(size: int, compiled: bool) -> Measured:
        runs = question.stack(size)
        its = pace(runs, data, compiled=compiled)
        found.append(Measured(size, compiled, its.step / len(runs), its.warm_up))
        return found[-1]

    alone = best = tried(1, False)
    left = SHARE * question.work  # in steps of one run: how long they take is no matter
    for size in [size for size in question.sizes if size > 1]:
        left -= EPOCHS * STEPS * size
        if left < 0:
            break
        try:
            now = tried(size, False)
        except (MemoryError, RuntimeError):  # PyTorch's "out of memory" is one
            break
        best = min(best, now, key=lambda each: each.step)
        if now.step > WORSE * best.step:
            break
    if question.compiled is not False and (question.compiled or left * alone.step > COMPILATION):
        with suppress(Exception):  # a compiler that fails is a way that is not chosen
            tried(best.size, True)
    return found


class Jobs:
    """What measuring workers do; see `cnnlab.execution.workers.worker.Job`."""

    def __init__(self, inherited: Any):
        adopt(inherited.open())

    def __call__(self, payloads: Mapping[int, Question], tell: Tell) -> None:
        for number, question in payloads.items():
            tell("done", number, [asdict(each) for each in measure(question)])


def choose(measured: Sequence[Measured], question: Question, runs: int, workers: int) -> Choice:
    """The plainest way to train the runs of a structure that no other is clearly quicker than.

    Args:
        measured: of this structure; the first alone and not compiled
        question: that it answers, perhaps for fewer steps
        runs: how many
        workers: that share them
    """

    def clock(how: Measured) -> float:
        return _clock(how, runs, workers, question.steps)

    allowed = [
        each
        for each in measured
        if each.size in question.sizes and question.compiled in (None, each.compiled)
    ]
    if not allowed:
        return question.unmeasured
    best, *larger = sorted(allowed, key=lambda each: (each.compiled, each.size))
    for each in larger:
        if clock(best) >= MARGIN * clock(each):
            best = each
    gain = None if best is measured[0] else clock(measured[0]) / clock(best)
    return Choice(best.size, best.compiled, gain)


def _clock(how: Measured, runs: int, workers: int, steps: float) -> float:
    """Seconds until all runs are trained, the pieces handed out one by one."""
    pieces = math.ceil(runs / how.size)
    each, more = divmod(runs, pieces)
    busy = [0.0] * workers
    for piece in range(pieces):
        size = each + (piece < more)
        soonest = heapq.heappop(busy)
        once = how.warm_up if how.compiled else 0
        heapq.heappush(busy, soonest + once + size * how.step * steps)
    return max(busy)
