"""Whether parts do for several runs at once what they do for each: tried, on a few numbers.

What a model is can be read (`training.structure`); what its code does, and what an optimizer's code
does with the numbers of several runs, shows only when it runs.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnlab.training.stack import Stack
from cnnlab.training.structure import Unstackable, structure
from cnnlab.training.trainer import update_of


def tried(model: nn.Module, shape: tuple[int, int, int]) -> None:
    """Uses a model alone, and as two.

    Args:
        model: on the CPU; images go through it, which changes its buffers
        shape: (C, H, W) of an image

    Raises:
        Unstackable: if the model fails as one of two or gives other numbers, draws from a
            generator that all variants would share, or notes something in itself
    """
    name = type(model).__name__
    images = torch.rand(2, 2, *shape, generator=torch.Generator().manual_seed(0))
    before, draws = structure(model.train()), _draws()
    try:
        for training in (True, False):
            with torch.no_grad():
                together = Stack([model, model])(images, training=training)
                alone = torch.stack([model.train(training)(each) for each in images])
            if not torch.allclose(together, alone, rtol=1e-3, atol=1e-4, equal_nan=True):
                raise Unstackable(f"{name} gives other numbers as one of two")
    except Unstackable:
        raise
    except Exception as error:
        raise Unstackable(f"{name} fails as one of two ({type(error).__name__})") from error
    if draws != _draws():
        raise Unstackable(f"{name} draws from a generator that all variants would share")
    if before != structure(model.train()):
        raise Unstackable(f"{name} changes its attributes when it is used")


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
