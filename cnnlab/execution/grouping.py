"""Which runs may be trained as one model, and in which stacks.

Pure functions of configs: every run is in one stack, the runs of a stack are alike, and those that
see the same images are neighbours.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cnnlab.config.schema import Config


def _any(_value: Any) -> None:
    return None


MAY_DIFFER: Mapping[str, Callable[[Any], Any]] = {
    "seed": _any,
    "lr": _any,
    "augment": _any,
    "optimizer.momentum": _any,
    "optimizer.weight_decay": _any,
    "optimizer.beta1": _any,
    "optimizer.beta2": _any,
    "optimizer.eps": _any,
    "label_smoothing": _any,
    "clip_norm": _any,
    "patience": _any,
    "evaluate_test": _any,
    "name": _any,
    "activation.beta": lambda beta: beta == 1,  # is computed in another way
    "model.dropout": lambda rate: rate > 0,
}
"""The keys that may differ within a stack, each with what of its value must not. A key that is not
here may not differ: whoever adds one makes sure first that training has it for each variant."""


def structure(config: Config, fingerprint: str) -> str:
    """What the runs of a stack have in common."""
    kept = asdict(config)
    for key, common in MAY_DIFFER.items():
        *path, last = key.split(".")
        node = kept
        for name in path:
            node = node.get(name, {})
        if last in node:
            node[last] = common(node[last])
    return json.dumps([fingerprint, kept], sort_keys=True)


def images_of(config: Config) -> str:
    """What runs have in common that see the same images in the same order."""
    return json.dumps([config.seed, list(config.augment.items())])


def stacks(
    runs: Sequence[tuple[Config, str]], size: Callable[[str, int], int], workers: int = 1
) -> list[list[int]]:
    """The runs in stacks, in the order of each one's first run.

    Args:
        runs: the config of each, and the fingerprint of its images
        size: gives for a structure, and a number of runs that have it, how many make a stack
        workers: that train at the same time; a structure's runs are shared out among them

    Returns:
        the runs' numbers
    """
    alike: dict[str, list[int]] = {}
    for number, (config, fingerprint) in enumerate(runs):
        alike.setdefault(structure(config, fingerprint), []).append(number)
    found: list[list[int]] = []
    for kind, numbers in alike.items():
        each = math.ceil(len(numbers) / share(len(numbers), len(runs), workers))
        most = min(max(1, size(kind, len(numbers))), each)
        found += cut(numbers, [images_of(runs[number][0]) for number in numbers], most)
    return sorted(found)


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
