"""One cycle: up to a large learning rate and down again."""

from typing import Annotated

import numpy as np
from annotated_types import Gt

from cnnlab.core.limits import Positive, Share


def onecycle(
    epochs: int,
    steps: int,
    *,
    base: Positive = 0.01,
    rise: Share = 0.3,
    start_divisor: Annotated[float, Gt(1)] = 25.0,
    final_divisor: Annotated[float, Gt(1)] = 1e4,
) -> np.ndarray:
    """Two half cosines, as PyTorch's OneCycleLR (Smith and Topin 2017, https://arxiv.org/abs/1708.07120).

    The momentum stays as the optimizer has it. A run too short to rise begins at the peak.

    Args:
        epochs: of the whole run
        steps: in an epoch
        base: the largest rate
        rise: share of the run in which the rate rises
        start_divisor: the first rate is base / start_divisor
        final_divisor: the last rate is the first one / final_divisor
    """
    total = epochs * steps
    first, last = base / start_divisor, base / start_divisor / final_divisor
    # PyTorch counts the peak's index from 0, hence the -1.
    peak = max(rise * total - 1, 0.0)
    index = np.arange(total)
    up = np.clip(index / peak, 0, 1) if peak > 0 else np.ones(total)
    down = np.clip((index - peak) / (total - 1 - peak or 1), 0, 1)
    rising = first + (base - first) * (1 - np.cos(np.pi * up)) / 2
    falling = last + (base - last) * (1 + np.cos(np.pi * down)) / 2
    return np.where(index <= peak, rising, falling)
