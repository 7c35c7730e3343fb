"""Mish."""

from torch import nn


def mish() -> nn.Module:
    """x tanh(log(1 + exp x)) (Misra 2019, https://arxiv.org/abs/1908.08681)."""
    return nn.Mish()
