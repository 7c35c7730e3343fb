"""Puts a config's model together, with first weights that depend on the seed alone."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from cnnlab.config.schema import Config
from cnnlab.config.targets import build_model, configured
from cnnlab.core.errors import Refused
from cnnlab.core.seeding import generator, global_generators
from cnnlab.training.compat import DispatchMode


def assemble(config: Config, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A config's model, on the CPU, as its code makes it.

    Each layer's first weights depend on the seed and the layer's name only: what two variants
    share starts the same. For that the model is made twice: once to see which draw is for which
    layer, and once with a generator for each layer.

    Args:
        config: of the run
        shape: (C, H, W) of one image
        classes: L

    Raises:
        ValueError: if the parts do not fit together or the images, or give no module
    """
    parts = {"norm": config.norm, "activation": config.activation, **config.own}
    makers = {group: configured(part) for group, part in parts.items()}

    seed = config.seed_of("init")

    def made(draws: AbstractContextManager[Any]) -> nn.Module:
        with global_generators(seed, "init/"), draws:
            model = build_model(config.model, {"shape": shape, "classes": classes, **makers})
        if not isinstance(model, nn.Module):
            given = type(model).__name__
            raise Refused(f"{config.model['_target_']} gives a {given}; it must give an nn.Module.")
        if any(isinstance(each, UninitializedParameter) for each in model.parameters()):
            raise Refused(
                f"{config.model['_target_']} has lazy layers, whose weights do not exist before "
                "they are used. Give each layer its size."
            )
        return model

    seen = _Draws(seed, [])
    owners = _owners(made(seen), seen.filled)
    return made(_Draws(seed, owners))


class _Draws(DispatchMode):
    """Gives each layer's draws a generator of their own.

    Attributes:
        filled: the tensors that draws have filled, in order

    Args:
        seed: of all draws
        owners: the layer that each draw is for, in order; draws beyond them are left as they are
    """

    def __init__(self, seed: int, owners: Sequence[str]):
        super().__init__()
        self.seed, self.owners, self.filled = seed, owners, []
        self.states: dict[str, torch.Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **(kwargs or {}))
        place = len(self.filled)
        owner = self.owners[place] if place < len(self.owners) else None
        if owner is not None:
            state = self.states.get(owner)
            if state is None:
                state = generator(self.seed, f"init/{owner}").get_state()
            torch.default_generator.set_state(state)
        self.filled.append(func(*args, **(kwargs or {})))
        if owner is not None:
            self.states[owner] = torch.default_generator.get_state()
        return self.filled[-1]


def _owners(model: nn.Module, filled: Sequence[Any]) -> list[str]:
    """The layer that each draw is for; a name of its own for one that is for none."""
    named = [*model.named_parameters(), *model.named_buffers()]
    layers = {_memory(tensor): name.rpartition(".")[0] for name, tensor in reversed(named)}
    found: list[str] = []
    others = 0
    for tensor in filled:
        layer = layers.get(_memory(tensor)) if isinstance(tensor, torch.Tensor) else None
        others += layer is None
        found.append(f"draw {others}" if layer is None else layer)
    return found


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
