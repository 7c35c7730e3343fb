"""Up-down mirroring."""

import torch

from cnnlab.core.limits import Probability
from cnnlab.data.augmentation import chosen, replaced


def vflip(
    images: torch.Tensor, uniforms: torch.Tensor, *, probability: Probability = 0.5
) -> torch.Tensor:
    """Mirrors an image upside down.

    Args:
        images: (N, C, H, W)
        uniforms: (N, DRAWS) in [0, 1)
        probability: share of the images that are mirrored
    """
    return replaced(images, images.flip(-2), chosen(uniforms, probability))
