"""Effects and interactions as pictures."""

import re

import numpy as np
import pytest
from drawing import GRID, joined, labelled, made, many, noisy, some_bad, words

from cnnlab.report import plots
from cnnlab.report.plots.effects import SIGNS, chosen
from cnnlab.report.plots.interactions import cell_means
from cnnlab.report.plots.levels import places
from cnnlab.statistics.crossing import crossing
from cnnlab.statistics.matrix import NO_SETTING

# --- effects


def test_a_row_of_the_forest_shows_what_the_table_says():
    analysis = made(GRID, value=noisy, seeds=5)
    axes = plots.effects_figure(analysis).axes[0]
    for row in analysis.effects.to_dict("records"):
        (sign,) = [
            line for line in labelled(axes, row["verdict"])
            if line.get_xdata()[0] == pytest.approx(100 * row["difference"])
        ]  # fmt: skip
        assert (sign.get_color(), sign.get_marker()) == SIGNS[row["verdict"]]
        ends = [
            [end[0] for end in part.get_segments()[0]] for part in axes.collections
            if part.get_segments()[0][0][1] == sign.get_ydata()[0]
        ]  # fmt: skip
        assert ends == [
            pytest.approx([100 * row["all_low"], 100 * row["all_high"]]),
            pytest.approx([100 * row["ci_low"], 100 * row["ci_high"]]),
        ]
    (band,) = [patch for patch in axes.patches if patch.get_label() == "smallest"]
    assert (band.get_x(), band.get_width()) == pytest.approx((-0.5, 1))


@pytest.mark.parametrize("metric", ["best_val_accuracy", "final_train_loss"])
@pytest.mark.parametrize("spread", [1e-5, 1e-3, 0.03])
def test_an_interval_has_the_same_digits_in_the_sentence_and_in_the_picture(metric, spread):
    for draw in range(8):
        random = np.random.default_rng(draw)
        gains = {"bn": random.normal(0, 2 * spread), "none": 0.0}
        analysis = made(
            {"norm": list(gains)}, metric=metric, seeds=4, epochs=1,
            value=lambda row, g=gains, r=random: 0.5 + g[row["norm"]] + r.normal(0, spread),
        )  # fmt: skip
        sentence = analysis.sentences[0]
        picture = plots.effects_figure(analysis).axes[0].texts[1].get_text()
        ends = re.search(r"95% CI (\S+) to (\S+)\)", sentence).groups()
        seen = re.search(r"(\S+) \((\S+) to (\S+)\), 4 pairs", picture).groups()
        assert seen[1:] in (ends, (minus(ends[1]), minus(ends[0])))  # "lower by" turns the sign
        assert re.search(rf"(?<![\d.]){re.escape(seen[0].lstrip('+-'))} (points|nats)", sentence)


def minus(text):
    return text.removeprefix("-") if text.startswith("-") else f"-{text}"


def test_verdicts_differ_in_shape_and_in_colour():
    shapes = [sign[1] for verdict, sign in SIGNS.items() if verdict != "no verdict"]
    colours = [sign[0] for verdict, sign in SIGNS.items() if verdict != "no verdict"]
    assert len(set(shapes)) == len(set(colours)) == 4


def test_simple_effects_stand_below_their_average():
    figure = plots.effects_figure(made(GRID, value=noisy))
    names = [text.get_text() for text in figure.axes[0].texts][::2]
    assert names == [
        "norm: bn against none", "at lr=0.01", "at lr=0.02", "at lr=0.1",
        "lr: 0.02 against 0.01", "at norm=bn", "at norm=none",
        "lr: 0.1 against 0.01", "at norm=bn", "at norm=none",
    ]  # fmt: skip


def seeds_of(axes, place):
    """The dots of a row of the forest, one a seed, in points."""
    dots = [line for line in labelled(axes, "seed") if line.get_ydata()[0] == place + 0.27]
    return dots[0].get_xdata() if dots else []


def test_an_optimizer_without_momentum_has_a_dot_for_each_pair_of_the_table():
    """AdamW has no momentum: its runs are paired with SGD's at each momentum."""
    analysis = made(
        {"optimizer": ["sgd", "adamw"], "optimizer.momentum": [NO_SETTING, 0.0, 0.9]}, seeds=4,
        kept=lambda v: (v["optimizer"] == "adamw") == (v["optimizer.momentum"] == NO_SETTING),
        value=noisy,
    )  # fmt: skip
    assert analysis.effects["n_pairs"].tolist()[0] == 4
    axes = plots.effects_figure(analysis).axes[0]
    runs = analysis.sweep.runs.pivot(index="variant", columns="seed", values="best_val_accuracy")
    sgd, adamw = runs.loc[:1].mean().to_numpy(), runs.loc[2].to_numpy()
    assert seeds_of(axes, 0) == pytest.approx(100 * (adamw - sgd))


@pytest.mark.parametrize("status", [lambda row: "done", some_bad])
def test_the_dots_of_seeds_average_to_the_difference(status):
    analysis = made({**GRID, "act": ["a", "b"]}, value=noisy, seeds=4, status=status)
    axes = plots.effects_figure(analysis).axes[0]
    for place, row in enumerate(chosen(analysis.effects, analysis.interactions)[0]):
        of = analysis.effects.loc[row]
        dots = seeds_of(axes, place)
        assert len(dots) == (of["n_pairs"] if of["n_pairs"] > 1 else 0)
        if len(dots):
            assert dots.mean() == pytest.approx(100 * of["difference"], abs=1e-12)


def test_lost_pairs_are_told_in_another_colour():
    figure = plots.effects_figure(
        made({"norm": ["bn", "none"]}, value=noisy,
             status=lambda row: "diverged" if row["variant"] and row["seed"] else "done")
    )  # fmt: skip
    told = figure.axes[0].texts[1]
    assert told.get_text().endswith("1 pair; lost 2 diverged")
    assert told.get_color() == SIGNS["hurts"][0]


def test_one_seed_is_an_empty_circle_without_an_interval():
    figure = plots.effects_figure(made(GRID, value=noisy, seeds=1))
    axes = figure.axes[0]
    assert all(sign.get_markerfacecolor() == "white" for sign in labelled(axes, "no verdict"))
    assert not any(part.get_segments()[0].size for part in axes.collections)
    assert "One seed: no verdict" in words(figure)


def test_a_forest_of_very_many_rows_shows_some_of_each_factor_and_says_so():
    figure = plots.effects_figure(many())
    names = [text.get_text() for text in figure.axes[0].texts][::2]
    assert len(names) <= 40
    assert {name.partition(":")[0] for name in names if ":" in name} == {"lr", "act", "norm"}
    assert f"{len(names)} of {len(many().effects):,} rows" in joined(figure)


# --- interactions


def test_lines_go_through_the_means_of_the_cells_with_their_intervals():
    analysis = made({**GRID, "act": ["a", "b"]}, value=noisy)
    figure = plots.interactions_figure(analysis)
    (axes,) = [each for each in figure.axes if each.get_title().startswith("norm and lr")]
    runs = analysis.sweep.runs
    by_seed = runs.groupby(["norm", "lr", "seed"])["best_val_accuracy"].mean()
    bn = axes.containers[0]
    assert bn.get_label() == "bn"
    means = by_seed["bn"].groupby("lr").mean()
    assert list(bn.lines[0].get_ydata()) == pytest.approx(list(means))
    low, high = bn.lines[2][0].get_segments()[0]
    half = 4.30265 * by_seed["bn"].groupby("lr").std().iloc[0] / np.sqrt(3)
    assert (high[1] - low[1]) / 2 == pytest.approx(half, rel=1e-4)


def test_the_panels_say_f_and_p_the_strongest_first():
    analysis = made({**GRID, "act": ["a", "b"]}, value=noisy)
    figure = plots.interactions_figure(analysis)
    assert figure.axes[0].get_title().startswith("norm and lr\n")
    row = analysis.interactions.iloc[0]
    told = f"F(2, 4) = {row['F']:.4g}, p = {row['p_holm']:.3f} (Holm): interaction, 3 seeds"
    assert told in figure.axes[0].get_title().replace("\n", " ")
    assert f"What norm changes depends on lr (p = {row['p_holm']:.3f})" in words(figure)


def test_numbers_that_span_a_decade_stand_at_their_logarithms():
    at, kind = places([0.01, 0.1, 1.0])
    assert (at.tolist(), kind) == (pytest.approx([0, 0.5, 1]), "log")
    at, kind = places([0.01, 0.02, 0.03])
    assert (at.tolist(), kind) == (pytest.approx([0, 0.5, 1]), "linear")
    assert places([0, 1e-4, 1e-2])[1] == "even"  # 0 has no logarithm, and 1e-4 is too near to it
    assert places(["bn", "none"])[1] == "even"
    assert places([0.1, None])[1] == "even"


def test_cells_count_only_where_all_levels_have_run():
    def status(row):
        return "failed" if row["act"] == "b" and row["norm"] == "bn" else "done"

    analysis = made(
        {**GRID, "act": ["a", "b"]}, status=status, value=lambda row: 0.5 + (row["act"] == "b") / 9
    )
    cells = crossing(analysis.matrix, *analysis.matrix.factors[:2])
    assert cell_means(cells, (0, 1))["mean"].tolist() == pytest.approx([0.5] * 6)


def test_a_picture_has_the_levels_and_the_seeds_of_its_test():
    """One level lacks a cell, and one seed another: both are left out of either."""

    def status(row):
        lost = row["norm"] == "bn" and (row["lr"] == 0.1 or (row["lr"] == 0.02 and not row["seed"]))
        return "diverged" if lost else "done"

    analysis = made(GRID, value=noisy, seeds=4, status=status)
    (test,) = analysis.interactions.to_dict("records")
    assert (test["levels"], test["left_out"], test["n"]) == ("2 x 2", "lr=0.1", 3)
    runs = analysis.sweep.runs.query("lr < 0.1 and seed > 0")
    (axes,) = plots.interactions_figure(analysis).axes
    for line, norm in zip(axes.containers, ("bn", "none"), strict=True):
        means = runs[runs["norm"] == norm].groupby("lr")["best_val_accuracy"].mean()
        assert list(line.lines[0].get_ydata()) == pytest.approx(list(means))


def test_means_of_what_there_is_where_no_seed_has_all_and_that_is_said():
    def status(row):
        bad = row["norm"] == "bn" and row["seed"] == GRID["lr"].index(row["lr"])
        return "failed" if bad else "done"

    analysis = made(GRID, status=status, value=noisy)
    runs = analysis.sweep.runs
    by_seed = runs.groupby(["norm", "lr", "seed"])["best_val_accuracy"].mean()
    table = cell_means(crossing(analysis.matrix, *analysis.matrix.factors[:2]), (0, 1))
    assert table["mean"].tolist() == pytest.approx(list(by_seed.groupby(["norm", "lr"]).mean()))
    told = joined(plots.interactions_figure(analysis))
    assert "some runs are missing: means of those there are" in told


def test_a_mean_that_least_squares_puts_beyond_1_ends_there():
    levels = {"a": [0, 1], "b": [0, 1], "c": [0, 1]}

    def value(row):
        seed = row["seed"]
        low = 0.96 if seed < 2 else 1.0
        return 1.0 if row["c"] or row["a"] or row["b"] else low

    analysis = made(
        levels, value=value, seeds=5,
        status=lambda row: "failed" if row["c"] and row["seed"] > 1 else "done",
    )  # fmt: skip
    factors = analysis.matrix.factors[:2]
    assert crossing(analysis.matrix, *factors).whole.mean(axis=0).max() > 1
    assert cell_means(crossing(analysis.matrix, *factors), (0, 1))["mean"].max() == 1
    plots.interactions_figure(analysis)


def test_many_levels_and_many_pairs_are_cut_and_that_is_said():
    two = ["x", "y"]
    figure = plots.interactions_figure(made({"a": list("pqrstuvw"), "b": list("pqrstuvw")}))
    assert len(figure.axes[0].containers) == 5
    assert "(5 of 8)" in words(figure)
    figure = plots.interactions_figure(made(dict.fromkeys("abcde", two), value=noisy, seeds=2))
    assert len(figure.axes) == 6
    assert "The strongest 6 of 10 pairs" in joined(figure)
