"""Cutout: a square of each image is hidden."""

from typing import Annotated

import torch
from annotated_types import Interval

from cnnlab.core.limits import Count, Probability
from cnnlab.data.augmentation import chosen


def cutout(
    images: torch.Tensor,
    uniforms: torch.Tensor,
    *,
    size: Count = 16,
    fill: Annotated[int, Interval(ge=0, le=255)] = 127,
    probability: Probability = 1.0,
) -> torch.Tensor:
    """Fills a square around a random pixel (DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552).

    The square may reach over the border, as in the paper, where this matters for accuracy.

    Args:
        images: (N, C, H, W)
        uniforms: (N, DRAWS) in [0, 1); the first two give the middle's row and column
        size: side of the square in pixels; the paper's choice for CIFAR-10 is 16
        fill: grey level 0 to 255; the paper fills the data's mean
        probability: share of the images that are changed
    """
    _, _, height, width = images.shape
    extent = torch.tensor([height, width], device=images.device)
    starts = (uniforms[:, :2] * extent).long() - size // 2  # (N, 2)
    rows = torch.arange(height, device=images.device) - starts[:, :1]  # (N, H), 0 at the edge
    columns = torch.arange(width, device=images.device) - starts[:, 1:]  # (N, W)
    inside_rows = (rows >= 0) & (rows < size)
    inside_columns = (columns >= 0) & (columns < size)
    hidden = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]  # (N, 1, H, W)
    return images.masked_fill(hidden & chosen(uniforms, probability)[:, None, None, None], fill)
