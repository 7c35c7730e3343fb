"""A small residual network for images of any size."""

from collections.abc import Callable

import torch
from torch import nn


class MyNet(nn.Module):
    """A convolution, residual blocks, the largest over space, a linear layer.

    Args:
        shape: (C, H, W) of one image, from cnnlab
        classes: L, from cnnlab
        norm: makes a normalisation from a number of channels; `norm=` on the command line
        activation: makes an activation; `activation=`
        attention: makes an attention from a number of channels; `attention=`, this project's group
        width: channels; a key of conf/model/mynet.yaml, `model.width=`
        blocks: how many; likewise
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        norm: Callable[[int], nn.Module],
        activation: Callable[[], nn.Module],
        attention: Callable[[int], nn.Module],
        *,
        width: int = 16,
        blocks: int = 2,
    ):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(shape[0], width, 3, stride=2, padding=1), norm(width))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                activation(), nn.Conv2d(width, width, 3, padding=1), norm(width), attention(width)
            )
            for _ in range(blocks)
        )
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)  # at first all classes are alike: the loss is log(classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, L) logits."""
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.amax((2, 3)))
