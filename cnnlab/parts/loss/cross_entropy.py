"""Cross-entropy, with smoothed labels if wanted."""

import torch
from torch.nn import functional as F

from cnnlab.core.limits import Decay


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, *, label_smoothing: Decay = 0.0
) -> torch.Tensor:
    """Minus the log of the probability of the right class, in nats.

    Args:
        logits: (N, L)
        labels: (N,)
        label_smoothing: share of each label that is spread over all classes (Szegedy et al. 2015,
            https://arxiv.org/abs/1512.00567, section 7)
    """
    each = F.cross_entropy(logits, labels, reduction="none")
    if isinstance(label_smoothing, float) and label_smoothing == 0:
        return each
    uniform = -F.log_softmax(logits, -1).mean(-1)  # cross-entropy with all classes alike
    return (1 - label_smoothing) * each + label_smoothing * uniform
