"""What a model costs: parameters, output shapes and multiply-accumulates, layer by layer."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Layer:
    """One layer, or the whole model where `name` is empty.

    Attributes:
        name: as in `model.named_modules()`
        shape: of its output for one image, without the batch
        parameters: numbers that training changes
        macs: multiply-accumulates for one image; those of convolutions and matrix products, as
            is usual: normalisation, activation and pooling count as 0
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


def cost(model: nn.Module, shape: tuple[int, int, int]) -> list[Layer]:
    """The cost of every layer that has no layers below it, and last that of the whole model.

    Args:
        model: on the CPU; is not changed
        shape: (C, H, W) of one image
    """
    shapes: dict[str, tuple[int, ...]] = {}
    leaves = {name: m for name, m in model.named_modules() if name and not list(m.children())}
    hooks = [
        module.register_forward_hook(
            lambda _module, _given, output, name=name: shapes.__setitem__(name, output.shape[1:])
        )
        for name, module in leaves.items()
    ]
    was_training = model.training
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            output = model.eval()(torch.zeros(1, *shape))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    counts = counter.get_flop_counts()
    prefix = type(model).__name__

    def layer(name: str, module: nn.Module, shape: tuple[int, ...], flops) -> Layer:
        parameters = sum(parameter.numel() for parameter in module.parameters())
        return Layer(name, tuple(shape), parameters, sum(flops.values()) // 2)

    layers = [
        layer(name, module, shapes[name], counts.get(f"{prefix}.{name}", {}))
        for name, module in leaves.items()
    ]
    return [*layers, layer("", model, output.shape[1:], counts["Global"])]
