"""Datasets that torchvision downloads and checks, kept as arrays."""

import logging
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import numpy as np

from cnnlab.core.errors import Refused
from cnnlab.data.cache import Decoded, cached
from cnnlab.data.dataset import Arrays, Data, finish

log = logging.getLogger(__name__)

SECONDS_WITHOUT_AN_ANSWER = 60


def downloaded(
    option: str, dataset: type, *, root: str, validation: float, split_seed: int
) -> Data:
    """A dataset of `torchvision.datasets` with a training and a test part.

    Args:
        option: its name in conf/data/
        dataset: the class, e.g. `torchvision.datasets.CIFAR10`
        root: folder for the arrays; a copy that torchvision unpacked there before is used
        validation, split_seed: see `cnnlab.data.dataset.finish`

    Raises:
        Refused: in one line, if the download fails; nothing half-written stays
    """
    folder = Path(root).expanduser()
    decoded = cached(folder / f"{option}.npz", lambda: _decode(dataset, folder))
    return finish(f"data={option}", *decoded, validation=validation, split_seed=split_seed)


def _decode(dataset: type, folder: Path) -> Decoded:
    try:
        return _arrays(dataset, folder, download=False)
    except Exception as error:  # a RuntimeError without CIFAR's copy, anything for a damaged MNIST
        log.debug("No copy of %s to use below %s: %r", dataset.__name__, folder, error)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=folder, prefix=".download-")
    except OSError as error:
        raise Refused(
            f"{folder}: cannot download there: {error.strerror}. Choose another folder with "
            "data.root, or data=digits, which needs no download."
        ) from error
    try:
        with _patience(SECONDS_WITHOUT_AN_ANSWER):
            return _arrays(dataset, temporary, download=True)
    except (RuntimeError, OSError, EOFError, HTTPException) as error:  # URLError is an OSError
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise Refused(
            f"{dataset.__name__} could not be downloaded ({reason}). Try again, put the files "
            f"below {folder} yourself, or use data=digits, which works offline."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """While it lasts, a connection that is opened waits no longer than that for an answer.

    torchvision 0.29 would wait for ever: it opens its connections without a limit, and takes none.
    So the default of the process has to change, and only here, where nothing trains yet and no
    other thread opens a connection.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _arrays(dataset: type, folder: str | Path, *, download: bool) -> Decoded:
    train = dataset(str(folder), train=True, download=download)
    test = dataset(str(folder), train=False, download=download)
    return _pair(train), None, _pair(test), list(train.classes)


def _pair(dataset) -> Arrays:
    return np.asarray(dataset.data), np.asarray(dataset.targets)
