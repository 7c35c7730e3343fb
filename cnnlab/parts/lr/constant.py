"""A constant learning rate."""

import numpy as np

from cnnlab.core.limits import Positive


def constant(epochs: int, steps: int, *, base: Positive = 0.01) -> np.ndarray:
    """The same rate at every step.

    Args:
        epochs: of the whole run
        steps: in an epoch
        base: the rate
    """
    return np.full(epochs * steps, base)
