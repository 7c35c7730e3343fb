"""MNIST, through torchvision."""

from cnnlab.core.limits import Seed, Share
from cnnlab.data.dataset import Data
from cnnlab.data.download import Facts, downloaded

FACTS = Facts(60_000, 10_000, (28, 28, 1), classes=10, megabytes=12)


def mnist(*, root: str, validation: Share, split_seed: Seed) -> Data:
    """70,000 handwritten digits, 1x28x28 (LeCun et al. 1998).

    Args:
        root: folder that keeps the images as arrays
        validation: share of the training images that validates
        split_seed: of that split
    """
    from torchvision.datasets import MNIST

    return downloaded(
        "mnist", MNIST, FACTS, root=root, validation=validation, split_seed=split_seed
    )
