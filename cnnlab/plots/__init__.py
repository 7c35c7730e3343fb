"""The pictures of a report.

Each is a function of a table and axes that gives the axes back, and a `*_figure` of an Analysis,
which lays out its panels below a title that says what was found.
"""

from cnnlab.analysis import Analysis
from cnnlab.metrics import LABELS
from cnnlab.plots.cost import cost_figure
from cnnlab.plots.curves import curves_figure
from cnnlab.plots.effects import effects_figure
from cnnlab.plots.grid import grid_figure
from cnnlab.plots.interactions import interactions_figure
from cnnlab.plots.overfitting import overfitting_figure
from cnnlab.plots.sheet import DPI, save
from cnnlab.plots.text import counted, described

__all__ = [
    "DPI", "FIGURES", "LABELS", "cost_figure", "counted", "curves_figure", "described",
    "effects_figure", "grid_figure", "interactions_figure", "overfitting_figure", "pictures",
    "save",
]  # fmt: skip

FIGURES = {
    "grid": grid_figure,
    "effects": effects_figure,
    "interactions": interactions_figure,
    "curves": curves_figure,
    "overfitting": overfitting_figure,
    "cost": cost_figure,
}
"""Each picture by the name of its files, in the order of a report."""


def pictures(analysis: Analysis) -> dict[str, bytes]:
    """All files: each picture as PNG and as SVG, by its name."""
    return {
        f"{name}.{kind}": content
        for name, make in FIGURES.items()
        for kind, content in save(make(analysis)).items()
    }
