"""Images made of random numbers, of any size: for tests and benchmarks."""

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from cnnlab.core.limits import Count, NonNegative, Seed, Share
from cnnlab.data.dataset import Data, finish
from cnnlab.data.memory import require

PART = 2**22
"""Numbers that are drawn at a time; how many does not change them."""


def synthetic(
    *,
    images: Count,
    size: Count,
    channels: Literal[1, 3],
    classes: Annotated[int, Ge(2)],
    noise: NonNegative,
    seed: Seed,
    validation: Share,
    split_seed: Seed,
) -> Data:
    """A random pattern for each class, plus noise, so that there is something to learn.

    Args:
        images: how many in all, without a test split
        size: side in pixels
        channels: 1 or 3
        classes: how many, equally often
        noise: standard deviation in grey levels; the patterns' is 32
        seed: of the images
        validation: share of the images that validates
        split_seed: of that split
    """
    what = f"data=synthetic: {images:,} images of {size} x {size} x {channels}"
    label = 8  # bytes: more than a small image
    require(what, images * (size * size * channels + label), "Lower data.size or data.images.")
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    patterns = 128 + 32 * random.standard_normal((classes, size, size, channels), np.float32)
    pixels = np.empty((images, size, size, channels), np.uint8)
    step = max(1, PART // pixels[0].size)
    for start in range(0, images, step):  # in parts: float noise for all would take 4 times more
        part = patterns[labels[start : start + step]]
        part += noise * random.standard_normal(part.shape, np.float32)
        pixels[start : start + step] = part.round().clip(0, 255)
    return finish(
        "data=synthetic",
        (pixels, labels),
        None,
        None,
        None,
        validation=validation,
        split_seed=split_seed,
    )
