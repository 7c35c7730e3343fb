"""The image files of a folder with a folder a class, in the order of torchvision's ImageFolder."""

import os
import stat
from pathlib import Path

from cnnlab.core.errors import Refused

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Of what counts as an image, as in torchvision."""

Files = dict[str, dict[Path, os.stat_result | None]]
"""By class, its files; None for a link that leads nowhere."""

_Place = tuple[int, int]
"""Device and inode: the same for all links to one file or folder."""


def listed(top: Path) -> Files:
    """The image files in and below each class folder. Links are followed, each file taken once.

    Raises:
        Refused: if a class has no image, or shares one with another, or a folder cannot be read
    """
    resolved = top.resolve()
    way = {_place(folder.stat()) for folder in (resolved, *resolved.parents)}
    classes = {
        path.name: path
        for path in _entries(top)
        if path.is_dir() and _place(path.stat()) not in way
    }
    found = {name: _below(folder, way) for name, folder in classes.items()}
    empty = [name for name, files in found.items() if not files]
    if empty or not found:
        what = f"no image in {', '.join(empty)}" if empty else "no class folder in it"
        raise Refused(
            f"{top}: {what}. The layout is {top}/<class>/<image>.png, at least one image a class; "
            f"images are {', '.join(SUFFIXES)}."
        )
    first: dict[_Place, tuple[str, Path]] = {}
    for name, files in found.items():
        for path, status in files.items():
            if status is None:
                continue
            other, twin = first.setdefault(_place(status), (name, path))
            if other != name:
                raise Refused(
                    f"{path}: it is the same file as {twin}, and one image cannot be of two "
                    "classes. Take one of the two links away."
                )
    return found


def _below(folder: Path, way: set[_Place]) -> dict[Path, os.stat_result | None]:
    """The image files in and below a folder; `way` are the folders that it lies in.

    A link back into one of them, or to what was listed already, adds nothing.
    """
    seen = {*way, _place(folder.stat())}
    found: dict[Path, os.stat_result | None] = {}
    folders = [folder]
    while folders:
        for path in _entries(folders.pop()):
            try:
                status = path.stat()
            except OSError:
                status = None
            is_folder = status is not None and stat.S_ISDIR(status.st_mode)
            if not is_folder and not path.name.lower().endswith(SUFFIXES):
                continue
            if status is not None:
                if _place(status) in seen:
                    continue
                seen.add(_place(status))
            if is_folder:
                folders.append(path)
            else:
                found[path] = status
    return {path: found[path] for path in sorted(found, key=lambda p: (str(p.parent), p.name))}


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise Refused(
            f"{folder}: cannot be read: {error.strerror}. Make it readable or take it away."
        ) from error


def _place(status: os.stat_result) -> _Place:
    return status.st_dev, status.st_ino
