"""How fast runs train, from a few steps of training on this machine."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnlab.config.schema import KEYS, Config
from cnnlab.data.dataset import Data, Split
from cnnlab.records.identity import named

STEPS = 5
"""Of each epoch that is timed."""

EPOCHS = 3
"""That are trained; the first of them only warms up."""


@dataclass(frozen=True)
class Pace:
    """How fast a stack trains.

    Attributes:
        step: seconds that a training step takes, augmentation included, for the stack as a whole;
            on a CPU its own seconds, without those in which others had the core
        image: seconds that a validation image takes, likewise
        warm_up: seconds before the first step that was timed, compilation included
    """

    step: float
    image: float
    warm_up: float

    def epoch(self, data: Data, batch_size: int) -> float:
        """Seconds of an epoch and its validation."""
        return self.step * len(data.train) / batch_size + self.image * len(data.val)


def kind(config: Mapping[str, Any], fingerprint: str) -> str:
    """What the time of a step depends on; not the seed, nor the learning rate and other numbers
    of the schedule and the optimizer.

    Args:
        config: a Config as a dict
        fingerprint: of its images
    """
    config = named(config)
    parts = {
        name: value
        for name, value in config.items()
        if (KEYS[name].speed if name in KEYS else isinstance(value, Mapping))  # own groups
    }
    return json.dumps([fingerprint, config["optimizer"]["_target_"], parts], sort_keys=True)


def pace(configs: Sequence[Config], data: Data, *, compiled: bool = False) -> Pace:
    """Trains runs as one model for some steps, which leave nothing behind.

    Args:
        configs: K; alike as `cnnlab.training.trainer.Trainer` has them
        data: that they share
        compiled: whether steps are compiled
    """
    from cnnlab.data.batches import Supply
    from cnnlab.training.assemble import assemble
    from cnnlab.training.device import prepare, resolve
    from cnnlab.training.trainer import Trainer, dtype_of

    own = [replace(config, epochs=EPOCHS) for config in configs]
    first = own[0]
    device = resolve(first.device)
    prepare(device, first.precision)
    # Whole batches only: what is compiled is not used for others.
    count = min(STEPS, max(1, len(data.train) // first.batch_size)) * first.batch_size
    part = replace(data, train=_first(data.train, count), val=_first(data.val, count))
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    warming = time.perf_counter if compiled else clock  # others do the compiling
    began = warming()
    models = [assemble(config, data.shape, len(data.classes)) for config in own]
    trainer = Trainer(own, models, Supply(part, device, dtype_of(first)), compiled=compiled)
    trainer.epoch(1, lambda _: None)
    trainer.evaluate(trainer.supply.val)
    warm_up = warming() - began
    steps, images = [], []
    for epoch in range(2, EPOCHS + 1):
        start = clock()
        trainer.epoch(epoch, lambda _: None)  # ends when the device is done
        trained = clock()
        trainer.evaluate(trainer.supply.val)
        steps.append((trained - start) / (len(part.train) / first.batch_size))
        images.append((clock() - trained) / len(part.val))
    return Pace(min(steps), min(images), warm_up)


def _first(split: Split, count: int) -> Split:
    return Split(split[:count], split.labels[:count])
