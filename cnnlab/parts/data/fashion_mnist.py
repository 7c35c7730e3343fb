"""Fashion-MNIST, through torchvision."""

from cnnlab.core.limits import Seed, Share
from cnnlab.data.dataset import Data
from cnnlab.data.download import Facts, downloaded

FACTS = Facts(60_000, 10_000, (28, 28, 1), classes=10, megabytes=31)


def fashion_mnist(*, root: str, validation: Share, split_seed: Seed) -> Data:
    """70,000 pictures of clothes, 1x28x28 (Xiao et al. 2017).

    Args:
        root: folder that keeps the images as arrays
        validation: share of the training images that validates
        split_seed: of that split
    """
    from torchvision.datasets import FashionMNIST

    return downloaded(
        "fashion_mnist",
        FashionMNIST,
        FACTS,
        root=root,
        validation=validation,
        split_seed=split_seed,
    )
