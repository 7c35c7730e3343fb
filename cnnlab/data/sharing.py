"""One copy of the images for all worker processes, in memory that no file name leads to.

The operating system frees it with the last process that has it open, also after a kill.
"""

import mmap
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from cnnlab.data.dataset import Data, Split

_ALIGNED = 64
"""Bytes; arrays begin at multiples of it, as vector instructions like."""


@dataclass(frozen=True)
class _Place:
    """Where an array lies in the memory."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


class Shared:
    """Datasets in shared memory. May be handed to a process that is being started.

    Args:
        handle: of the memory, as an open file
        datasets: by key: each split's places, and what else a `Data` has
    """

    def __init__(self, handle: int, datasets: Mapping[str, Any]):
        self._handle, self._datasets = handle, datasets

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._handle), self._datasets)

    def open(self) -> dict[str, Data]:
        """The datasets, by key; their arrays take no memory of their own until they are changed."""
        # Private: PyTorch wants arrays that may be written, and no worker may change another's.
        size = max(os.fstat(self._handle).st_size, 1)
        memory = mmap.mmap(
            self._handle, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
        )

        def array(place: _Place) -> np.ndarray:
            count = int(np.prod(place.shape))
            flat = np.frombuffer(memory, place.dtype, count, place.offset)
            return flat.reshape(place.shape)

        return {
            key: Data(
                *(each and Split(*(place and array(place) for place in each)) for each in splits),
                **rest,
            )
            for key, (splits, rest) in self._datasets.items()
        }

    def close(self) -> None:
        """Gives the memory back; what was opened of it stays."""
        os.close(self._handle)


def share(datasets: Mapping[str, Data]) -> Shared:
    """Puts datasets into shared memory.

    Args:
        datasets: by any key
    """
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("cnnlab-data")
    else:
        with tempfile.TemporaryFile() as file:  # has no name either
            handle = os.dup(file.fileno())
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(b"\0")  # of an empty file no memory can be mapped

        put_before: dict[int, _Place] = {}  # cuts of a dataset share its images

        def put(array: np.ndarray | None) -> _Place | None:
            if array is None or id(array) in put_before:
                return put_before.get(id(array))
            file.write(b"\0" * (-file.tell() % _ALIGNED))
            place = _Place(file.tell(), array.shape, array.dtype.str)
            file.write(np.ascontiguousarray(array).data)
            return put_before.setdefault(id(array), place)

        placed = {
            key: (
                [
                    each and (put(each.pool), put(each.labels), put(each.rows))
                    for each in (d.train, d.val, d.test)
                ],
                {"classes": d.classes, "fingerprint": d.fingerprint, "notes": d.notes},
            )
            for key, d in datasets.items()
        }
    return Shared(handle, placed)


def _received(duplicate: Any, datasets: Mapping[str, Any]) -> Shared:
    return Shared(duplicate.detach(), datasets)
