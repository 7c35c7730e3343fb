"""Which runs may be trained as one model, and in which stacks.

Every run is in one stack, the runs of a stack are alike, and those that see the same images are
neighbours.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnnlab.config.schema import KEYS, Config
from cnnlab.data.dataset import Data

if TYPE_CHECKING:  # importing PyTorch takes 2 s
    from cnnlab.training.structure import Structure

BUILT = tuple(name for name, key in KEYS.items() if key.stack == "model")
"""The keys of which only the model that is built of them matters."""


def common(config: Config, fingerprint: str) -> str:
    """What the configs of a stack's runs have in common, whatever their models are."""
    kept = {name: getattr(config, name) for name, key in KEYS.items() if key.stack == "equal"}
    for name in (name for name, key in KEYS.items() if key.stack == "numbers"):
        part = getattr(config, name)
        kept[name] = {k: "a number" if isinstance(v, float) else v for k, v in part.items()}
    return json.dumps([fingerprint, kept], sort_keys=True)


def images_of(config: Config) -> str:
    """What runs have in common that see the same images in the same order."""
    seeds = [config.seed_of("order"), config.seed_of("augment")]
    return json.dumps([*seeds, list(config.augment.items())])


def alike(
    runs: Sequence[tuple[Config, Data]], *, build: bool = True
) -> tuple[list[list[int]], dict[str, int]]:
    """Runs in groups that may be trained as one model.

    Models are built where their configs allow a stack: one for each choice of model, norm and
    activation.

    Args:
        runs: the config of each, and its images
        build: whether there are to be stacks at all; else runs of equal parts are a group

    Returns:
        the groups' numbers; and why runs that look alike are trained alone, with how many they are
    """
    by_config: dict[tuple[str, ...], list[int]] = {}
    for number, (config, data) in enumerate(runs):
        key = (common(config, data.fingerprint), *([] if build else [_built(config, data)]))
        by_config.setdefault(key, []).append(number)
    groups: list[list[int]] = []
    reasons: Counter[str] = Counter()
    for numbers in by_config.values():
        if len(numbers) == 1 or not build:
            groups.append(numbers)
            continue
        by_structure, alone = _by_structure(runs, numbers)
        groups += [*by_structure.values(), *([number] for number in alone)]
        reasons.update(alone.values())
        reasons.update(_apart(by_structure, [config for config, _ in runs]))
    return sorted(groups), dict(reasons)


def _by_structure(
    runs: Sequence[tuple[Config, Data]], numbers: Sequence[int]
) -> "tuple[dict[Structure, list[int]], dict[int, str]]":
    """Some of the runs by the structure of their models, and why others must be alone."""
    from cnnlab.training.assemble import assemble
    from cnnlab.training.stackable import tried, tried_loss, tried_optimizer
    from cnnlab.training.structure import Unstackable, structure

    by_built: dict[str, list[int]] = {}
    for number in numbers:
        by_built.setdefault(_built(*runs[number]), []).append(number)
    found: dict[Structure, list[int]] = {}
    alone: dict[int, str] = {}

    def model_of(number: int) -> Any:
        config, data = runs[number]
        return assemble(config, data.shape, len(data.classes))

    for own in by_built.values():
        try:
            found.setdefault(structure(model_of(own[0])), []).extend(own)
        except Unstackable as reason:
            alone.update(dict.fromkeys(own, str(reason)))
    for its in [its for its, own in found.items() if len(own) > 1]:
        config, data = runs[found[its][0]]
        try:
            tried_optimizer(config.optimizer)
            tried_loss(config.loss, len(data.classes))
            tried(model_of(found[its][0]), data.shape)
        except Unstackable as reason:
            alone.update(dict.fromkeys(found.pop(its), str(reason)))
    return {its: sorted(own) for its, own in found.items()}, alone


def _built(config: Config, data: Data) -> str:
    """What a model is built of."""
    parts = [getattr(config, group) for group in BUILT]
    return json.dumps([*parts, data.shape, len(data.classes)])


def _apart(
    by_structure: "Mapping[Structure, Sequence[int]]", configs: Sequence[Config]
) -> Sequence[str]:
    """For each run that an attribute of its model keeps from all others, which one."""
    if len(by_structure) == 1:
        return []
    from cnnlab.training.structure import differing

    found = []
    for mine, (number, *others) in by_structure.items():
        reasons = (
            f"{', '.join(_different(configs[number], configs[numbers[0]]))} differs, and {what}"
            for theirs, numbers in by_structure.items()
            if not others and theirs != mine and (what := differing(mine, theirs))
        )
        found += [reason for reason in [next(reasons, None)] if reason]
    return found


def _different(one: Config, other: Config) -> list[str]:
    """The keys of the model in which two configs differ."""
    return [
        f"{group}.{key}"
        for group in BUILT
        for key, value in getattr(one, group).items()
        if getattr(other, group).get(key) != value
    ]


def stacks(
    groups: Sequence[Sequence[int]],
    configs: Sequence[Config],
    sizes: Sequence[int],
    workers: int = 1,
) -> list[list[list[int]]]:
    """The runs of each group in stacks.

    Args:
        groups: the numbers of runs that are alike
        configs: of all runs
        sizes: how many make a stack, for each group
        workers: that train at the same time; a group's runs are shared out among them
    """
    total = sum(map(len, groups))
    found = []
    for numbers, size in zip(groups, sizes, strict=True):
        even = math.ceil(len(numbers) / share(len(numbers), total, workers))
        images = [images_of(configs[number]) for number in numbers]
        found.append(cut(numbers, images, min(max(1, size), even)))
    return found


def share(count: int, total: int, workers: int) -> int:
    """Of the workers, how many are for `count` of a total of runs; one at least."""
    return max(1, round(workers * count / total))


def cut(numbers: Sequence[int], images: Sequence[str], most: int) -> list[list[int]]:
    """Numbers in pieces of at most `most`, cut where the images change if that can be.

    Args:
        numbers: of alike runs
        images: what each of them sees
    """
    together: dict[str, list[int]] = {}
    for number, each in zip(numbers, images, strict=True):
        together.setdefault(each, []).append(number)
    pieces: list[list[int]] = []
    for group in together.values():
        if pieces and len(pieces[-1]) + len(group) <= most:
            pieces[-1] += group
            continue
        parts = math.ceil(len(group) / most)
        each, more = divmod(len(group), parts)
        start = 0
        for part in range(parts):
            end = start + each + (part < more)
            pieces.append(group[start:end])
            start = end
    return pieces
