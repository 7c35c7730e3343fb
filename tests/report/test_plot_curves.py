"""Learning curves, overfitting and cost as pictures."""

import numpy as np
import pytest
from drawing import GRID, joined, labelled, made, many, noisy, overfit

from cnnlab.report import plots

# --- learning curves


def test_a_curve_is_the_mean_with_a_band_over_all_seeds():
    analysis = made({}, value=lambda row: 0.6 + 0.1 * row["seed"])
    figure = plots.curves_figure(analysis)
    axes = figure.axes[0]
    assert labelled(axes, "val")[0].get_ydata()[-1] == pytest.approx(0.7)
    assert labelled(axes, "train")[0].get_ydata()[-1] == pytest.approx(0.8)
    assert labelled(axes, "train")[0].get_linestyle() == "--"
    band = axes.collections[0].get_paths()[0].vertices
    assert {round(y, 6) for x, y in band if x == 4} == {0.6, 0.8}
    assert "band: lowest to highest seed" in joined(figure)


def test_one_seed_has_no_band_and_one_epoch_a_dot():
    axes = plots.curves_figure(made({}, seeds=1, epochs=1)).axes[0]
    assert not axes.collections
    assert labelled(axes, "val")[0].get_marker() == "o"


def test_runs_that_diverged_are_in_no_mean_and_end_in_a_cross():
    analysis = made({}, value=lambda row: 0.6, status=lambda r: ["diverged", "done"][r["seed"] > 0])
    figure = plots.curves_figure(analysis)
    axes = figure.axes[0]
    assert labelled(axes, "val")[0].get_ydata().tolist() == pytest.approx([0.3, 0.4, 0.5, 0.6])
    cross = labelled(axes, "diverged")[0]
    assert (cross.get_marker(), cross.get_xdata().tolist()) == ("X", [2])
    assert "1 diverged" in axes.get_title()


def test_a_mean_goes_as_far_as_all_of_its_runs():
    def stopped(row):
        return {"val_accuracy": np.where(np.arange(4) < 2 + row["seed"], 0.5, np.nan)}

    axes = plots.curves_figure(made({}, seeds=2, curve=stopped)).axes[0]
    assert labelled(axes, "val")[0].get_xdata().tolist() == [1, 2]
    assert max(line.get_xdata()[np.isfinite(line.get_ydata())].max() for line in axes.lines
               if line.get_linewidth() < 1 and line.get_linestyle() == "-") == 3  # fmt: skip


def test_the_factor_with_few_levels_has_the_colours_and_the_other_the_panels():
    figure = plots.curves_figure(made(GRID, value=noisy))
    assert [axes.get_title() for axes in figure.axes] == ["norm=bn", "norm=none"]
    colours = [line.get_color() for line in labelled(figure.axes[0], "val")]
    assert len(set(colours)) == 3
    assert colours == [line.get_color() for line in labelled(figure.axes[1], "val")]
    assert "highest with norm=bn, lr=0.1: 0.7" in joined(figure)


def test_curves_of_a_loss_where_the_metric_is_one():
    axes = plots.curves_figure(made({}, metric="final_train_loss")).axes[0]
    assert labelled(axes, "val")[0].get_ydata()[-1] == pytest.approx(1.5)
    assert axes.get_ylabel() == "loss (nats)"


def test_curves_of_very_many_variants_share_a_panel_in_which_the_best_is_named():
    figure = plots.curves_figure(many())
    assert len(figure.axes) == 1
    assert len(figure.axes[0].collections[0].get_segments()) == (many().summary["n"] > 0).sum()
    best = many().summary.loc[many().summary["mean"].idxmax()]
    told = f"lr={best['lr']}, act={best['act']}, norm={best['norm']}"
    assert f"best: {told}" in joined(figure)


def test_of_very_many_variants_that_all_diverged_there_is_a_picture_all_the_same():
    levels = {"lr": [k / 1000 for k in range(1, 21)], "norm": ["bn", "none"]}
    figure = plots.curves_figure(made(levels, seeds=1, status=lambda row: "diverged"))
    assert "without a finished run: 40" in joined(figure)


# --- overfitting


def test_the_lowest_validation_loss_is_marked_and_what_follows_is_shaded():
    figure = plots.overfitting_figure(made({"norm": ["bn", "none"]}, curve=overfit))
    calm, bad = figure.axes
    (mark,) = labelled(bad, "lowest")
    assert (mark.get_xdata().tolist(), mark.get_ydata().tolist()) == ([2], [1.0])
    (shade,) = bad.patches
    assert (shade.get_x(), shade.get_width()) == (2, 2)
    assert not calm.patches
    assert labelled(calm, "lowest")[0].get_xdata().tolist() == [4]
    told = "1 of 2 variants overfit; most: norm=none. Its validation loss is lowest at epoch 2 of 4"
    assert told in joined(figure)
    assert "then rises by 0.3 nats" in joined(figure)
    assert "gap 10.0 points" in bad.get_title()


def test_a_loss_that_falls_to_the_end_is_no_overfitting():
    figure = plots.overfitting_figure(made(GRID))
    assert "No overfitting in any variant" in joined(figure)


def test_of_very_many_variants_those_that_overfit_most_are_shown():
    late = {"val_loss": np.array([1.2, 1.0, 1.1, 1.3])}
    analysis = made(
        {"a": list(range(40))}, seeds=1, curve=lambda row: late if row["a"] in (7, 31) else {}
    )
    figure = plots.overfitting_figure(analysis)
    assert len(figure.axes) == 12
    assert {"a=7", "a=31"} <= {axes.get_title().split("\n")[0] for axes in figure.axes}
    assert "12 of 40 variants" in joined(figure)


# --- cost


def test_seconds_are_those_of_one_run_and_equal_costs_have_no_panel():
    analysis = made(GRID, value=noisy, own_seconds=lambda t: np.where(t["norm"] == "bn", 2.0, 3.0))
    figure = plots.cost_figure(analysis)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "seconds of one run"
    seconds = {x for part in labelled(axes, "run") for x in part.get_offsets()[:, 0].tolist()}
    assert seconds == {2.0, 3.0}
    assert sum(len(part.get_offsets()) for part in labelled(axes, "run")) == 18
    told = "No panel for parameters: 100 in every run; multiply-adds (MACs) an image: 1,000"
    assert told in joined(figure)


def test_three_panels_share_the_metric():
    figure = plots.cost_figure(
        made(GRID, value=noisy, own_seconds=lambda t: t.index + 1.0,
             parameters=lambda t: 10 ** (t["variant"] + 1), macs=lambda t: t["variant"] + 1)
    )  # fmt: skip
    assert len(figure.axes) == 3
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[1].get_xscale() == "linear"


def test_runs_that_diverged_lie_on_the_edge_and_in_no_mean():
    analysis = made(
        {}, own_seconds=lambda t: t["seed"] * 1.0,
        status=lambda row: "done" if row["seed"] else "diverged",
    )  # fmt: skip
    axes = plots.cost_figure(analysis).axes[0]
    (lost,) = labelled(axes, "diverged")
    assert (lost.get_xdata().tolist(), lost.get_ydata().tolist()) == ([0.0], [0.0])
    assert labelled(axes, "mean")[0].get_offsets().tolist() == [[1.5, 0.5]]


def test_the_title_names_a_quicker_variant_that_is_as_good():
    analysis = made(
        {"norm": ["bn", "none"]}, value=lambda row: 0.7 - 0.004 * row["variant"],
        own_seconds=lambda t: np.where(t["norm"] == "bn", 2.0, 1.0),
    )  # fmt: skip
    told = "norm=none is within 0.5 points of it and takes 50% of the seconds"
    assert told in joined(plots.cost_figure(analysis))
