"""Hyperbolic tangent."""

from torch import nn


def tanh() -> nn.Module:
    """tanh(x)."""
    return nn.Tanh()
