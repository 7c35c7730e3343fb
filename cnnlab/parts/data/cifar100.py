"""CIFAR-100, through torchvision."""

from cnnlab.core.limits import Seed, Share
from cnnlab.data.dataset import Data
from cnnlab.data.download import Facts, downloaded

FACTS = Facts(50_000, 10_000, (32, 32, 3), classes=100, megabytes=169)


def cifar100(*, root: str, validation: Share, split_seed: Seed) -> Data:
    """60,000 photographs, 3x32x32, a hundred classes (Krizhevsky 2009).

    Args:
        root: folder that keeps the images as arrays
        validation: share of the training images that validates
        split_seed: of that split
    """
    from torchvision.datasets import CIFAR100

    return downloaded(
        "cifar100", CIFAR100, FACTS, root=root, validation=validation, split_seed=split_seed
    )
