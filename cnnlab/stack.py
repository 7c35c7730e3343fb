"""Many modules of one structure as one: parameters and buffers with a leading axis K.

The modules themselves know nothing of K.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap


class Stack:
    """K modules of the same structure.

    Attributes:
        parameters: (K, ...) by name, leaves that gradients are taken of
        buffers: (K, ...) by name, e.g. batch norm's running statistics; training changes them

    Args:
        modules: K; their structure is the first one's, their weights are copied
    """

    def __init__(self, modules: Sequence[nn.Module]):
        self.size = len(modules)
        self.parameters, self.buffers = stack_module_state(list(modules))
        self._module = modules[0]

    def __call__(self, images: torch.Tensor, *, training: bool) -> torch.Tensor:
        """(K, N, C, H, W), or (N, C, H, W) that all share -> (K, N, L) logits."""
        self._module.train(training)
        shared = images.ndim == 4
        if self.size == 1:
            # vmap of one costs 1.1 to 2 times the plain call on a CPU.
            parameters, buffers = self._slot(self.parameters, 0), self._slot(self.buffers, 0)
            return self._one(parameters, buffers, images if shared else images[0])[None]
        over = vmap(self._one, in_dims=(0, 0, None if shared else 0))
        return over(self.parameters, self.buffers, images)

    def weights(self, slot: int) -> dict[str, torch.Tensor]:
        """A copy of one module's parameters and buffers, on the CPU, in contiguous memory.

        safetensors writes memory as it lies, and channels_last weights do not lie in their order.
        """
        state = {**self._slot(self.parameters, slot), **self._slot(self.buffers, slot)}
        return {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in state.items()
        }

    @torch.no_grad()
    def load(self, slot: int, weights: dict[str, torch.Tensor]) -> None:
        """Puts back what `weights` gave."""
        for name, tensor in {**self.parameters, **self.buffers}.items():
            tensor[slot] = weights[name].to(tensor.device)

    def _one(self, parameters, buffers, images: torch.Tensor) -> torch.Tensor:
        return functional_call(self._module, (parameters, buffers), (images,))

    @staticmethod
    def _slot(state: dict[str, torch.Tensor], slot: int) -> dict[str, torch.Tensor]:
        return {name: tensor[slot] for name, tensor in state.items()}
