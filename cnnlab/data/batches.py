"""Batches: images stay on the device as uint8 and are shuffled, augmented and normalised there.

G groups of variants that see the same images, N images of a batch, C H W image, E images of an
epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from cnnlab.core.seeding import generator
from cnnlab.data.augmentation import Operation, augment, draw
from cnnlab.data.dataset import Data, Split

EVALUATION_BATCH = 256
"""Images at a time where no gradient is needed; more leave a CPU's cache."""


RESIDENT_SHARE = 0.5
"""Of a GPU's free memory: images that take more stay in the computer's own."""

BLOCK_SHARE = 0.1
"""Of a GPU's free memory: as much may be taken by images that are augmented ahead."""


class Images:
    """A split, kept where it is used, or in pinned memory beside it.

    Args:
        split: images (E, H, W, C) uint8 and labels
        device: where they are used
        resident: whether they are kept there; None: if they fit
    """

    def __init__(self, split: Split, device: torch.device, resident: bool | None = None):
        # (E, H, W, C) -> (E, C, H, W), the same memory: PyTorch's channels_last, which is 1.4
        # times faster than contiguous planes for SimpleNN's step on a CPU.
        # A GPU gets its own images only; on a CPU all processes read one array, cut or not.
        split = replace(split, pool=split.images, rows=None) if device.type != "cpu" else split
        pixels = torch.from_numpy(split.pool).permute(0, 3, 1, 2)
        if resident is None:
            resident = device.type != "cuda" or pixels.nbytes < RESIDENT_SHARE * _free(device)
        pinned = not resident and device.type == "cuda"
        self.device = device
        self.rows = None if split.rows is None else torch.from_numpy(split.rows)
        self.pixels = pixels.to(device) if resident else pixels.pin_memory() if pinned else pixels
        self.labels = torch.from_numpy(split.labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: torch.Tensor | slice) -> torch.Tensor:
        """(N, C, H, W) uint8 on the device; `index` is where `pixels` are."""
        if self.rows is not None:
            index = self.rows[index]
        if isinstance(index, torch.Tensor):
            rows = self.pixels.permute(0, 2, 3, 1).index_select(0, index)
            return rows.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return self.pixels[index].to(self.device, non_blocking=True)


def _free(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0]


class Normalise:
    """Subtracts each channel's mean and divides by its spread, both of the training split.

    The spread is the standard deviation within an image, averaged over the images: for CIFAR-10
    0.202, 0.199, 0.201 of the range, the numbers that most code for it carries as constants. Where
    images are flat and differ from each other, it is at least half the deviation of all pixels.

    Args:
        split: the training split
        device: where it is used
        dtype: of what it gives
    """

    def __init__(self, split: Split, device: torch.device, dtype: torch.dtype = torch.float32):
        totals = torch.zeros(3, split.shape[3], dtype=torch.float64)
        for images in split.parts():  # all as floats would be 4 times larger
            part = torch.from_numpy(images).float()
            std, mean = torch.std_mean(part, dim=(1, 2), correction=0)  # (PART, C) each
            square = std.square() + mean.square()
            totals += torch.stack(
                [each.sum(0, dtype=torch.float64) for each in (std, mean, square)]
            )
        spread, mean, square = totals / len(split)
        overall = (square - mean.square()).clamp(min=0).sqrt()
        spread = torch.maximum(spread, overall / 2).clamp(min=1)  # at least a grey level
        # One for each number of an image: arithmetic on whole rows is 5 times faster than on rows
        # of three channels.
        pixels = split.shape[1] * split.shape[2]
        self.mean, self.scale = (
            numbers.to(device, dtype).repeat(pixels) for numbers in (mean, 1 / spread)
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(..., C, H, W) uint8 -> the same shape of numbers."""
        last = images.movedim(-3, -1)  # as they lie in memory
        rows = last.reshape(-1, len(self.mean)).to(self.mean.dtype)
        return rows.sub_(self.mean).mul_(self.scale).view(last.shape).movedim(-1, -3)


class Supply:
    """What batches are made of: both splits on a device, and how they are normalised.

    Args:
        data: the images
        device: where they are used
        dtype: of the batches
        resident: as `Images` has it
    """

    def __init__(
        self, data: Data, device: torch.device, dtype: torch.dtype, resident: bool | None = None
    ):
        self.data, self.device, self.dtype = data, device, dtype
        self.train = Images(data.train, device, resident)
        self.val = Images(data.val, device, resident)
        self.normalise = Normalise(data.train, device, dtype)


def supply(
    data: Data, device: torch.device, dtype: torch.dtype, resident: bool | None = None
) -> Supply:
    """A `Supply`; the last one again where nothing has changed."""
    key = (id(data), device, dtype, resident)
    if key not in _last:
        _last.clear()
        _last[key] = Supply(data, device, dtype, resident)  # keeps the data, and so its id
    return _last[key]


_last: dict[tuple[Any, ...], Supply] = {}


class Seeds(NamedTuple):
    """Of what a group of variants sees."""

    order: int
    augment: int


def order(seed: int, epoch: int, count: int) -> torch.Tensor:
    """(E,) the order in which a seed sees the images in an epoch."""
    return torch.randperm(count, generator=generator(seed, "order", epoch))


def training(
    images: Images,
    normalise: Normalise,
    seeds: Sequence[Seeds],
    operations: Sequence[Mapping[str, Operation]],
    epoch: int,
    size: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch of training batches.

    Args:
        images: the training split
        normalise: of the training split
        seeds: G; of each group
        operations: G; each group's augmentation
        epoch: counted from 1
        size: N; the last batch may be smaller

    Yields:
        images (G, N, C, H, W) and labels (G, N)
    """
    device, count = images.device, len(images)
    orders = torch.stack([order(each.order, epoch, count) for each in seeds])  # (G, E)
    places, orders = orders.to(images.pixels.device), orders.to(device)
    uniforms = [
        {
            name: numbers.to(device)
            for name, numbers in draw(each.augment, list(ops), epoch, count).items()
        }
        for each, ops in zip(seeds, operations, strict=True)
    ]
    ahead = size * _ahead(images, len(seeds) * size)
    for begin in range(0, count, ahead):
        part = slice(begin, begin + ahead)
        blocks = [
            augment(
                images[place[part]],
                ops,
                {name: draws[index[part]] for name, draws in numbers.items()},
            )
            for place, index, ops, numbers in zip(places, orders, operations, uniforms, strict=True)
        ]
        block = torch.stack(blocks) if len(blocks) > 1 else blocks[0][None]
        labels = images.labels[orders[:, part]]
        for start in range(0, labels.shape[1], size):
            batch = slice(start, start + size)
            yield normalise(block[:, batch]), labels[:, batch]


def _ahead(images: Images, batch: int) -> int:
    """How many steps are augmented at once: on a GPU as many as its memory allows, for each
    operation costs it a moment, however small; on a CPU one, which stays in its cache."""
    if images.device.type != "cuda":
        return 1
    # The padded copy and the indices of a crop take several times the images themselves.
    each = 8 * batch * images.pixels[0].numel()
    return max(1, int(BLOCK_SHARE * _free(images.device) / each))


def evaluation(images: Images, normalise: Normalise) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All images of a split in their order: (N, C, H, W) float32 and labels (N,)."""
    for start in range(0, len(images), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        yield normalise(images[part]), images.labels[part]
