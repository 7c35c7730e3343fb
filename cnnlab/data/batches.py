"""Batches: images stay on the device as uint8 and are shuffled, augmented and normalised there.

K variants, N images of a batch, C H W image, E images of an epoch.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch

from cnnlab.augment import Operation, augment, draw
from cnnlab.data.split import Split
from cnnlab.draws import generator

EVALUATION_BATCH = 256
"""Images at a time where no gradient is needed; more leave a CPU's cache."""


class Images:
    """A split on a device.

    Args:
        split: images (E, H, W, C) uint8 and labels
        device: where they are kept
    """

    def __init__(self, split: Split, device: torch.device):
        # (E, H, W, C) -> (E, C, H, W), the same memory: PyTorch's channels_last, which is 1.4
        # times faster than contiguous planes for SimpleNN's step on a CPU.
        self.pixels = torch.from_numpy(split.images).to(device).permute(0, 3, 1, 2)
        self.labels = torch.from_numpy(split.labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)


class Normalise:
    """Subtracts each channel's mean and divides by its spread, both of the training split.

    The spread is the standard deviation within an image, averaged over the images: for CIFAR-10
    0.202, 0.199, 0.201 of the range, the numbers that most code for it carries as constants. Where
    images are flat and differ from each other, it is at least half the deviation of all pixels.

    Args:
        split: the training split
        device: where it is used
    """

    def __init__(self, split: Split, device: torch.device):
        totals = torch.zeros(3, split.images.shape[3], dtype=torch.float64)
        for start in range(0, len(split), 1000):  # in parts: all as floats would be 4 times larger
            part = torch.from_numpy(split.images[start : start + 1000]).float()
            std, mean = torch.std_mean(part, dim=(1, 2), correction=0)  # (1000, C) each
            square = std.square() + mean.square()
            totals += torch.stack(
                [each.sum(0, dtype=torch.float64) for each in (std, mean, square)]
            )
        spread, mean, square = totals / len(split)
        overall = (square - mean.square()).clamp(min=0).sqrt()
        spread = torch.maximum(spread, overall / 2).clamp(min=1)  # at least a grey level
        self.mean, self.scale = (
            numbers.float().to(device)[:, None, None] for numbers in (mean, 1 / spread)
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) uint8 -> float32."""
        return (images - self.mean).mul_(self.scale)


def order(seed: int, epoch: int, count: int) -> torch.Tensor:
    """(E,) the order in which a seed sees the images in an epoch."""
    return torch.randperm(count, generator=generator(seed, "order", epoch))


def training(
    images: Images,
    normalise: Normalise,
    seeds: Sequence[int],
    operations: Sequence[Mapping[str, Operation]],
    epoch: int,
    size: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch of training batches for K variants.

    Args:
        images: the training split
        normalise: of the training split
        seeds: K; of each variant
        operations: K; each variant's augmentation
        epoch: counted from 1
        size: N; the last batch may be smaller

    Yields:
        images (K, N, C, H, W) float32 and labels (K, N)
    """
    device, count = images.pixels.device, len(images)
    orders = torch.stack([order(seed, epoch, count) for seed in seeds]).to(device)  # (K, E)
    uniforms = [
        {name: numbers.to(device) for name, numbers in draw(seed, list(ops), epoch, count).items()}
        for seed, ops in zip(seeds, operations, strict=True)
    ]
    for start in range(0, count, size):
        chosen = orders[:, start : start + size]  # (K, N)
        batches = [
            augment(
                images.pixels[index], ops, {name: draws[index] for name, draws in numbers.items()}
            )
            for index, ops, numbers in zip(chosen, operations, uniforms, strict=True)
        ]
        yield torch.stack([normalise(batch) for batch in batches]), images.labels[chosen]


def evaluation(images: Images, normalise: Normalise) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All images of a split in their order: (N, C, H, W) float32 and labels (N,)."""
    for start in range(0, len(images), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        yield normalise(images.pixels[part]), images.labels[part]
