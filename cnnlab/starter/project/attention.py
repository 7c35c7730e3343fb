"""Channel attention: a config group of this project, conf/attention/."""

import torch
from torch import nn


class SE(nn.Module):
    """Squeeze and excitation (Hu et al. 2017, https://arxiv.org/abs/1709.01507).

    Args:
        channels: from the network
        reduction: how much narrower it is inside; a key of conf/attention/se.yaml
    """

    def __init__(self, channels: int, *, reduction: int = 4):
        super().__init__()
        inner = max(1, channels // reduction)
        self.weights = nn.Sequential(
            nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same."""
        return x * self.weights(x.mean((2, 3)))[:, :, None, None]


def none(channels: int) -> nn.Module:
    """No attention."""
    return nn.Identity()
