"""One's own image files, a folder a class."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.core.errors import Refused
from cnnlab.core.limits import Count, ExistingFolder, Seed, Share
from cnnlab.data.cache import Decoded, cached
from cnnlab.data.dataset import Arrays, Data, finish
from cnnlab.data.image_files import Files, listed
from cnnlab.data.memory import require


def folder(
    *, path: ExistingFolder, size: Count, root: str, validation: Share, split_seed: Seed
) -> Data:
    """The layout of torchvision's ImageFolder: `path/class/image.png`.

    Where `path` has a folder `train`, it and the folders `val` and `test` beside it, if there,
    are the splits, each with its classes below.

    Args:
        path: the folder; links in it are followed, and each file is read once
        size: side in pixels that every image is resized to, three channels
        root: folder that keeps the decoded images
        validation: share of the training images that validates where there is no val folder
        split_seed: of that split
    """
    top = Path(path).expanduser()
    splits = {"train": top}
    if (top / "train").is_dir():
        splits = {name: top / name for name in SPLITS if (top / name).is_dir()}
    files = {name: listed(place) for name, place in splits.items()}
    classes = list(files["train"])
    faults = [
        f"{splits[name]}: its classes {list(found)} are not those of train, {classes}."
        for name, found in files.items()
        if list(found) != classes
    ]
    if faults:
        raise Refused(faults)
    count = sum(len(each) for found in files.values() for each in found.values())
    what = f"{top}: {count:,} images of {size} x {size} x 3"
    require(what, count * size * size * 3, "Lower data.size.")
    states = [(name, _states(top, found)) for name, found in files.items()]
    listing = repr([str(top.resolve()), size, states])
    key = hashlib.blake2b(listing.encode(), digest_size=8).hexdigest()
    decoded = cached(Path(root).expanduser() / f"folder-{key}.npz", lambda: _decode(files, size))
    names = {
        name: [str(file.relative_to(top)) for each in found.values() for file in each]
        for name, found in files.items()
    }
    return finish(str(top), *decoded, validation=validation, split_seed=split_seed, names=names)


SPLITS = ("train", "val", "test")


def _states(top: Path, classes: Files) -> list[Any]:
    """Size and times of each file: if these stay, so do the images.

    The second time is that of the inode, which `cp -p` and `rsync -t` cannot set back.
    """
    return [
        (
            str(file.relative_to(top)),
            status and (status.st_size, status.st_mtime_ns, status.st_ctime_ns),
        )
        for files in classes.values()
        for file, status in files.items()
    ]


def _decode(splits: Mapping[str, Files], size: int) -> Decoded:
    faults = []
    decoded: dict[str, Arrays] = {}
    for name, classes in splits.items():
        images, labels = [], []
        for label, files in enumerate(classes.values()):
            for file in files:
                try:
                    images.append(_image(file, size))
                except Refused as refused:
                    faults += refused.faults
            labels += [label] * len(files)
        if not faults:
            decoded[name] = (np.stack(images), np.array(labels))
    if faults:
        raise Refused(faults)
    return decoded["train"], decoded.get("val"), decoded.get("test"), list(splits["train"])


def _image(file: Path, size: int) -> np.ndarray:
    """(size, size, 3) uint8.

    Raises:
        Refused: if the file is broken or too large, or has more than 8 bits a channel
    """
    from PIL import Image

    try:
        if not file.is_file():  # to open a pipe would wait for ever
            raise FileNotFoundError(file)
        with _any_size(), Image.open(file) as image:
            mode, (width, height) = image.mode, image.size
            if width * height <= MOST_PIXELS:
                resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError) as error:
        raise Refused(f"{file}: no readable image. Repair it or take it away.") from error
    if width * height > MOST_PIXELS:
        raise Refused(
            f"{file}: too large, {width:,} x {height:,} pixels; {MOST_PIXELS:,} are allowed. Make "
            "it smaller."
        )
    if mode.startswith(("I", "F")):  # `convert` clips these at 255: 16 bits would become white
        raise Refused(f"{file}: more than 8 bits a channel. Save it with 8.")
    return np.asarray(resized)


MOST_PIXELS = 178_956_970
"""Of a file: Pillow's own limit, 0.5 GB decoded."""


@contextmanager
def _any_size() -> Iterator[None]:
    """While it lasts, Pillow opens an image of any size, whose error would not say the size."""
    from PIL import Image

    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
