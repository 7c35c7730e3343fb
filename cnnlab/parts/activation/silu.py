"""Swish, also called the sigmoid linear unit (SiLU) where beta is 1."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnlab.core.limits import NonNegative


class Swish(nn.Module):
    """x sigmoid(beta x) (Ramachandran et al. 2017, https://arxiv.org/abs/1710.05941).

    Args:
        beta: 0 is x / 2, 1 is SiLU, and towards infinity it becomes ReLU
        learned: whether beta is a parameter that training changes, one a layer
    """

    def __init__(self, beta: float, learned: bool):
        super().__init__()
        self.plain = beta == 1 and not learned
        if learned:
            self.beta = nn.Parameter(torch.tensor(float(beta)))
        else:  # a buffer, so that each variant of a stack has its own; no part of saved weights
            self.register_buffer("beta", torch.tensor(float(beta)), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape."""
        if self.plain:
            return F.silu(x)  # the same in one operation
        return x * torch.sigmoid(self.beta * x)


def silu(*, beta: NonNegative = 1.0, learned: bool = False) -> nn.Module:
    """Swish with a fixed or a learned beta; see `Swish`."""
    return Swish(beta, learned)
