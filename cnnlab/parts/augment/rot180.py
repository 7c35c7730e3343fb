"""Rotation by half a turn."""

import torch

from cnnlab.core.limits import Probability
from cnnlab.data.augmentation import chosen, replaced


def rot180(
    images: torch.Tensor, uniforms: torch.Tensor, *, probability: Probability = 0.5
) -> torch.Tensor:
    """Turns an image by 180 degrees.

    Args:
        images: (N, C, H, W)
        uniforms: (N, DRAWS) in [0, 1)
        probability: share of the images that are turned
    """
    return replaced(images, images.flip(-1, -2), chosen(uniforms, probability))
