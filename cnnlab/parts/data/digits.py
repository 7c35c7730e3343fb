"""The handwritten digits that ship inside scikit-learn: real images without a download."""

import numpy as np

from cnnlab.core.limits import Count, Seed, Share
from cnnlab.data.dataset import Data, Split, cut, finish
from cnnlab.data.memory import require

TEST_SHARE = 0.2
"""scikit-learn has no test split of these images: a fixed fifth is one."""


def digits(*, size: Count, validation: Share, split_seed: Seed) -> Data:
    """1,797 digits of the UCI optical recognition set (Alpaydin and Kaynak 1998), 8x8, made larger.

    Args:
        size: side in pixels after bilinear resizing, three equal channels
        validation: share of the images without the test split that validates
        split_seed: of the validation split; the test split never changes
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()  # (1797, 8, 8), 0 to 16
    count = len(bunch.images)
    what = f"data=digits: {count:,} images of {size} x {size} x 3"
    require(what, count * size * size * 3, "Lower data.size.")
    grey = (bunch.images * (255 / 16)).round().astype(np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((size, size), 2)) for image in grey]
    images = np.repeat(np.stack(large)[..., None], 3, axis=3)  # (1797, size, size, 3)
    rest, test = cut(Split(images, bunch.target), TEST_SHARE, 0, "data=digits")
    del images, large  # make room for another cut
    return finish(
        "data=digits",
        (rest.images, rest.labels),
        None,
        (test.images, test.labels),
        [str(name) for name in bunch.target_names],
        validation=validation,
        split_seed=split_seed,
    )
