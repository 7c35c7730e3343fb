"""A learning rate that falls along half a cosine."""

import numpy as np

from cnnlab.core.limits import NonNegative, Positive


def cosine(
    epochs: int, steps: int, *, base: Positive = 0.01, final: NonNegative = 0.0
) -> np.ndarray:
    """From `base` to `final` (Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, eq. 5).

    Args:
        epochs: of the whole run
        steps: in an epoch
        base: the rate at the first step
        final: the rate that would follow the last step
    """
    progress = np.arange(epochs * steps) / (epochs * steps)
    return final + (base - final) * (1 + np.cos(np.pi * progress)) / 2
