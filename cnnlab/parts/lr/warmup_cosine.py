"""A linear warm-up, then half a cosine."""

import numpy as np

from cnnlab.core.limits import NonNegative, Positive, Share
from cnnlab.parts.lr.cosine import cosine


def warmup_cosine(
    epochs: int,
    steps: int,
    *,
    base: Positive = 0.01,
    final: NonNegative = 0.0,
    warmup: Share = 0.1,
) -> np.ndarray:
    """Rises linearly to `base`, then falls as `cosine` (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).

    Args:
        epochs: of the whole run
        steps: in an epoch
        base: the rate at the end of the warm-up
        final: the rate that would follow the last step
        warmup: share of the run's steps in which the rate rises
    """
    total = epochs * steps
    rising = round(warmup * total)
    return np.concatenate(
        [
            base * np.arange(1, rising + 1) / (rising + 1),
            cosine(1, total - rising, base=base, final=final),
        ]
    )
