"""Group normalisation."""

from torch import nn

from cnnlab.core.limits import Count, Positive


def gn(channels: int, *, groups: Count = 4, eps: Positive = 1e-5) -> nn.Module:
    """Each image over groups of channels and space (Wu and He 2018, https://arxiv.org/abs/1803.08494).

    Args:
        channels: C of the (N, C, H, W) input
        groups: how many groups; must divide `channels`
        eps: added to the variance

    Raises:
        ValueError: if `groups` does not divide `channels`
    """
    if channels % groups:
        divisors = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
        raise ValueError(
            f"norm.groups={groups}: does not divide a layer of {channels} channels. "
            f"Use a divisor of {channels}: {divisors}."
        )
    return nn.GroupNorm(groups, channels, eps=eps)
