"""Layer normalisation."""

from torch import nn

from cnnlab.core.limits import Positive


def ln(channels: int, *, eps: Positive = 1e-5) -> nn.Module:
    """Each image over all channels and space (Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450).

    For convolutions this is one group of `gn`, with a scale and a shift for each channel, as in
    Wu and He 2018, section 3.1; it fits any image size.

    Args:
        channels: C of the (N, C, H, W) input
        eps: added to the variance
    """
    return nn.GroupNorm(1, channels, eps=eps)
