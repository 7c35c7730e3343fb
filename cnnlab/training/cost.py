"""What a model costs: parameters, output shapes and multiply-accumulates, layer by layer."""

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


def layer_costs(model: nn.Module, shape: tuple[int, int, int]) -> list[Layer]:
    """The cost of what is used of a model, layer by layer, and last of the whole.

    Layers are those without layers below them. A module above them has a line too, where it has
    numbers or multiplications of its own, and then of these alone. A layer that is called several
    times counts with all of its calls, a number that several layers share with the first of them.

    Args:
        model: on the CPU; is not changed
        shape: (C, H, W) of one image
    """
    model = copy.deepcopy(model).eval()
    # Without gradients attention is one fused operation, which the counter does not know.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        calls = _Calls(model, counter.get_total_flops)
        whole = _shape(model(torch.zeros(1, *shape)))
    names = {module: name for name, module in model.named_modules() if module in calls.shapes}
    order = list(names)
    layers, counted = {}, set()
    # Layers first, then what holds them, the innermost first: each has what those below have not.
    leaves = [module for module in order if not any(True for _ in module.children())]
    above = [module for module in reversed(order) if module not in leaves]
    for module in leaves + above:
        own = [each for each in module.parameters() if each not in counted]
        counted.update(own)
        parameters, macs = sum(each.numel() for each in own), calls.flops[module] // 2
        if module is not model and (module in leaves or parameters or macs):
            layers[module] = Layer(names[module], calls.shapes[module], parameters, macs)
    total = Layer(
        "", whole, sum(each.numel() for each in model.parameters()), counter.get_total_flops() // 2
    )
    return [*(layers[module] for module in order if module in layers), total]


class _Calls:
    """What each module of a model computes itself, while the model runs once.

    By the modules, not by their names: a module can have several, and its class says little.

    Args:
        model: gets hooks on all of its modules
        total: gives the floating-point operations so far

    Attributes:
        shapes: of the last output of each module that was called, for one image
        flops: of each, without those of the modules that it called
    """

    def __init__(self, model: nn.Module, total: Callable[[], int]):
        self.shapes: dict[nn.Module, tuple[int, ...]] = {}
        self.flops: Counter[nn.Module] = Counter()
        self._total, self._last, self._running = total, 0, [model]
        for module in model.modules():
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def _enter(self, module: nn.Module, _given: Any) -> None:
        self._count()
        self._running.append(module)

    def _leave(self, module: nn.Module, _given: Any, output: Any) -> None:
        self._count()
        self._running.pop()
        self.shapes[module] = _shape(output)

    def _count(self) -> None:
        """What was computed since the last time is the running module's."""
        now = self._total()
        self.flops[self._running[-1]] += now - self._last
        self._last = now


def _shape(output: Any) -> tuple[int, ...]:
    """Of an output for one image; of several tensors the first one's, of none an empty one."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return tuple(getattr(output, "shape", ())[1:])
