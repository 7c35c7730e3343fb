"""The picture of the grid: cells, dots, what is missing."""

import numpy as np
import pytest
from drawing import GRID, cells, joined, labelled, made, many, some_bad, words

from cnnlab.report import plots


def test_a_cell_has_the_mean_and_half_of_its_interval():
    figure = plots.grid_figure(made(GRID, value=lambda row: 0.70 + 0.01 * row["seed"]))
    # t(0.975, 2) s / sqrt(3) = 4.3027 * 0.01 / 1.7321
    assert {text for text, _ in cells(figure).values()} == {"0.7100\n±0.0248"}


def test_numbers_ascend_along_the_axes_of_a_heat_map():
    factors = {"norm": ["bn", "none"], "lr": [0.1, 0.02, 0.01]}
    figure = plots.grid_figure(made(factors, seeds=1, value=lambda row: row["lr"]))
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0.01", "0.02", "0.1"]
    assert [cells(figure)[0, x, 1][0] for x in range(3)] == ["0.0100", "0.0200", "0.1000"]


def test_a_cell_that_lacks_runs_is_hatched_and_says_of_how_many_its_mean_is():
    found = cells(plots.grid_figure(made(GRID, value=lambda row: 0.5, status=some_bad)))
    text, patch = found[0, 2, 1]
    assert text == "0.5000\n1 of 3; 2 diverged"
    assert patch.get_hatch()
    text, patch = found[0, 0, 0]
    assert text == "3 failed"
    assert patch.get_hatch()
    assert len(set(patch.get_facecolor()[:3])) == 1  # grey, which no mean is
    text, patch = found[0, 2, 0]
    assert text == "0.5000\n±0.0000"
    assert patch.get_hatch() is None


def test_panels_of_a_third_factor_have_one_scale_of_colours():
    analysis = made({**GRID, "act": ["a", "b"]}, value=lambda row: row["lr"])
    figure = plots.grid_figure(analysis)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["norm=bn", "norm=none"]
    colours = [cells(figure)[panel, 2, 0][1].get_facecolor() for panel in (0, 1)]
    assert colours[0] == colours[1]
    assert colours[0] != cells(figure)[0, 0, 0][1].get_facecolor()


def test_one_factor_is_a_row_a_level_with_a_dot_a_run_and_the_interval():
    analysis = made(
        {"lr": [0.1, 0.2, 0.3]}, value=lambda row: row["lr"] + 0.01 * row["seed"],
        status=lambda row: "done" if row["lr"] < 0.3 else "failed",
        **{"published.best_val_accuracy": lambda t: np.where(t["lr"] == 0.1, 0.123, np.nan)},
    )  # fmt: skip
    figure = plots.grid_figure(analysis)
    axes = figure.axes[0]
    (runs,), (means,), (intervals,) = (labelled(axes, key) for key in ("run", "mean", "interval"))
    assert np.array(runs.get_offsets()[:3]) == pytest.approx(
        np.array([[0.1, 0], [0.11, 0], [0.12, 0]])
    )
    assert means.get_xdata()[:2] == pytest.approx([0.11, 0.21])
    half = 4.30265 * 0.01 / np.sqrt(3)
    low, high = intervals.get_segments()[1]
    assert (low[0], high[0]) == pytest.approx((0.21 - half, 0.21 + half))
    assert labelled(axes, "published")[0].get_offsets().tolist() == [[0.123, 0]]
    assert [patch.get_y() + 0.35 for patch in axes.patches] == pytest.approx([2])
    assert "0 of 3 seeds; 3 failed" in words(figure)


def test_a_published_number_stands_in_its_cell():
    given = {"published.best_val_accuracy": lambda t: np.where(t["variant"] == 1, 0.6614, np.nan)}
    found = cells(plots.grid_figure(made(GRID, seeds=1, **given)))
    assert [key for key, (text, _) in found.items() if "published 0.6614" in text] == [(0, 1, 0)]


def test_an_interval_of_two_seeds_runs_off_with_an_arrow_and_flattens_nothing():
    wide = made({"norm": list("abc")}, seeds=2, value=lambda row: 0.5 + 0.1 * row["seed"])
    axes = plots.grid_figure(wide).axes[0]
    low, high = axes.get_xlim()
    assert (low, high) == pytest.approx((0.38, 0.72))
    assert [line.get_ydata().tolist() for line in labelled(axes, "cut")] == [[0, 1, 2]] * 2


def test_of_very_many_variants_the_best_are_shown_and_that_is_said():
    figure = plots.grid_figure(many())
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(names) == 40
    means = labelled(figure.axes[0], "mean")[0].get_xdata()
    assert list(means) == sorted(many().summary["mean"].dropna(), reverse=True)[:40]
    assert "The best 40 of 1,000 variants" in joined(figure)


def test_the_best_of_losses_is_the_lowest():
    analysis = made(GRID, metric="final_train_loss", value=lambda row: row["lr"])
    told = "Lowest mean with norm=bn, lr=0.01: last training loss (nats) 0.0100"
    assert told in joined(plots.grid_figure(analysis))


def test_whole_numbers_stay_whole_beside_other_numbers():
    text = words(plots.grid_figure(made({"epochs": [1, 2], "lr": [0.5, 1.5], "k": [3, 4]})))
    assert "epochs=1" in text
    assert "1.0" not in text
