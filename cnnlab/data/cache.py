"""Decoded datasets, kept as .npz files so that the next start is fast."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cnnlab.core.errors import Refused
from cnnlab.core.files import whole
from cnnlab.data.dataset import Arrays
from cnnlab.data.npz_file import read

Decoded = tuple[Arrays, Arrays | None, Arrays | None, Sequence[str]]
"""Training, validation and test arrays, and the classes' names."""


def cached(path: Path, decode: Callable[[], Decoded]) -> Decoded:
    """What `decode` gives, from `path` where it was kept before.

    The file appears whole or not at all; one that cannot be read is made again.
    """
    if path.exists():
        try:
            splits, classes = read(path)
            return splits["train"], splits["val"], splits["test"], classes
        except Refused:
            pass  # a damaged cache holds nothing that decoding does not give again
    decoded = decode()
    _write(path, decoded)
    return decoded


def _write(path: Path, decoded: Decoded) -> None:
    arrays = {"classes": np.array(decoded[3])}
    for name, split in zip(("train", "val", "test"), decoded[:3], strict=True):
        if split is not None:
            arrays[f"{name}_images"], arrays[f"{name}_labels"] = split
    try:
        with whole(path) as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise Refused(
            f"{path.parent}: cannot keep the decoded images there: {error.strerror}. "
            "Choose another folder with data.root."
        ) from error
