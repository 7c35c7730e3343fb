"""What a model costs: parameters, output shapes and multiply-accumulates, layer by layer."""

import copy
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
    """The cost of every layer without layers below it that is used, and last of the whole model.

    Args:
        model: on the CPU; is not changed
        shape: (C, H, W) of one image
    """
    model = copy.deepcopy(model).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    leaves = {name: m for name, m in model.named_modules() if name and not list(m.children())}
    for name, module in leaves.items():
        module.register_forward_hook(
            lambda _module, _given, output, name=name: shapes.__setitem__(name, output.shape[1:])
        )
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes[""] = model(torch.zeros(1, *shape)).shape[1:]
    counts = counter.get_flop_counts()
    owner = type(model).__name__

    def layer(name: str, module: nn.Module) -> Layer:
        parameters = sum(parameter.numel() for parameter in module.parameters())
        flops = counts.get(f"{owner}.{name}" if name else "Global", {})
        return Layer(name, tuple(shapes[name]), parameters, sum(flops.values()) // 2)

    used = [layer(name, module) for name, module in leaves.items() if name in shapes]
    return [*used, layer("", model)]
