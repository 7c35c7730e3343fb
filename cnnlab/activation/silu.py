"""Swish, also called the sigmoid linear unit (SiLU) where beta is 1."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnlab.limits import NonNegative


class Swish(nn.Module):
    """x sigmoid(beta x) (Ramachandran et al. 2017, https://arxiv.org/abs/1710.05941).

    Args:
        beta: 0 is x / 2, 1 is SiLU, and towards infinity it becomes ReLU
        learned: whether beta is a parameter that training changes, one a layer
    """

    def __init__(self, beta: float, learned: bool):
        super().__init__()
        self.learned = learned
        self.beta = nn.Parameter(torch.tensor(float(beta))) if learned else beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape."""
        if self.learned or self.beta != 1:
            return x * torch.sigmoid(self.beta * x)
        return F.silu(x)  # the same in one operation


def silu(*, beta: NonNegative = 1.0, learned: bool = False) -> nn.Module:
    """Swish with a fixed or a learned beta; see `Swish`."""
    return Swish(beta, learned)
