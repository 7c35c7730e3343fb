"""A learning rate that falls in steps."""

import numpy as np

from cnnlab.core.limits import Count, Positive, Share


def step(
    epochs: int, steps: int, *, base: Positive = 0.01, every: Count = 10, factor: Share = 0.1
) -> np.ndarray:
    """Multiplies the rate by `factor` after each `every` epochs, as PyTorch's StepLR.

    Args:
        epochs: of the whole run
        steps: in an epoch
        base: the rate of the first epochs
        every: epochs between two falls
        factor: what is left after each fall
    """
    return base * factor ** (np.arange(epochs * steps) // (steps * every))
