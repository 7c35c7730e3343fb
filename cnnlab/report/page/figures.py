"""Pictures inside the page, with words for those who cannot see them."""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from PIL import Image

from cnnlab.core.formats import capital
from cnnlab.report.page.document import data_uri
from cnnlab.statistics.analysis import Analysis

LARGE = 1_000_000
"""Bytes of all pictures together; more would make the page too large for a mail."""

WIDE = 1.8
"""Width over height from which a picture has a row of the page for itself."""

CAPTIONS = {
    "grid": "Each cell of the grid: mean over seeds, interval and every run",
    "effects": "Effect of each level, with 95% intervals and verdicts",
    "curves": "Learning curves: mean over seeds, with bands",
    "interactions": "Interactions: one line for each level; lines that are not parallel interact",
    "overfitting": "Training against validation: where they part, overfitting begins",
    "cost": "Accuracy against cost",
}
"""By the file's stem."""


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: of its file
        source: an address that holds it
        caption: below it
        alt: in its place, for those who do not see it
        wide: whether it needs a row for itself
    """

    name: str
    source: str
    caption: str
    alt: str
    wide: bool


def figures(pictures: Mapping[str, bytes], analysis: Analysis) -> list[Picture]:
    """What the page shows of each picture; nothing for those without content."""
    shown = []
    for name, content in _fitting({k: v for k, v in pictures.items() if v}).items():
        stem = PurePath(name).stem
        caption = CAPTIONS.get(stem) or capital(stem.replace("_", " ").replace("-", " "))
        alt = f"{caption}. {analysis.sentences[0]} The tables below have the numbers."
        shown.append(Picture(name, data_uri(content), caption, alt, _wide(content)))
    return shown


def _wide(content: bytes) -> bool:
    if not content.startswith(b"\x89PNG"):
        return False
    width, height = struct.unpack(">II", content[16:24])
    return width > WIDE * height


def _fitting(pictures: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The same, with fewer colours and then fewer pixels where all together are too large."""
    for shrink in (1, 2, 4):
        if sum(map(len, pictures.values())) <= LARGE:
            break
        pictures = {name: _smaller(content, shrink) for name, content in pictures.items()}
    return pictures


def _smaller(content: bytes, shrink: int) -> bytes:
    """A PNG with 256 colours and 1/shrink of its width; anything else as it is."""
    if not content.startswith(b"\x89PNG"):
        return content
    with Image.open(io.BytesIO(content)) as image:
        size = (max(image.width // shrink, 1), max(image.height // shrink, 1))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(256)
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return min(content, buffer.getvalue(), key=len)
