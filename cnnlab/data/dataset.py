"""What a dataset becomes: checked arrays, split for training, validation and test.

N images, H W C image.
"""

import hashlib
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.core.errors import Refused

PART = 1000
"""Images that are looked at in one go, where a copy of all would take memory."""


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        pool: (P, H, W, C) uint8, images of which this split has some; other cuts of a dataset have
            the same array
        labels: (N,) int64, of this split's images, counted from 0
        rows: (N,) where they are in the pool; None: they are all of it, in its order
    """

    pool: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Some of the images."""
        return self.pool[part] if self.rows is None else self.pool[self.rows[part]]

    @property
    def images(self) -> np.ndarray:
        """(N, H, W, C); a copy where the pool has others too."""
        return self[:]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        return len(self), *self.pool.shape[1:]

    def parts(self) -> Iterator[np.ndarray]:
        """All images, PART of them at a time."""
        return (self[start : start + PART] for start in range(0, len(self), PART))


@dataclass(frozen=True)
class Data:
    """A dataset, ready for training.

    Attributes:
        train, val: never empty, no image in common
        test: None where the dataset has none; touched only by `evaluate_test=true`
        classes: the name of each label
        fingerprint: a hash of all images and labels, in their splits and their order
        notes: what its user should know of it, a line each
        blank: whether the images are black ones in the place of those that are not here yet; then
            the fingerprint only tells it from others
    """

    train: Split
    val: Split
    test: Split | None
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()
    blank: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        _, height, width, channels = self.train.shape
        return channels, height, width


Arrays = tuple[np.ndarray, np.ndarray]
"""Images and labels as a dataset found them."""


def finish(
    what: str,
    train: Arrays,
    val: Arrays | None,
    test: Arrays | None,
    classes: Sequence[str] | None,
    *,
    validation: float,
    split_seed: int,
    names: Mapping[str, Sequence[str]] | None = None,
) -> Data:
    """Checks a dataset's arrays and cuts the validation split where there is none.

    Args:
        what: the dataset as its user knows it (a name, a path), for messages
        train, val, test: images (N, H, W, C) or (N, H, W) uint8, labels (N,) or (N, 1) integer
        classes: the name of each label; None: their numbers
        validation: share of the training images that is cut off, stratified, where `val` is None
        split_seed: of that cut
        names: by split, what each image is called; None: its number

    Raises:
        Refused: with every fault of the arrays
    """
    given = {"train": train, "val": val, "test": test}
    faults, splits = [], {}
    for name, arrays in given.items():
        if arrays is None:
            continue
        found = _faults_of(f"{what}: {name}", *arrays)
        faults += found
        if not found:
            splits[name] = _split_of(*arrays)
    if not faults:
        faults += _faults_between(what, splits, classes)
    if faults:
        raise Refused(faults)
    whole = dict(splits)
    if "val" not in splits:
        splits["train"], splits["val"] = cut(splits["train"], validation, split_seed, what)
    count = 1 + max(int(split.labels.max()) for split in splits.values())
    labels = tuple(classes) if classes is not None else tuple(str(k) for k in range(count))
    parts = (splits["train"], splits["val"], splits.get("test"))
    notes = _in_both(what, splits["train"], splits["val"], whole, names)
    return Data(*parts, classes=labels, fingerprint=_fingerprint(parts), notes=notes)


def cut(split: Split, share: float, seed: int, what: str) -> tuple[Split, Split]:
    """A split in two, `share` of each class in the second, both in their old order.

    Raises:
        Refused: if a class has too few images to be in both
    """
    from sklearn.model_selection import train_test_split  # 1 s to import

    try:
        rest, taken = train_test_split(
            np.arange(len(split)), test_size=share, stratify=split.labels, random_state=seed
        )
    except ValueError as error:
        raise Refused(f"{what}: cannot cut a stratified share of {share}: {error}") from error
    rows = np.arange(len(split)) if split.rows is None else split.rows
    return tuple(
        Split(split.pool, split.labels[chosen], rows[chosen])
        for chosen in (np.sort(rest), np.sort(taken))
    )


def _faults_of(where: str, images: np.ndarray, labels: np.ndarray) -> list[str]:
    """Whatever makes one split unusable by itself."""
    faults = []
    if images.dtype != np.uint8:
        faults.append(
            f"{where} images are {images.dtype}; they must be uint8, 0 to 255. "
            "Convert them, e.g. (images * 255).round().astype('uint8')."
        )
    wrong_channels = images.ndim == 4 and images.shape[3] not in (1, 3)
    if images.ndim not in (3, 4) or wrong_channels or 0 in images.shape[1:]:
        faults.append(
            f"{where} images have shape {images.shape}; it must be (N, H, W), (N, H, W, 1) or "
            "(N, H, W, 3)."
        )
    if labels.dtype.kind not in "iu":
        faults.append(f"{where} labels are {labels.dtype}; they must be integers from 0.")
    elif labels.size and labels.min() < 0:
        faults.append(f"{where} labels reach {labels.min()}; they must be integers from 0.")
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        faults.append(f"{where} labels have shape {labels.shape}; one an image is needed: (N,).")
    if not images.ndim or not labels.ndim:
        return faults  # nothing to count
    if len(images) != len(labels):
        faults.append(f"{where} has {len(images)} images but {len(labels)} labels.")
    elif not len(images):
        faults.append(f"{where} has no images.")
    return faults


def _faults_between(
    what: str, splits: dict[str, Split], classes: Sequence[str] | None
) -> list[str]:
    """Whatever makes splits unusable together."""
    faults = []
    shapes = {name: split.shape[1:] for name, split in splits.items()}
    if len(set(shapes.values())) > 1:
        faults.append(f"{what}: the splits' images differ in (H, W, C): {shapes}.")
    present = np.unique(splits["train"].labels)
    if len(present) < 2:
        faults.append(
            f"{what}: all training labels are {present[0]}; at least two classes are needed."
        )
    if present[-1] >= len(splits["train"]):
        faults.append(
            f"{what}: train labels reach {present[-1]}, with {len(splits['train'])} images; labels "
            "count the classes from 0."
        )
    for name, split in splits.items():
        highest = int(split.labels.max())
        if classes is not None and highest >= len(classes):
            faults.append(f"{what}: {name} labels reach {highest}, with {len(classes)} classes.")
        strange = np.setdiff1d(split.labels, present)
        if len(strange):
            faults.append(f"{what}: {name} has classes without training images: {strange[:5]}.")
    return faults


def _in_both(
    what: str,
    train: Split,
    val: Split,
    whole: Mapping[str, Split],
    names: Mapping[str, Sequence[str]] | None,
) -> tuple[str, ...]:
    """A line about validation images that are training images too, if there are any.

    Args:
        whole: the splits before the cut, in which an example is named
    """
    validating = {image.tobytes() for image in val.images}  # 0.06 s for CIFAR-10
    both = {key for image in train.images if (key := image.tobytes()) in validating}
    if not both:
        return ()
    twins = [key for image in val.images if (key := image.tobytes()) in both]
    called = [
        names[name][k] if names else f"{name} image {k}"
        for name in ("train", "val")
        if name in whole
        for k, image in enumerate(whole[name].images)
        if image.tobytes() == twins[0]
    ]
    return (
        f"{what}: {len(twins):,} of {len(val):,} validation images are training images too, pixel "
        f"for pixel, e.g. {called[0]} and {called[-1]}: validation accuracy takes them for new.",
    )


def _split_of(images: np.ndarray, labels: np.ndarray) -> Split:
    if images.ndim == 3:
        images = images[..., None]  # (N, H, W) -> (N, H, W, 1)
    return Split(_pooled(np.ascontiguousarray(images)), labels.reshape(-1).astype(np.int64))


_pools: list[weakref.ref[np.ndarray]] = []
"""The arrays that datasets of this process are cut from."""


def _pooled(images: np.ndarray) -> np.ndarray:
    """An array that equals this one and is here already, else this one: ten cuts of a file are ten
    lists of numbers, and one array."""
    _pools[:] = [each for each in _pools if each() is not None]
    for pool in (each() for each in _pools):
        if (
            pool is not None
            and pool.shape == images.shape
            and all(
                np.array_equal(pool[start : start + PART], images[start : start + PART])
                for start in range(0, len(pool), PART)
            )
        ):
            return pool
    _pools.append(weakref.ref(images))
    return images


def _fingerprint(parts: Sequence[Split | None]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if part is None:
            digest.update(b"none")
            continue
        digest.update(repr(part.shape).encode())
        for images in part.parts():
            digest.update(images.data)
        digest.update(part.labels.data)
    return digest.hexdigest()
