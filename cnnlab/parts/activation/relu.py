"""Rectified linear unit."""

from torch import nn


def relu() -> nn.Module:
    """max(x, 0) (Nair and Hinton 2010)."""
    return nn.ReLU()
