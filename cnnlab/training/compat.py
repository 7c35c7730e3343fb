"""What is private or experimental in PyTorch and cannot be done without.

Tried with torch 2.14.1 and 2.15.0; setup.cfg allows 2.9 and later. Whoever raises its upper bound
looks here first.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "make_fx",
    "mark_static",
    "tables",
    "tree_flatten",
    "tree_map",
    "tree_unflatten",
    "without_torch_function",
    "wrapper",
]  # fmt: skip

without_torch_function = torch._C.DisableTorchFunctionSubclass
"""While it lasts, functions are called as if a tensor's class were a plain one."""


def wrapper(cls: type, shape: torch.Size, like: torch.Tensor) -> Any:
    """A tensor of a subclass that has a shape, a dtype and a device, and no memory of its own."""
    return torch.Tensor._make_wrapper_subclass(cls, shape, dtype=like.dtype, device=like.device)


class DispatchMode(TorchDispatchMode):
    """Sees each operation.

    PyTorch would import Dynamo, 2 s, so as not to compile it; what is watched here never is.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def quiet_fallbacks() -> None:
    """No warning where `vmap` computes one run after the other: what is quickest is measured."""
    torch._C._functorch._set_vmap_fallback_warning_enabled(False)


def mark_static(tensor: torch.Tensor) -> None:
    """Says that a tensor stays where it is in memory, so that a CUDA graph need not copy it."""
    torch._dynamo.mark_static_address(tensor)


def tables(module: nn.Module) -> Iterator[dict[str, torch.Tensor | None]]:
    """Where each layer of a module holds its parameters and its buffers."""
    for layer in module.modules():
        yield layer._parameters
        yield layer._buffers
