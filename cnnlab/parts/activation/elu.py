"""Exponential linear unit."""

from torch import nn

from cnnlab.core.limits import Positive


def elu(*, alpha: Positive = 1.0) -> nn.Module:
    """x where it is positive, else alpha (exp x - 1) (Clevert et al. 2015, https://arxiv.org/abs/1511.07289).

    Args:
        alpha: the limit at minus infinity is -alpha
    """
    return nn.ELU(alpha)
