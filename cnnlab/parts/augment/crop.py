"""Random crop of a padded image: a random shift."""

import torch
from torch.nn import functional as F

from cnnlab.core.limits import Count, Probability
from cnnlab.data.augmentation import chosen


def crop(
    images: torch.Tensor,
    uniforms: torch.Tensor,
    *,
    padding: Count = 4,
    probability: Probability = 1.0,
) -> torch.Tensor:
    """Pads with black and cuts the original size out at a random place.

    Args:
        images: (N, C, H, W)
        uniforms: (N, DRAWS) in [0, 1); the first two give the row and the column
        padding: pixels on each side; the shift is -padding ... padding in both directions
        probability: share of the images that are shifted
    """
    n, channels, height, width = images.shape
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
    offsets = (uniforms[:, :2] * (2 * padding + 1)).long()  # (N, 2) in 0 ... 2 padding
    offsets = torch.where(chosen(uniforms, probability)[:, None], offsets, padding)
    rows = offsets[:, :1] + torch.arange(height, device=images.device)  # (N, H)
    rows += torch.arange(n, device=images.device)[:, None] * padded.shape[1]
    starts = (rows * padded.shape[2] + offsets[:, 1:]) * channels  # (N, H) in the flat memory
    # Each row of a cut is one piece of memory: all pieces that there are, one number apart, as the
    # rows of a matrix, of which some are copied. 80 times faster than indexing pixels.
    flat, length = padded.flatten(), width * channels
    pieces = flat.as_strided((flat.numel() - length + 1, length), (1, 1))
    cut = pieces.index_select(0, starts.flatten())  # (N H, W C)
    return cut.view(n, height, width, channels).permute(0, 3, 1, 2)
