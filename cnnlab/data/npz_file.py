"""Images in a NumPy file, named as MedMNIST names them (https://medmnist.com), never unpickled."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cnnlab.core.errors import Refused
from cnnlab.data.dataset import Arrays
from cnnlab.data.memory import require

UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What NumPy and zipfile raise for damaged files."""


def read(path: Path) -> tuple[dict[str, Arrays | None], list[str] | None]:
    """The arrays of each split, and the classes' names, without unpickling anything.

    Raises:
        Refused: if the file is no .npz, misses an array, holds objects or more than memory does
    """
    wanted = [
        f"{split}_{part}" for split in ("train", "val", "test") for part in ("images", "labels")
    ]
    arrays, faults = {}, []
    with _readable(path), zipfile.ZipFile(path) as file:
        size = sum(each.file_size for each in file.infolist() if each.filename[:-4] in wanted)
    require(f"{path}: its arrays", size, "Make a file with fewer or smaller images.")
    # Not np.load: it takes a bare .npy too, and for a text advises to unpickle it.
    with _readable(path), np.lib.npyio.NpzFile(path, allow_pickle=False) as file:
        for name in [*wanted, "classes"]:
            if name not in file.files:
                continue
            try:
                arrays[name] = _array(file[name])
            except ValueError as error:
                objects = "it holds Python objects, which are never unpickled; save numbers"
                reason = objects if "Object arrays" in str(error) else error
                faults.append(f"{path}: {name} cannot be read: {reason}.")
        found = file.files
    for split in ("train", "val", "test"):
        pair = [f"{split}_images", f"{split}_labels"]
        missing = [name for name in pair if name not in found]
        if len(missing) == 1 or (missing and split == "train"):
            faults.append(f"{path}: no {' and no '.join(missing)}; it holds {', '.join(found)}.")
    names = arrays.get("classes", np.empty(0, int))
    if names.ndim != 1 or names.dtype.kind not in "Uiu":
        faults.append(
            f"{path}: classes is {names.dtype} of shape {names.shape}; it must be texts, (L,)."
        )
    if faults:
        raise Refused(faults)
    splits = {
        split: (arrays[f"{split}_images"], arrays[f"{split}_labels"])
        if f"{split}_images" in arrays
        else None
        for split in ("train", "val", "test")
    }
    return splits, [str(name) for name in names.tolist()] if "classes" in arrays else None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise Refused(f"{path}: no readable .npz file: {error}.") from error


def _array(found: np.ndarray | bytes) -> np.ndarray:
    if isinstance(found, bytes):  # what NumPy gives for a zip's member of any other kind
        raise ValueError("it is no array")
    return found
