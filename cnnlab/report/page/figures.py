"""Pictures inside the page, with words for those who cannot see them."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from PIL import Image

from cnnlab.core.formats import capital
from cnnlab.report.page.document import data_uri
from cnnlab.statistics.analysis import Analysis

LARGE = 1_000_000
"""Bytes of all pictures together; more would make the page too large for a mail."""

SMALLEST = 0.89
"""Of its own width, a picture's smallest on a screen: letters of 8.5 pt, the smallest of all, are
10 pixels high then. It scrolls sideways where that is wider than the screen."""

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
        width: its own one, in CSS pixels of 1/96 inch; None where it has none
    """

    name: str
    source: str
    caption: str
    alt: str
    width: int | None

    @property
    def smallest(self) -> int:
        """The width, in CSS pixels, below which its letters could not be read."""
        return round(SMALLEST * (self.width or 0))


def figures(pictures: Mapping[str, bytes], analysis: Analysis) -> list[Picture]:
    """What the page shows of each picture; nothing for those without content."""
    shown = []
    drawn = {name: content for name, content in pictures.items() if content}
    for name, content in _fitting(drawn).items():
        stem = PurePath(name).stem
        caption = CAPTIONS.get(stem) or capital(stem.replace("_", " ").replace("-", " "))
        alt = f"{caption}. {analysis.sentences[0]} The tables below have the numbers."
        shown.append(Picture(name, data_uri(content), caption, alt, _width(drawn[name])))
    return shown


def _width(content: bytes) -> int | None:
    """In CSS pixels: an SVG tells points, a PNG pixels and how many an inch has."""
    if content.startswith(b"\x89PNG"):
        with Image.open(io.BytesIO(content)) as image:
            return round(image.width * 96 / image.info.get("dpi", (96, 96))[0])
    points = re.search(rb'<svg[^>]*\swidth="([\d.]+)pt"', content)
    return round(float(points[1]) * 96 / 72) if points else None


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
