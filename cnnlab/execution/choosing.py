"""Has workers measure how the runs of a plan are trained quickest, and chooses."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle

from cnnlab.config.launcher import Limits
from cnnlab.core.console import console, say
from cnnlab.data.loading import load
from cnnlab.execution import grouping, measuring
from cnnlab.execution.measuring import Choice, Kept, Measured, Question
from cnnlab.execution.workers.pool import Pool
from cnnlab.execution.workers.watcher import Watcher
from cnnlab.planning import plan

PATIENCE = 600.0
"""Seconds after which a measurement counts as hanging."""


def tuned(
    pending: Sequence[plan.Run],
    environments: Sequence[Mapping[str, str]],
    stack: int | None,
    shared: Any,
) -> dict[str, Choice]:
    """How runs are trained quickest on these workers.

    Args:
        pending: the runs, in the order of training
        environments: of the workers
        stack: how many runs as one model were asked for; None: as many as are quickest
        shared: the images, as `cnnlab.data.sharing.share` gives them

    Returns:
        by structure, as `cnnlab.execution.grouping.structure` gives it

    Raises:
        KeyboardInterrupt: if a person stopped it
    """
    alike: dict[str, list[plan.Run]] = {}
    for run in pending:
        alike.setdefault(grouping.structure(run.job.config, run.fingerprint), []).append(run)
    workers = {
        its: grouping.share(len(runs), len(pending), len(environments))
        for its, runs in alike.items()
    }
    questions = {its: question(runs, workers[its], stack) for its, runs in alike.items()}
    kept = Kept(Path(pending[0].job.config.outputs).expanduser(), environments)
    keys = {its: kept.key(each, alike[its][0].fingerprint) for its, each in questions.items()}
    known = {its: kept.get(keys[its], each) for its, each in questions.items()}
    unknown = {its: questions[its] for its in known if not known[its] and questions[its].worth}
    for its, measured in _measured(unknown, environments, shared).items():
        known[its] = measured
        kept.put(keys[its], questions[its], measured)
    if unknown:
        kept.save()
    choices = {
        its: measuring.choose(known[its], each, len(alike[its]), workers[its])
        if known[its]
        else each.unmeasured
        for its, each in questions.items()
    }
    _tell(list(choices.values()))
    return choices


def question(runs: Sequence[plan.Run], workers: int, stack: int | None) -> Question:
    """What there is to measure of runs of a structure."""
    first = runs[0].job.config
    per_epoch = math.ceil(len(load(first.data).train) / first.batch_size)
    epochs = sum(run.job.config.epochs - run.epoch for run in runs) / len(runs)
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


def _tell(choices: Sequence[Choice]) -> None:
    """Prints what was chosen, the same choices in one line."""
    for size, compiled in dict.fromkeys((each.size, each.compiled) for each in choices):
        gains = [each.gain for each in choices if (each.size, each.compiled) == (size, compiled)]
        measured = sorted(gain for gain in gains if gain is not None)
        if not measured:
            continue
        how = [f"{size} runs at a time as one model"] if size > 1 else []
        how += ["compiled"] if compiled else []
        low, high = f"{measured[0]:.1f}", f"{measured[-1]:.1f}"
        times = low if low == high else f"{low} to {high}"
        told = ", ".join(how).capitalize()
        console.print(f"{told}: measured {times} times as fast as one by one.")
