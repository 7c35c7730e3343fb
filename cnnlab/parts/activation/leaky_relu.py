"""Leaky rectified linear unit."""

from torch import nn

from cnnlab.core.limits import NonNegative


def leaky_relu(*, slope: NonNegative = 0.01) -> nn.Module:
    """x where it is positive, else slope times x (Maas et al. 2013).

    Args:
        slope: the factor for negative inputs
    """
    return nn.LeakyReLU(slope)
