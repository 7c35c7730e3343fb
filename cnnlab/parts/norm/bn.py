"""Batch normalisation."""

from torch import nn

from cnnlab.core.limits import Positive, Share


def bn(channels: int, *, eps: Positive = 1e-5, momentum: Share = 0.1) -> nn.Module:
    """Each channel over batch and space (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167).

    Args:
        channels: C of the (N, C, H, W) input
        eps: added to the variance
        momentum: weight of the new batch in the running mean and variance
    """
    return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)
