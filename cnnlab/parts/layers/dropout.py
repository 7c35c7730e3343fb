"""Dropout whose masks depend on nothing but the seed, the layer, the step and the number's place.

PyTorch's own draws from a global generator, which K variants in one model cannot share: each would
change the others' masks.
"""

import torch
from torch import nn

_ODD = (-0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
"""SplitMix64's constants (Steele et al. 2014, https://doi.org/10.1145/2714064.2660195), signed."""


class Dropout(nn.Module):
    """In training, sets each number to 0 with some probability, and makes the others larger.

    As `torch.nn.Dropout` (Srivastava et al. 2014), but for where its draws come from.

    Attributes:
        key: whoever trains sets it before each step, to a number of its own for each layer

    Args:
        rate: the probability, 0 to 1, 1 not included
    """

    def __init__(self, rate: float):
        super().__init__()
        self.active = rate > 0
        # Buffers, so that each variant of a stack has its own; not part of the saved weights.
        self.register_buffer("rate", torch.tensor(float(rate)), persistent=False)
        self.register_buffer("key", torch.tensor(0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape."""
        if not (self.training and self.active):
            return x
        place = torch.arange(x.numel(), device=x.device).view(x.shape)
        keep = uniform(self.key, place) >= self.rate
        return x * keep / (1 - self.rate)


def uniform(key: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Numbers in [0, 1), multiples of 2^-24: SplitMix64's, begun at `key`, at each `place`.

    Args:
        key: int64
        place: int64, 0 or more; both are broadcast against each other
    """
    z = key + (place + 1) * _ODD[0]
    z = (z ^ ((z >> 30) & (2**34 - 1))) * _ODD[1]  # & makes the shift a logical one
    z = (z ^ ((z >> 27) & (2**37 - 1))) * _ODD[2]
    z = z ^ ((z >> 31) & (2**33 - 1))
    return ((z >> 40) & (2**24 - 1)) / 2**24
