"""The paper that pictures are on: panels, a title with what was found, a note, a legend, files."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cnnlab.report.plots.text import fitted, measured

STYLE = {
    **sns.axes_style("whitegrid"), **sns.plotting_context("notebook", font_scale=0.85),
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"], "hatch.linewidth": 0.6,
    "grid.color": "0.9", "grid.linewidth": 0.8, "axes.edgecolor": "0.7", "axes.linewidth": 0.8,
}  # fmt: skip

styled = matplotlib.rc_context(STYLE)
"""Before a function that draws a figure: matplotlib's settings of anybody else stay as they are."""

DPI = 200
COLOURS = [matplotlib.colors.to_hex(each) for each in sns.color_palette("colorblind")]
BLUE, ORANGE, GREEN, VERMILLION = COLOURS[:4]
DARK, GREY, LIGHT, FAINT = "0.15", "0.4", "0.87", "0.92"

TITLE, NOTE, SMALL = 12.0, 9.0, 8.5
"""Sizes of letters in points; at half size, 100 dpi, the smallest are 12 pixels high."""

NARROWEST = 7.0
"""Inches: a title needs room."""

LINE = 1.35
"""Height of a line over that of its letters."""

EDGE = 0.12
"""Inches around everything."""

LABEL = 4.0
"""Inches that a legend's label has at most."""


def panels(
    count: int,
    *,
    width: float,
    height: float,
    columns: int = 0,
    share: tuple[bool, bool] = (False, False),
) -> tuple[Figure, list[Axes]]:
    """A figure of some panels, each of a size in inches.

    Args:
        count: of panels
        width, height: of one
        columns: in a row; 0: as they fill rows best, at most four
        share: whether all have one x axis, and one y axis; then only the outer ones are labelled
    """
    best = count if count < 4 else 3 if count % 3 == 0 else 4 if count % 4 in (0, 3) else 3
    columns = min(columns or best, count)
    rows = -(-count // columns)
    size = (max(width * columns, NARROWEST), height * rows)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)  # no window, no pyplot: nothing stays open
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share[0], sharey=share[1])
    for axes in grid.flat[count:]:
        axes.remove()
    for place, axes in enumerate(grid.flat[:count]):
        axes.tick_params(labelbottom=not share[0] or place + columns >= count)
        axes.tick_params(labelleft=not share[1] or place % columns == 0)
    return figure, list(grid.flat[:count])


def outer(grid: Sequence[Axes], x: str, y: str) -> None:
    """Labels the axes of panels that share them, at the edges only."""
    columns = grid[0].get_gridspec().ncols
    for place, axes in enumerate(grid):
        axes.set_xlabel(x if place + columns >= len(grid) else "")
        axes.set_ylabel("" if place % columns else y)


def empty(sentence: str, title: str, note: str) -> Figure:
    """A picture of nothing, which says why."""
    figure, (axes,) = panels(1, width=NARROWEST, height=1.2)
    axes.set_axis_off()
    text = fitted(sentence, NARROWEST - 1, 10, lines=3)
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)
    return finished(figure, title, note)


def finished(
    figure: Figure,
    title: str,
    note: str,
    legend: Sequence[tuple[Artist, str]] = (),
    sides: tuple[float, float] = (0, 0),
    foot: str = "",
) -> Figure:
    """Puts what was found, what it rests on and the legend above the panels, which keep their size.

    Args:
        figure: with its panels
        title: what was found
        note: what it rests on
        legend: what each sign means
        sides: inches left and right of the panels for texts that are not `in_layout`
        foot: what has no panel or row, which a grey row below them says
    """
    width, height = figure.get_size_inches()
    room = width - 2 * EDGE
    texts = [(fitted(title, room, TITLE, 9), TITLE, "0"), (fitted(note, room, NOTE, 6), NOTE, GREY)]
    columns, rows = _legend_shape([label for _, label in legend], room)
    down = EDGE + sum(_height(text, size) for text, size, _ in texts)
    foot = fitted(foot, room - 2 * EDGE, NOTE, 2)
    below = _height(foot, NOTE) + EDGE if foot else 0
    total = height + below + down + rows * 0.21 + 0.04
    figure.set_size_inches(width, total)
    left, right = (side / width for side in sides)
    place = (left, below / total, 1 - left - right, height / total)
    figure.get_layout_engine().set(rect=place, w_pad=0.06, h_pad=0.06)
    _head(figure, texts)
    if foot:
        _foot(figure, foot, below)
    if legend:
        # It is filled column by column, and read row by row.
        order = [k for column in range(columns) for k in range(column, len(legend), columns)]
        figure.legend(
            [legend[k][0] for k in order], [_label(legend[k][1]) for k in order],
            loc="upper left", bbox_to_anchor=(EDGE / width, 1 - down / total), ncols=columns,
            frameon=False, fontsize=NOTE, borderaxespad=0, borderpad=0.1, columnspacing=1.5,
        )  # fmt: skip
    figure.set_label(title)
    return figure


def _head(figure: Figure, texts: Sequence[tuple[str, float, str]]) -> None:
    """Texts below one another: each with its size and colour."""
    (width, total), down = figure.get_size_inches(), EDGE
    for text, size, colour in texts:
        place = (EDGE / width, 1 - down / total)
        figure.text(*place, text, size=size, color=colour, va="top", linespacing=1.15)
        down += _height(text, size)


def _foot(figure: Figure, text: str, inches: float) -> None:
    """A grey row at the lower edge, as high as that."""
    width, total = figure.get_size_inches()
    size = 1 - 2 * EDGE / width, (inches - EDGE) / total
    at = EDGE / width, EDGE / 2 / total
    figure.add_artist(Rectangle(at, *size, transform=figure.transFigure, color=FAINT, lw=0))
    place = 2 * EDGE / width, at[1] + size[1] / 2
    figure.text(*place, text, size=NOTE, color=GREY, va="center", linespacing=1.15)


def _height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * size * LINE / 72 + 0.05


def _legend_shape(labels: Sequence[str], room: float) -> tuple[int, int]:
    """Columns, as many as have room, and rows."""
    widths = [measured(_label(label)) * NOTE / 72 + 0.58 for label in labels]
    for columns in range(len(labels), 0, -1):
        if columns == 1 or sum(max(widths[k::columns]) for k in range(columns)) <= room:
            return columns, -(-len(labels) // columns)
    return 0, 0


def _label(text: str) -> str:
    text = fitted(text, LABEL, NOTE)
    return f" {text}" if text.startswith("_") else text  # matplotlib leaves out those with _


def save(figure: Figure) -> dict[str, bytes]:
    """The picture's files by their ending, the same bytes for the same picture.

    Letters stay letters in the SVG: they can be searched and read aloud, and it is smaller.
    """
    settings = {**STYLE, "svg.hashsalt": "cnnlab", "svg.fonttype": "none"}
    with warnings.catch_warnings(), matplotlib.rc_context(settings):
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # then there is a box
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # what was laid out need not be again for the second file
        quick = {"compress_level": 3}  # of 9: half the time, a tenth larger
        return {
            "png": _bytes(figure, "png", metadata={}, pil_kwargs=quick),
            "svg": _bytes(figure, "svg", metadata=_metadata(figure)),
        }


def _metadata(figure: Figure) -> dict[str, str | None]:
    return {"Date": None, "Title": fitted(figure.get_label(), 100, 1).replace(r"\$", "$")}


def _bytes(figure: Figure, kind: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, **settings)
    return buffer.getvalue()
