"""One's own arrays in a NumPy file, named as MedMNIST names them (https://medmnist.com)."""

from pathlib import Path

from cnnlab.core.limits import ExistingFile, Seed, Share
from cnnlab.data.dataset import Data, finish
from cnnlab.data.npz_file import read


def npz(*, path: ExistingFile, validation: Share, split_seed: Seed) -> Data:
    """`train_images` (N, H, W[, C]) uint8 and `train_labels` (N[, 1]); val_ and test_ may be there.

    Args:
        path: the .npz file; may hold `classes`, the name of each label
        validation: share of the training images that validates where there is no val split
        split_seed: of that split
    """
    splits, classes = read(Path(path).expanduser())
    return finish(
        str(path),
        splits["train"],
        splits["val"],
        splits["test"],
        classes,
        validation=validation,
        split_seed=split_seed,
    )
