"""Words in a picture: a user's text cannot break it, nor run out of its place.

Text that reaches matplotlib goes through `fitted`, which cuts, wraps and escapes. All else here is
plain text.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font

from cnnlab.core.formats import count
from cnnlab.records.reading.sweeps import STATES, Sweep
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.summary import LACKING, planned

WIDOW = 0.15
"""Share of a line that the last one should have."""


# --- what it says


def described(row: Mapping[str, Any], factors: Sequence[str]) -> str:
    """A variant in words: `norm=bn, lr=0.01`."""
    return ", ".join(f"{name}={level_text(row[name])}" for name in factors) or "default"


def row_of(summary: pd.DataFrame, variant: int) -> dict[str, Any]:
    """A variant's row, in which whole numbers stay whole."""
    return summary.loc[[variant]].to_dict("records")[0]


def counted(summary: pd.DataFrame) -> str:
    """How many seeds a variant has: `n = 3 seeds a variant`, or the range where it differs."""
    low, high = summary["n"].min(), summary["n"].max()
    if high == 0:
        return "n = 0"
    if high == 1:
        return "n = 1 seed a variant, too few for a verdict"
    return f"n = {low if low == high else f'{low} to {high}'} seeds a variant"


def missing(row: Mapping[str, Any]) -> str:
    """What a variant lacks: `2 diverged, 1 failed, 1 unreadable`; empty where nothing is."""
    return ", ".join(f"{row[state]:.0f} {state}" for state in LACKING if row[state])


def seeds(row: Mapping[str, Any]) -> str:
    """How many runs a variant's mean is of: `3 seeds`, `1 of 3 seeds; 2 diverged`."""
    if not missing(row):
        return count(row["n"], "seed")
    return f"{row['n']} of {count(planned(row), 'seed')}; {missing(row)}"


def basis(sweep: Sweep, summary: pd.DataFrame) -> str:
    """What a picture rests on: the sweep, its seeds, and the runs that have no number."""
    counts = sweep.counts or sweep.runs["status"].value_counts().to_dict()
    lost = [f"{counts[key]:,} {key}" for key in STATES[1:] if counts.get(key)]
    of = f"; of {sum(counts.values()):,} runs {', '.join(lost)}" if lost else ""
    return f"Sweep {sweep.name}: {counted(summary)}{of}"


# --- how it fits


def fitted(text: str, inches: float, size: float, lines: int = 1) -> str:
    """Wraps a text, cuts its middle out where it is too long, and escapes it for matplotlib.

    Args:
        text: from anywhere
        inches: of its place
        size: of the letters, in points
        lines: at most
    """
    width = max(inches * 72 / size, 2.0)
    text = _printable(text)
    rows = _wrapped(text, width)
    if len(rows) > 1 and measured(rows[-1]) < WIDOW * width:
        narrower = _wrapped(text, 0.88 * width)
        rows = narrower if len(narrower) == len(rows) else rows
    if len(rows) > lines:
        rows = [*rows[: lines - 1], _cut(" ".join(rows[lines - 1 :]), width)]
    # An even number of $ would start a formula; a \$ is a plain one.
    return "\n".join(rows).replace("$", r"\$")


def measured(text: str) -> float:
    """The width of a line, in heights of its letters (em)."""
    return sum(map(_advance, text))


def _printable(text: str) -> str:
    """Without line breaks, characters that XML cannot hold, and those that are not seen."""
    kinds = ((unicodedata.category(c), c) for c in str(text))
    # Cf would turn the direction of what follows.
    kept = (" " if kind in ("Cc", "Cs", "Zl", "Zp") else c for kind, c in kinds if kind != "Cf")
    return "".join(kept).strip()


@cache
def _advance(character: str) -> float:
    font = get_font(findfont(FontProperties(family=matplotlib.rcParams["font.family"])))
    font.set_size(10, 72)
    # Of a character that the font lacks too: it has a box for those.
    return font.load_glyph(font.get_char_index(ord(character))).linearHoriAdvance / 65536 / 10


def _wrapped(text: str, width: float) -> list[str]:
    rows = [""]
    for word in text.split(" "):
        longer = f"{rows[-1]} {word}" if rows[-1] else word
        if measured(longer) <= width:
            rows[-1] = longer
            continue
        for piece in _pieces(word, width):
            rows.append(piece)
    return [row for row in rows if row]


def _pieces(word: str, width: float) -> list[str]:
    """A word, broken wherever it must be."""
    pieces, used = [""], 0.0
    for character in word:
        used += _advance(character)
        if used > width and pieces[-1]:
            pieces.append("")
            used = _advance(character)
        pieces[-1] += character
    return pieces


def _cut(text: str, width: float) -> str:
    """Both ends of a line: values often differ in the last letters."""
    if measured(text) <= width:
        return text
    room = (width - measured("…")) / 2
    head = _pieces(text[:2000], room)[0]
    tail = _pieces(text[:-2000:-1], room)[0][::-1]
    return f"{head.rstrip()}…{tail.lstrip()}"
