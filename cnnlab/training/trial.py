"""Whether a run's parts give what training takes for granted: tried on two images, before it.

What is tried: the model forwards and backwards, each augmentation, the schedule, the loss, the
optimizer.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnlab.config.schema import Config
from cnnlab.config.targets import build, configured
from cnnlab.core import project
from cnnlab.core.errors import Refused, one_line, written_in
from cnnlab.core.formats import few
from cnnlab.data.augmentation import DRAWS
from cnnlab.data.dataset import Data
from cnnlab.training.assemble import assemble
from cnnlab.training.updates import update_of, without_decay

IMAGES = 2


class Trial:
    """Tries the parts of runs, each choice of them once."""

    def __init__(self) -> None:
        self.tried: dict[str, list[str]] = {}
        self.matched: dict[str, bool] = {}
        self.names: list[str] = []

    def faults(self, config: Config, data: Data) -> list[str]:
        """What is wrong with a run's parts, one sentence each."""
        found = []
        for where, part, attempt in self._attempts(config, data):
            key = repr((where, part))
            if key not in self.tried:
                self.tried[key] = _faults(where, part, attempt)
            found += self.tried[key]
        if not found:
            self._match(config, data)
        return found

    def _match(self, config: Config, data: Data) -> None:
        """Notes whether an optimizer's `exclude` leaves out anything of a model."""
        pattern = config.optimizer.get("exclude")
        if pattern is None or self.matched.get(pattern):
            return
        model = assemble(config, data.shape, len(data.classes))
        self.matched[pattern] = bool(without_decay(model, pattern))
        self.names = [name for name, _ in model.named_parameters()]

    def unmatched(self) -> list[str]:
        """The same for all variants together: one without norm has none to leave out."""
        return [
            f"optimizer.exclude={pattern}: is in the name of no parameter, and of no layer, of any "
            f"variant. There are {few(self.names)}."
            for pattern, matched in self.matched.items()
            if not matched
        ]

    def _attempts(self, config: Config, data: Data) -> list[tuple[str, Any, Callable[[], None]]]:
        """Where in a config a part is, all that its trial depends on, and the trial."""
        shape, classes = data.shape, len(data.classes)
        built = [config.model, config.norm, config.activation, *config.own.values(), shape, classes]
        steps = math.ceil(len(data.train.labels) / config.batch_size)
        counts = (config.epochs, steps)
        augments = [
            (f"augment.{name}", [part, shape], partial(_try_augmentation, part, shape))
            for name, part in config.augment.items()
        ]
        return [
            ("model", built, partial(_try_model, config, shape, classes)),
            *augments,
            ("lr", [config.lr, counts], partial(_try_schedule, config.lr, *counts)),
            ("loss", [config.loss, classes], partial(_try_loss, config.loss, classes)),
            ("optimizer", [config.optimizer], partial(_try_optimizer, config.optimizer)),
        ]


def _faults(where: str, part: Sequence[Any], attempt: Callable[[], None]) -> list[str]:
    try:
        attempt()
    except Refused as refused:
        return [f"{where}: {fault}" for fault in refused.faults]
    except ValueError as error:
        if not written_in(error, project.home()):  # a part's own words
            return [str(error)]
        return [_sentence(where, part, error)]
    except (Exception, SystemExit) as error:  # whatever a part's own code raises
        return [_sentence(where, part, error)]
    return []


def _sentence(where: str, parts: Sequence[Any], error: BaseException) -> str:
    keys = [f"{key}={value}" for key, value in parts[0].items() if not key.startswith("_")]
    keys += [each["_target_"] for each in parts[1:] if isinstance(each, Mapping)]
    what = f"{parts[0]['_target_']}{' with ' if keys else ''}{', '.join(keys)}"
    notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    place = written_in(error, project.home())
    return f"{where}: {what} fails{place}: {one_line(error)}.{notes}"


def _try_model(config: Config, shape: tuple[int, int, int], classes: int) -> None:
    model = assemble(config, shape, classes)
    images = torch.rand(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    for training in (False, True):
        logits = _used(model.train(training), images)
        wanted = (IMAGES, classes)
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != wanted:
            raise Refused(
                f"{config.model['_target_']} gives {_shaped(logits)} for images of "
                f"{_shaped(images)}; it must give one number for each class, {wanted}."
            )
    if not logits.is_floating_point():
        raise Refused(f"{config.model['_target_']} gives {logits.dtype}; logits are real numbers.")
    if not logits.requires_grad:
        raise Refused(f"{config.model['_target_']} has no parameter that its output depends on.")
    logits.sum().backward()


def _used(model: nn.Module, images: torch.Tensor) -> Any:
    """A model's output; an error has a note on the last module of the project's own before it."""
    last: list[str] = []

    def note(module: nn.Module, given: Any, found: Any) -> None:
        last[:] = [f"Before, {type(module).__name__} made {_shaped(found)} of {_shaped(given[0])}."]

    own = [each for each in model.modules() if each is not model and _is_own(type(each))]
    hooks = [each.register_forward_hook(note) for each in own]
    try:
        with torch.random.fork_rng(devices=[]):
            return model(images)
    except Exception as error:
        error.__notes__ = [*getattr(error, "__notes__", ()), *last]
        raise
    finally:
        for hook in hooks:
            hook.remove()


def _is_own(kind: type) -> bool:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is not None and project.home() in Path(file).parents


def _shaped(found: Any) -> str:
    return str(tuple(found.shape)) if isinstance(found, torch.Tensor) else type(found).__name__


def _try_augmentation(part: Mapping[str, Any], shape: tuple[int, int, int]) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, *shape), dtype=torch.uint8, generator=draw)
    before = images.clone()
    found = configured(part)(images, torch.rand(IMAGES, DRAWS, generator=draw))
    if not isinstance(found, torch.Tensor) or found.shape != before.shape:
        raise Refused(f"{part['_target_']} gives {_shaped(found)} for images of {_shaped(before)}.")
    if found.dtype != before.dtype:
        raise Refused(f"{part['_target_']} gives {found.dtype} for images of torch.uint8.")
    if not torch.equal(images, before):
        raise Refused(f"{part['_target_']} changes the images that it is given; change a copy.")


def _try_schedule(part: Mapping[str, Any], epochs: int, steps: int) -> None:
    rates = np.asarray(build(part, epochs, steps))
    if rates.shape != (epochs * steps,) or not np.issubdtype(rates.dtype, np.number):
        raise Refused(
            f"{part['_target_']} gives {rates.dtype} {rates.shape}; it must give a rate for each "
            f"of {epochs} x {steps} steps, ({epochs * steps},)."
        )
    if not np.isfinite(rates).all():
        raise Refused(f"{part['_target_']} gives a rate that is no finite number.")
    if (rates < 0).any():
        raise Refused(f"{part['_target_']} gives a rate below 0, which would climb the loss.")


def _try_loss(part: Mapping[str, Any], classes: int) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(IMAGES, classes, generator=draw, requires_grad=True)
    labels = torch.randint(classes, (IMAGES,), generator=draw)
    found = configured(part)(logits, labels)
    if not isinstance(found, torch.Tensor) or found.shape not in [(), (IMAGES,)]:
        raise Refused(
            f"{part['_target_']} gives {_shaped(found)} for {IMAGES} images; it must give a loss "
            f"for each, ({IMAGES},), or their mean, ()."
        )
    if not found.requires_grad:
        raise Refused(f"{part['_target_']} does not depend on the logits that it is given.")
    found.mean().backward()


def _try_optimizer(part: Mapping[str, Any]) -> None:
    weights = torch.ones(1, 4, 3)
    update = update_of([part], weights.ndim, torch.as_tensor)
    state: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for _ in range(2):
            update(weights, torch.ones_like(weights), state, torch.full((1, 1, 1), 0.1))
    if torch.equal(weights, torch.ones_like(weights)):
        raise Refused(
            f"{part['_target_']} changes no weight; it must change the parameter in place."
        )
