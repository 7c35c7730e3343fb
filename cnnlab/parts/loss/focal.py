"""Focal loss: images that are classified well already count less."""

import torch
from torch.nn import functional as F

from cnnlab.core.limits import NonNegative


def focal(logits: torch.Tensor, labels: torch.Tensor, *, gamma: NonNegative = 2.0) -> torch.Tensor:
    """(1 - p)^gamma times cross-entropy, p the probability of the right class.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002, eq. 4, without the paper's weights alpha,
    which are for classes of very unequal size.

    Args:
        logits: (N, L)
        labels: (N,)
        gamma: 0 is cross-entropy
    """
    each = F.cross_entropy(logits, labels, reduction="none")
    # -expm1 of log p is 1 - p, exact near p = 1 too; where p is 1, 0^gamma has no gradient.
    return (-torch.expm1(-each)).clamp(min=1e-12) ** gamma * each
