"""Applying augmentations to a batch: what is drawn, operation after operation, and what they share.

N images of a batch, C H W image.
"""

from collections.abc import Callable, Mapping

import torch

from cnnlab.core.seeding import generator

DRAWS = 4
"""How many uniform numbers an operation gets for each image."""

Operation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def draw(seed: int, names: list[str], epoch: int, count: int) -> dict[str, torch.Tensor]:
    """The uniforms of one epoch, (count, DRAWS) for each operation, by image in the data's order.

    They depend on the operation's name only: `crop` draws the same in `crop` and in `crop_flip`.
    """
    return {
        name: torch.rand(count, DRAWS, generator=generator(seed, f"augment/{name}", epoch))
        for name in names
    }


def augment(
    images: torch.Tensor,
    operations: Mapping[str, Operation],
    uniforms: Mapping[str, torch.Tensor],
) -> torch.Tensor:
    """Applies each operation in its order.

    Args:
        images: (N, C, H, W) uint8
        operations: by name
        uniforms: (N, DRAWS) for each name
    """
    for name, operation in operations.items():
        images = operation(images, uniforms[name])
    return images


def chosen(uniforms: torch.Tensor, probability: float) -> torch.Tensor:
    """(N,) bool: the images that an operation changes. Uses the last column."""
    return uniforms[:, DRAWS - 1] < probability


def replaced(images: torch.Tensor, changed: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Of each image one of two forms.

    Whole images are copied by their number, which is several times faster than `torch.where`.

    Args:
        images: (N, C, H, W)
        changed: (N, C, H, W)
        where: (N,) bool: whether to take the changed form
    """
    both = torch.cat([images.permute(0, 2, 3, 1), changed.permute(0, 2, 3, 1)])
    index = torch.arange(len(where), device=where.device) + len(where) * where
    return both.index_select(0, index).permute(0, 3, 1, 2)
