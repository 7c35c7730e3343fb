"""The pictures of a report.

Each is a function of a table and axes that gives the axes back, and a `*_figure` of an Analysis,
which lays out its panels below a title that says what was found.
"""

import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from joblib import cpu_count  # knows of affinity and of containers' limits

from cnnlab.report.plots.cost import cost_figure
from cnnlab.report.plots.curves import curves_figure
from cnnlab.report.plots.effects import effects_figure
from cnnlab.report.plots.grid import grid_figure
from cnnlab.report.plots.interactions import interactions_figure
from cnnlab.report.plots.overfitting import overfitting_figure
from cnnlab.report.plots.sheet import DPI, save
from cnnlab.report.plots.text import counted, described
from cnnlab.statistics.analysis import Analysis

__all__ = [
    "DPI", "FIGURES", "cost_figure", "counted", "curves_figure", "described",
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


MOST = 3
"""Processes that draw; the longest picture takes a third of the time of all."""


def pictures(analysis: Analysis) -> dict[str, bytes]:
    """All files: each picture as PNG and as SVG, by its name."""
    draw = partial(_drawn, analysis)
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside other threads, which hold no lock that is needed here.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        # Forked, the processes have the imports already.
        with ProcessPoolExecutor(min(MOST, cpu_count()), get_context("fork")) as pool:
            order = sorted(FIGURES, key=lambda name: name not in SLOW)  # the long ones first
            files = dict(zip(order, pool.map(draw, order), strict=True))
    return {f"{name}.{kind}": files[name][kind] for name in FIGURES for kind in files[name]}


SLOW = ("overfitting", "curves", "effects")


def _drawn(analysis: Analysis, name: str) -> dict[str, bytes]:
    return save(FIGURES[name](analysis))
