"""Root mean square normalisation, an option of the group `norm`: conf/norm/rms.yaml."""

import torch
from torch import nn

from cnnlab.core.limits import Positive


class RMS(nn.Module):
    """Each image over its root mean square (Zhang and Sennrich 2019).

    Args:
        channels: from the network
        eps: added to the mean square; `Positive` is its limit
    """

    def __init__(self, channels: int, *, eps: Positive = 1e-5):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same."""
        square = x.square().mean((1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
        return x * torch.rsqrt(square + self.eps) * self.scale
