"""One's own image files, a folder a class."""

import hashlib
from pathlib import Path

import numpy as np

from cnnlab.core.errors import Refused
from cnnlab.core.limits import Count, ExistingFolder, Seed, Share
from cnnlab.data.cache import Decoded, cached
from cnnlab.data.dataset import Arrays, Data, finish


def folder(
    *, path: ExistingFolder, size: Count, root: str, validation: Share, split_seed: Seed
) -> Data:
    """The layout of torchvision's ImageFolder: `path/class/image.png`.

    Where `path` has a folder `train`, it and the folders `val` and `test` beside it, if there,
    are the splits, each with its classes below.

    Args:
        path: the folder
        size: side in pixels that every image is resized to, three channels
        root: folder that keeps the decoded images
        validation: share of the training images that validates where there is no val folder
        split_seed: of that split
    """
    top = Path(path).expanduser()
    names = ("train", "val", "test") if (top / "train").is_dir() else ("",)
    folders = [top / name for name in names if (top / name).is_dir()]
    files = {place: _files(place) for place in folders}
    listing = repr([str(top.resolve()), size, [sorted(found.items()) for found in files.values()]])
    key = hashlib.blake2b(listing.encode(), digest_size=8).hexdigest()
    decoded = cached(Path(root).expanduser() / f"folder-{key}.npz", lambda: _decode(folders, size))
    return finish(str(top), *decoded, validation=validation, split_seed=split_seed)


def _files(place: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file: if these stay, so do the images."""
    stats = {
        str(file.relative_to(place)): file.stat() for file in place.rglob("*") if file.is_file()
    }
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _decode(folders: list[Path], size: int) -> Decoded:
    from torchvision.datasets import ImageFolder

    splits: dict[str, Arrays] = {}
    classes: list[str] = []
    faults = []
    for place in folders:
        try:
            listed = ImageFolder(str(place))
        except FileNotFoundError as error:
            what = str(error).partition(". ")[0]
            raise Refused(
                f"{place}: {what}. The layout is {place}/<class>/<image>.png, at least one image "
                "a class."
            ) from error
        if classes and listed.classes != classes:
            faults.append(
                f"{place}: its classes {listed.classes} are not those of train, {classes}."
            )
        classes = classes or listed.classes
        images = []
        for file, _ in listed.samples:
            try:
                images.append(_image(file, size))
            except Refused as refused:
                faults += refused.faults
        if not faults:
            name = place.name if len(folders) > 1 or place.name == "train" else "train"
            splits[name] = (np.stack(images), np.array(listed.targets))
    if faults:
        raise Refused(faults)
    return splits["train"], splits.get("val"), splits.get("test"), classes


def _image(file: str, size: int) -> np.ndarray:
    """(size, size, 3) uint8.

    Raises:
        Refused: if the file is broken, or has more than 8 bits a channel
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            mode = image.mode
            resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Refused(f"{file}: no readable image. Repair it or take it away.") from error
    if mode.startswith(("I", "F")):  # `convert` clips these at 255: 16 bits would become white
        raise Refused(f"{file}: more than 8 bits a channel. Save it with 8.")
    return np.asarray(resized)
