"""Instance normalisation."""

from torch import nn

from cnnlab.core.limits import Positive


def instance(channels: int, *, eps: Positive = 1e-5) -> nn.Module:
    """Each image and channel over space (Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022).

    With a scale and a shift for each channel, and no running statistics: training and validation
    do the same.

    Args:
        channels: C of the (N, C, H, W) input
        eps: added to the variance
    """
    return nn.InstanceNorm2d(channels, eps=eps, affine=True, track_running_stats=False)
