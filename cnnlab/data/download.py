"""Datasets that torchvision downloads and checks, kept as arrays."""

import logging
import math
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path

import numpy as np

from cnnlab.core.errors import Refused
from cnnlab.data.cache import Decoded, cached
from cnnlab.data.dataset import Arrays, Data, Split, finish

log = logging.getLogger(__name__)

SECONDS_WITHOUT_AN_ANSWER = 60


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset without having it.

    Attributes:
        train, test: how many images
        shape: (H, W, C)
        classes: how many
        megabytes: of its download
    """

    train: int
    test: int
    shape: tuple[int, int, int]
    classes: int
    megabytes: int


class _NotHere(Exception):
    """Images that would have to be downloaded, where nothing may be."""


_may_download = ContextVar("_may_download", default=True)


@contextmanager
def no_download() -> Iterator[None]:
    """While it lasts, a dataset that is not on the disk is blank images of its shape."""
    before = _may_download.set(False)
    try:
        yield
    finally:
        _may_download.reset(before)


def downloaded(
    option: str, dataset: type, facts: Facts, *, root: str, validation: float, split_seed: int
) -> Data:
    """A dataset of `torchvision.datasets` with a training and a test part.

    Args:
        option: its name in conf/data/
        dataset: the class, e.g. `torchvision.datasets.CIFAR10`
        facts: of it
        root: folder for the arrays; a copy that torchvision unpacked there before is used
        validation, split_seed: see `cnnlab.data.dataset.finish`

    Raises:
        Refused: in one line, if the download fails; nothing half-written stays
    """
    folder = Path(root).expanduser()
    try:
        decoded = cached(folder / f"{option}.npz", lambda: _decode(dataset, folder))
    except _NotHere:
        note = (
            f"data={option}: its images are not in {folder} yet; training downloads them first, "
            f"{facts.megabytes} MB. Which runs are trained already is not known before."
        )
        stand_in = f"{option} {validation} {split_seed}"
        return replace(_blank(facts, validation), fingerprint=stand_in, notes=(note,))
    return finish(f"data={option}", *decoded, validation=validation, split_seed=split_seed)


def _blank(facts: Facts, validation: float) -> Data:
    """As many black images as there would be, all of class 0; they take no memory until used."""
    val = math.ceil(facts.train * validation)  # as scikit-learn rounds
    train, val, test = (
        Split(np.zeros((count, *facts.shape), np.uint8), np.zeros(count, np.int64))
        for count in (facts.train - val, val, facts.test)
    )
    classes = tuple(str(k) for k in range(facts.classes))
    return Data(train, val, test, classes=classes, fingerprint="", blank=True)


def _decode(dataset: type, folder: Path) -> Decoded:
    try:
        return _arrays(dataset, folder, download=False)
    except Exception as error:  # a RuntimeError without CIFAR's copy, anything for a damaged MNIST
        log.debug("No copy of %s to use below %s: %r", dataset.__name__, folder, error)
    if not _may_download.get():
        raise _NotHere
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
