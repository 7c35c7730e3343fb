"""Gaussian error linear unit."""

from torch import nn


def gelu() -> nn.Module:
    """x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415)."""
    return nn.GELU()
