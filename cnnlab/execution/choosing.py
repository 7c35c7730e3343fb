"""Settles which runs of a plan are trained as one model, and how: once, and then for good."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from cnnlab.config.launcher import Limits
from cnnlab.core.console import say
from cnnlab.data.loading import load
from cnnlab.execution import grouping, measuring
from cnnlab.execution.measuring import Choice, Measured, Question
from cnnlab.execution.speeds import Speeds
from cnnlab.execution.workers.pool import Pool
from cnnlab.execution.workers.watcher import Watcher
from cnnlab.planning.runs import Run, uncut

PATIENCE = 600.0
"""Seconds after which a measurement counts as hanging."""


@dataclass(frozen=True)
class Settled:
    """How the pending runs of a plan are trained.

    Attributes:
        stacks: the numbers of the runs of each, in the order of their first ones
        compiled: whether a run's steps are, for each run
        lines: to be printed
        kept: for plan.json: all stacks that were ever formed, `runs` (their ids, in order) and
            `compiled` of each
    """

    stacks: Sequence[Sequence[int]]
    compiled: Sequence[bool]
    lines: Sequence[str]
    kept: Sequence[Mapping[str, Any]]


def settle(
    pending: Sequence[Run],
    earlier: Sequence[Mapping[str, Any]],
    environments: Sequence[Mapping[str, str]],
    stack: int | None,
    shared: Any,
) -> Settled:
    """Runs that were in a stack stay in it; the others form new ones.

    Args:
        pending: the runs, in the order of training
        earlier: the stacks that plan.json has
        environments: of the workers
        stack: how many runs as one model were asked for; None: as many as are quickest. Stacks of
            earlier commands that are larger are formed anew, as are those of runs that are no
            longer alike
        shared: the images, as `cnnlab.data.sharing.share` gives them

    Raises:
        KeyboardInterrupt: if a person stopped it
    """
    kept = [each for each in earlier if stack is None or len(each["runs"]) <= stack]
    kept = _still_alike(pending, kept)
    settled = {run_id for each in kept for run_id in each["runs"]}
    fresh = [run for run in pending if run.run_id not in settled]
    found, lines = _formed(fresh, environments, stack, shared) if fresh else ([], [])
    settled.update(run_id for each in found for run_id in each["runs"])
    for each in earlier:  # of what is formed anew, runs that are over already stay where they were
        left = [run_id for run_id in each["runs"] if run_id not in settled]
        kept += [{**each, "runs": left}] if left else []
    kept += found
    numbers = {run.run_id: number for number, run in enumerate(pending)}
    stacks = [[numbers.pop(each) for each in its["runs"] if each in numbers] for its in kept]
    compiled = [bool(run.job.config.compile) for run in pending]
    for its, own in zip(kept, stacks, strict=True):
        for number in own:
            if pending[number].job.config.compile is None:
                compiled[number] = its["compiled"]
    return Settled(sorted(filter(None, stacks)), compiled, lines, kept)


def _still_alike(
    pending: Sequence[Run], kept: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The stacks whose pending runs may be trained as one: their parts' code may have changed."""
    numbers = {run.run_id: number for number, run in enumerate(pending)}
    stacks = [[numbers[each] for each in its["runs"] if each in numbers] for its in kept]
    several = sorted({number for own in stacks if len(own) > 1 for number in own})
    configs = [pending[number].job.config for number in several]
    groups, _ = grouping.alike([(config, load(config.data)) for config in configs])
    group_of = {several[place]: group for group, own in enumerate(groups) for place in own}
    return [
        its
        for its, own in zip(kept, stacks, strict=True)
        if len({group_of.get(number) for number in own}) <= 1
    ]


def _formed(
    runs: Sequence[Run],
    environments: Sequence[Mapping[str, str]],
    stack: int | None,
    shared: Any,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Stacks of runs that were in none, as plan.json has them, and what is said of them."""
    configs = [run.job.config for run in runs]
    groups, alone = grouping.alike([(each, load(each.data)) for each in configs], build=stack != 1)
    choices = _chosen(
        [[runs[number] for number in own] for own in groups], environments, stack, shared
    )
    sizes = [choice.size for choice in choices]
    formed = grouping.stacks(groups, configs, sizes, len(environments))
    found = [
        {"runs": [runs[number].run_id for number in piece], "compiled": choice.compiled}
        for pieces, choice in zip(formed, choices, strict=True)
        for piece in pieces
    ]
    counts = {why: "1 run" if count == 1 else f"{count:,} runs" for why, count in alone.items()}
    lines = [f"{count} trained alone: {why}." for why, count in counts.items()]
    return found, lines + _gains(choices)


def _chosen(
    groups: Sequence[Sequence[Run]],
    environments: Sequence[Mapping[str, str]],
    stack: int | None,
    shared: Any,
) -> list[Choice]:
    """How the runs of each group are trained: as on this machine before, else as is quickest."""
    total, speeds = sum(map(len, groups)), Speeds(environments)
    first = uncut([run for own in groups for run in own])
    asked = []
    for own in groups:
        workers = grouping.share(len(own), total, len(environments))
        what = question(own, workers, stack)
        images = first[own[0].fingerprint]
        asked.append((speeds.key(what, images), what, len(own), workers))
    new = [each for each in asked if each[1].worth and speeds.chosen(*each) is None]
    new.sort(key=lambda each: each[1].work)  # of one key the largest is what is measured
    unknown = {key: what for key, what, *_ in new if speeds.measured(key, what) is None}
    for key, found in _measured(unknown, environments, shared).items():
        speeds.note(key, unknown[key], found)
    for key, what, *more in new:
        if known := speeds.measured(key, what):
            speeds.settle(key, what, *more, measuring.choose(known, what, *more))
    if new:
        speeds.save()
    return [speeds.chosen(*each) or each[1].unmeasured for each in asked]


def question(runs: Sequence[Run], workers: int, stack: int | None) -> Question:
    """What there is to measure of runs of a structure."""
    first = runs[0].job.config
    per_epoch = math.ceil(len(load(first.data).train) / first.batch_size)
    epochs = sum(run.epochs_left for run in runs) / len(runs)
    most = min(math.ceil(len(runs) / workers), stack or measuring.MOST)
    sizes = [most] if stack else measuring.sizes(most)
    configs = [run.job.config for run in runs[: 2 * measuring.MOST]]
    return Question(configs, per_epoch * epochs, sizes, first.compile)


class _Answers(Watcher):
    def __init__(self) -> None:
        self.found: dict[int, list[Measured]] = {}

    def done(self, number: int, found: Sequence[Mapping[str, Any]]) -> bool:
        self.found[number] = [Measured(**each) for each in found]
        return True


def _measured(
    questions: Mapping[str, Question], environments: Sequence[Mapping[str, str]], shared: Any
) -> dict[str, list[Measured]]:
    """What the workers found, all of them at it at the same time, as when they train."""
    if not questions:
        return {}
    say("Measuring how these runs are trained quickest ...")
    repeats = math.ceil(len(environments) / len(questions))
    asked = list(questions) * repeats
    answers = _Answers()
    setup = cloudpickle.dumps(measuring.Jobs)
    limits = Limits(seconds=PATIENCE, tries=1)
    pool = Pool(setup, environments[: len(asked)], limits, answers, shared)
    pool.run([questions[its] for its in asked])
    found: dict[str, dict[tuple[int, bool], Measured]] = {}
    for number, measured in sorted(answers.found.items()):
        ways = found.setdefault(asked[number], {})
        for each in measured:
            way = each.size, each.compiled
            ways[way] = min(each, ways.get(way, each), key=lambda one: one.step)
    return {its: list(ways.values()) for its, ways in found.items()}


def _gains(choices: Sequence[Choice]) -> list[str]:
    """What was chosen, the same choices in one line."""
    lines = []
    for size, compiled in dict.fromkeys((each.size, each.compiled) for each in choices):
        gains = [each.gain for each in choices if (each.size, each.compiled) == (size, compiled)]
        measured = sorted(gain for gain in gains if gain is not None)
        if not measured:
            continue
        how = [f"{size} runs at a time as one model"] if size > 1 else []
        how += ["compiled"] if compiled else []
        low, high = f"{measured[0]:.1f}", f"{measured[-1]:.1f}"
        times = low if low == high else f"{low} to {high}"
        what = ", ".join(how).capitalize()
        lines.append(f"{what}: measured {times} times as fast as one by one.")
    return lines
