"""Whether parts do for several runs at once what they do for each: tried, on a few numbers.

What a model is can be read (`training.structure`); what its code does, and what an optimizer's code
does with the numbers of several runs, shows only when it runs.
"""

import math
import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnlab.training.stack import Stack
from cnnlab.training.structure import Unstackable, structure
from cnnlab.training.updates import losses_of, update_of


def tried(model: nn.Module, shape: tuple[int, int, int]) -> None:
    """Uses a model alone, and as two: its output, and in training its gradients.

    Args:
        model: on the CPU; images go through it, which changes its buffers
        shape: (C, H, W) of an image

    Raises:
        Unstackable: if the model fails as one of two or gives other numbers, draws from a
            generator that all variants would share, or notes something in itself
    """
    name = type(model).__name__
    images = torch.rand(2, 8, *shape, generator=torch.Generator().manual_seed(0))
    before, draws = structure(model.train()), _draws()
    try:
        for training in (True, False):
            with torch.set_grad_enabled(training):
                other = _another(model)
                stack = Stack([model, other])
                together = stack(images, training=training)
                both = zip((model, other), images, strict=True)
                alone = [each.train(training)(own) for each, own in both]
            if not _near(together, torch.stack(alone)):
                raise Unstackable(f"{name} gives other numbers as one of two")
            if training:
                found = _gradients(together, stack.parameters)
                both = zip(alone, (model, other), strict=True)
                each = [_gradients(out, dict(own.named_parameters())) for out, own in both]
                # As one vector: a bias before a norm has a gradient of nothing but rounding.
                if not _near(_flat([found]), _flat(each)):
                    raise Unstackable(f"{name} gives other gradients as one of two")
    except Unstackable:
        raise
    except Exception as error:
        if "randomness" in str(error):  # vmap refuses to draw
            raise Unstackable(f"{name} draws from a generator that all would share") from error
        raise Unstackable(f"{name} fails as one of two ({type(error).__name__})") from error
    if draws != _draws():
        raise Unstackable(f"{name} draws from a generator that all variants would share")
    if before != structure(model.train()):
        raise Unstackable(f"{name} changes its attributes when it is used")


def _another(model: nn.Module) -> nn.Module:
    """A copy of a model with other weights, so that what is mixed up shows."""
    copy = deepcopy(model)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.mul_(1.5)
    return copy


def _gradients(out: torch.Tensor, parameters: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Of a loss that depends on every number of the output; 0 where a parameter has no part."""
    trained = {name: each for name, each in parameters.items() if each.requires_grad}
    found = torch.autograd.grad(
        out.square().sum(), list(trained.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(trained, found, strict=True))


def _flat(gradients: Sequence[Mapping[str, torch.Tensor]]) -> torch.Tensor:
    """The numbers of two models, parameter by parameter.

    Args:
        gradients: one mapping of tensors of both, (2, ...), or one mapping for each model
    """
    parts = [[each[name] for each in gradients] for name in gradients[0]]
    return torch.cat([torch.stack(own).flatten() for own in parts]) if parts else torch.zeros(0)


def _near(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal but for rounding, as a share of the largest number."""
    scale = float(other.detach().abs().max()) if other.numel() else 0.0
    atol = 1e-3 * scale if math.isfinite(scale) else 0.0
    return torch.allclose(one, other, rtol=1e-3, atol=max(atol, 1e-6), equal_nan=True)


def _draws() -> str:
    """The state of the generators that belong to nobody."""
    return repr([torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()])


def tried_optimizer(part: Mapping[str, Any]) -> None:
    """Makes steps for two runs at once, and for each by itself.

    Args:
        part: the config of an optimizer

    Raises:
        Unstackable: if they are not the same, as those of an optimizer that takes a norm, or fail,
            as where an optimizer asks whether a number is 0
    """
    name = part["_target_"].rpartition(".")[2]
    draw = torch.Generator().manual_seed(0)
    for shape in ((3,), (4, 3), (4, 3, 2, 2)):
        given = torch.randn(4, 2, *shape, generator=draw)  # weights, then gradients of three steps
        try:
            together = _stepped(part, given)
        except Exception as error:
            raise Unstackable(f"{name} fails with two runs ({type(error).__name__})") from error
        alone = torch.cat([_stepped(part, given[:, slot : slot + 1]) for slot in range(2)])
        if not torch.allclose(together, alone, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise Unstackable(f"{name} gives other numbers for two runs")


def tried_loss(part: Mapping[str, Any], classes: int) -> None:
    """Computes a loss for two runs at once, and for each by itself.

    Args:
        part: the config of a loss; the second run has other numbers
        classes: L

    Raises:
        Unstackable: if the losses or their gradients are not the same, or it fails with two runs
    """
    name = part["_target_"].rpartition(".")[2]
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 8, classes, generator=draw, requires_grad=True)
    labels = torch.randint(classes, (2, 8), generator=draw)
    other = {key: each / 2 + 0.1 if isinstance(each, float) else each for key, each in part.items()}
    try:
        together = losses_of([part, other], torch.as_tensor)(logits, labels)
        (found,) = torch.autograd.grad(together.sum(), [logits])
    except Exception as error:
        raise Unstackable(f"{name} fails with two runs ({type(error).__name__})") from error
    alone = torch.cat(
        [
            losses_of([own], torch.as_tensor)(logits[slot, None], labels[slot, None])
            for slot, own in enumerate((part, other))
        ]
    )
    (own,) = torch.autograd.grad(alone.sum(), [logits])
    if not _near(together, alone) or not _near(found, own):
        raise Unstackable(f"{name} gives other numbers for two runs")


def _stepped(part: Mapping[str, Any], given: torch.Tensor) -> torch.Tensor:
    """(K, ...) weights after steps along the gradients, all in (steps + 1, K, ...)."""
    weights, size = given[0].clone(), given.shape[1]
    update = update_of([part] * size, weights.ndim, torch.as_tensor)
    state: dict[str, torch.Tensor] = {}
    rate = torch.full((size, *[1] * (weights.ndim - 1)), 0.1)
    with torch.no_grad():
        for gradient in given[1:]:
            update(weights, gradient, state, rate)
    return weights
