"""Losses and steps of K variants at once, each with its own numbers."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import vmap

from cnnlab.config.targets import configured


def update_of(
    parts: Sequence[Mapping[str, Any]], ndim: int, tensor: Callable[[Any], torch.Tensor]
) -> Callable[..., None]:
    """The optimizer of parameters of (K, ...), with the numbers of each variant.

    Args:
        parts: K configs of one optimizer; what is no number is the same for all
        ndim: axes of the parameters, K's included
        tensor: makes a tensor of a list of numbers
    """
    numbers = {
        key: tensor([part[key] for part in parts]).view(axes(ndim))
        if isinstance(value, float)
        else value
        for key, value in parts[0].items()
        if key not in ("_target_", "exclude")
    }
    return configured({"_target_": parts[0]["_target_"], **numbers})


def without_decay(model: nn.Module, pattern: str | None) -> set[str]:
    """The parameters that an optimizer's `exclude` leaves out of weight decay, by name.

    Args:
        model: whose parameters
        pattern: looked for in a parameter's name and in the name of its layer's class, whatever the
            case: "norm|bias" finds bn1.weight of a BatchNorm2d
    """
    if pattern is None:
        return set()
    return {
        name
        for name, _ in model.named_parameters()
        for kind in [type(model.get_submodule(name.rpartition(".")[0])).__name__]
        if any(re.search(pattern, each, re.IGNORECASE) for each in (name, kind))
    }


def losses_of(
    parts: Sequence[Mapping[str, Any]], tensor: Callable[[Any], torch.Tensor]
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The mean loss of each variant, with its own numbers: (K, N, L) and (K, N) -> (K,).

    Args:
        parts: K configs of one loss; what is no number is the same for all
        tensor: makes a tensor of a list of numbers
    """
    values = {key: [part[key] for part in parts] for key in parts[0] if not key.startswith("_")}
    own = {
        key: tensor(each)
        for key, each in values.items()
        if isinstance(each[0], float) and len(set(each)) > 1
    }
    shared = {key: each[0] for key, each in values.items() if key not in own}
    loss = configured({"_target_": parts[0]["_target_"], **shared})
    if len(parts) == 1:
        return lambda logits, labels: loss(logits[0], labels[0]).mean()[None]
    every = vmap(lambda logits, labels, own: loss(logits, labels, **own).mean())
    return lambda logits, labels: every(logits, labels, own)


def axes(ndim: int) -> tuple[int, ...]:
    """(K, 1, ..., 1): the shape of a number a variant that is broadcast over (K, ...)."""
    return (-1,) + (1,) * (ndim - 1)


def clipped(gradients: Sequence[torch.Tensor], limits: torch.Tensor) -> list[torch.Tensor]:
    """Gradients (K, ...) of each variant, as one vector not longer than its limit (K,).

    The length is the L2 norm, as in `torch.nn.utils.clip_grad_norm_` (Pascanu et al. 2012,
    https://arxiv.org/abs/1211.5063).
    """
    squares = torch.stack([each.reshape(len(each), -1).square().sum(1) for each in gradients])
    factor = (limits / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1)  # (K,)
    return [gradient * factor.view(-1, *[1] * (gradient.ndim - 1)) for gradient in gradients]
