"""Many modules of one structure as one: parameters and buffers with a leading axis K.

The modules themselves know nothing of K.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import stack_module_state

from cnnlab.training.compat import quiet_fallbacks, tables
from cnnlab.training.stacked_tensor import Stacked, leading


class Stack:
    """K modules of the same structure.

    Attributes:
        parameters: (K, ...) by name, leaves that gradients are taken of
        buffers: (K, ...) by name, e.g. batch norm's running statistics; training changes them
        module: of one variant; its own parameters and buffers are not used

    Args:
        modules: K; their structure is the first one's, their weights are copied
    """

    def __init__(self, modules: Sequence[nn.Module]):
        quiet_fallbacks()
        self.size = len(modules)
        self.parameters, self.buffers = stack_module_state(list(modules))
        self.module = modules[0]
        self._saved = set(self.module.state_dict())
        self._places = _places(self.module)

    def __call__(self, images: torch.Tensor, *, training: bool) -> torch.Tensor:
        """(K, N, L) logits.

        Args:
            images: (N, C, H, W) that all variants see, or (G, N, C, H, W): the first K / G
                variants see the first N, and so on
            training: or validation
        """
        return self.apply(self.parameters, self.buffers, images, training=training)

    def apply(
        self,
        parameters: Mapping[str, torch.Tensor],
        buffers: Mapping[str, torch.Tensor],
        images: torch.Tensor,
        *,
        training: bool,
    ) -> torch.Tensor:
        """The same, with other parameters and buffers (K, ...)."""
        if self.module.training != training:
            self.module.train(training)
        if images.ndim == 5 and len(images) == 1:
            images = images[0]
        if self.size == 1:  # a plain call: half of a small step's time is PyTorch's own calls
            own = {name: each.squeeze(0) for name, each in {**parameters, **buffers}.items()}
            return self._called(own, images, buffers)[None]
        if images.ndim == 5:
            groups = len(images)
            held = images.movedim(0, 1).flatten(1, 2)  # (G, N, C, H, W) -> (N, G C, H, W)
            held = held.contiguous(memory_format=torch.channels_last)
            images = Stacked(held, self.size, channels=True, groups=groups)
        own = {name: Stacked(each, self.size) for name, each in {**parameters, **buffers}.items()}
        return leading(self._called(own, images, buffers))

    def _called(
        self,
        own: Mapping[str, torch.Tensor],
        images: torch.Tensor,
        buffers: Mapping[str, torch.Tensor],
    ) -> torch.Tensor:
        """The module's output, with other tensors in the places of its own.

        A buffer that the module replaces is written back to `buffers` (K, ...).

        As `torch.func.functional_call`, which looks for the places anew at each call: that took 3%
        of SimpleNN's step (batch 128, on a CPU).
        """
        try:
            for table, key, name, _ in self._places:
                table[key] = own[name]
            found = self.module(images)
            for table, key, name, _ in self._places:
                if (new := table[key]) is not own[name]:
                    new = leading(new) if isinstance(new, Stacked) else new.expand_as(own[name])
                    buffers[name].detach().copy_(new.detach())
            return found
        finally:
            for table, key, _, before in self._places:
                table[key] = before

    def weights(self, slot: int) -> dict[str, torch.Tensor]:
        """A copy of one module's state dict, on the CPU, in contiguous memory.

        safetensors writes memory as it lies, and channels_last weights do not lie in their order.
        """
        return {
            name: tensor[slot].detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in {**self.parameters, **self.buffers}.items()
            if name in self._saved
        }

    @torch.no_grad()
    def load(self, slot: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Puts back what `weights` gave."""
        for name, tensor in {**self.parameters, **self.buffers}.items():
            if name in self._saved:
                tensor[slot] = weights[name].to(tensor.device)


def _places(module: nn.Module) -> list[tuple[dict[str, Any], str, str, torch.Tensor]]:
    """Where a module holds its parameters and buffers, one that it shares in several places.

    Returns:
        the table of a layer, the key there, the name in the whole module, the tensor
    """
    named = [*module.named_parameters(), *module.named_buffers()]
    names = {id(tensor): name for name, tensor in named}
    return [
        (table, key, names[id(tensor)], tensor)
        for table in tables(module)
        for key, tensor in table.items()
        if tensor is not None
    ]
