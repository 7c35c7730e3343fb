"""Interactions, against R's answers on published data, pingouin and SciPy."""

import numpy as np
import pytest
from scipy import stats
from test_effects import METRIC, grid, lose, table, wave

from cnnlab.statistics.additive import seed_means
from cnnlab.statistics.interactions import COLUMNS, anova, interactions, power
from cnnlab.statistics.matrix import NO_SETTING, spread
from cnnlab.statistics.paired import power as paired_power

THREE = {"f": [0, 1], "g": [0, 1], "h": [0, 1]}

TOOTH = {
    ("VC", 0.5): [4.2, 11.5, 7.3, 5.8, 6.4, 10, 11.2, 11.2, 5.2, 7],
    ("VC", 1.0): [16.5, 16.5, 15.2, 17.3, 22.5, 17.3, 13.6, 14.5, 18.8, 15.5],
    ("VC", 2.0): [23.6, 18.5, 33.9, 25.5, 26.4, 32.5, 26.7, 21.5, 23.3, 29.5],
    ("OJ", 0.5): [15.2, 21.5, 17.6, 9.7, 14.5, 10, 8.2, 9.4, 16.5, 9.7],
    ("OJ", 1.0): [19.7, 23.3, 23.6, 26.4, 20, 25.2, 25.8, 21.2, 14.5, 27.3],
    ("OJ", 2.0): [25.5, 26.4, 22.4, 24.5, 24.8, 30.9, 26.4, 27.3, 29.4, 23],
}
"""Length of odontoblasts of 60 guinea pigs by source and dose of vitamin C: R's `ToothGrowth`
(Crampton 1947, J Nutr 33:491)."""

WARP = {
    ("A", "L"): [26, 30, 54, 25, 70, 52, 51, 26, 67],
    ("A", "M"): [18, 21, 29, 17, 12, 18, 35, 30, 36],
    ("A", "H"): [36, 21, 24, 18, 10, 43, 28, 15, 26],
    ("B", "L"): [27, 14, 29, 19, 29, 31, 41, 20, 44],
    ("B", "M"): [42, 26, 19, 16, 39, 28, 21, 39, 29],
    ("B", "H"): [20, 21, 24, 17, 13, 15, 15, 16, 28],
}
"""Breaks of yarn by wool and tension: R's `warpbreaks` (Tukey 1977, Exploratory Data Analysis)."""


def runs_of(cells, *names):
    """One run a value; its place in the list is its seed."""
    variants = [dict(zip(names, cell, strict=True)) for cell in cells]
    seeds = len(next(iter(cells.values())))
    return table(variants, seeds, lambda v, seed: cells[tuple(v.values())][seed])


def crossed(runs, factors, **more):
    return interactions(spread(runs, factors, METRIC), **more)


@pytest.mark.parametrize(
    ("cells", "f", "df", "p"),
    [
        # R: summary(aov(len ~ supp * factor(dose), ToothGrowth)): supp:dose 2, 54: 4.107 0.021860
        (TOOTH, 4.107, (2, 54), 0.021860),
        # R: summary(aov(breaks ~ wool * tension, warpbreaks)): wool:tension 2, 48: 4.189 0.021044
        (WARP, 4.189069, (2, 48), 0.021044),
    ],
)
def test_published_interactions(cells, f, df, p):
    row = crossed(runs_of(cells, "one", "other"), ["one", "other"], blocks=None)
    row = row.iloc[0]
    assert row["F"] == pytest.approx(f, abs=5e-3)
    assert (row["df"], row["df_residual"]) == df
    assert row["p"] == row["p_holm"] == pytest.approx(p, abs=5e-7)
    assert row["verdict"] == ("interaction" if p < 0.05 else "no evidence")
    assert row["levels"] == f"{len({a for a, _ in cells})} x {len({b for _, b in cells})}"


DRAWN = [
    0.692, 0.6868, 0.6975, 0.7042, 0.7314, 0.7211, 0.7145, 0.7122, 0.7075, 0.7163, 0.7027, 0.6877,
    0.7104, 0.736, 0.722, 0.7027, 0.6992, 0.6884, 0.6937, 0.6951, 0.7129, 0.7255, 0.7194, 0.7141,
    0.7041, 0.7083, 0.6836, 0.6974, 0.7102, 0.7183, 0.7071, 0.7202, 0.7096, 0.707, 0.6995, 0.706,
    0.7191, 0.7164, 0.7322, 0.7189, 0.7317, 0.7272, 0.7, 0.7227, 0.729, 0.7403, 0.7404, 0.7201,
]  # fmt: skip
"""A 2 x 3 x 2 grid (f, g, h) of 4 seeds; the seed varies fastest, then h, g, f."""


def drawn():
    left = iter(DRAWN)
    return grid(4, lambda v, seed: next(left), f=[0, 1], g=[0, 1, 2], h=[0, 1])


def test_a_grid_within_seeds_is_pingouin():
    """pingouin 0.7.0, means over h: rm_anova(m, dv, within=["f", "g"], subject="seed"): f * g
    F 4.494187 (2, 6), eps 0.577017, p-GG 0.111792; and so for the other two pairs."""
    found = crossed(drawn(), ["f", "g", "h"])
    assert found.columns.tolist() == list(COLUMNS)
    assert found[["factor", "other"]].values.tolist() == [["f", "g"], ["f", "h"], ["g", "h"]]
    assert found["F"].tolist() == pytest.approx([4.494187, 0.845443, 0.476590], abs=1e-6)
    assert found["df_residual"].tolist() == [6, 3, 6]
    assert found["epsilon"].tolist() == pytest.approx([0.577017, 1, 0.706673], abs=1e-6)
    assert found["p"].tolist() == pytest.approx([0.111792, 0.425654, 0.589826], abs=1e-6)
    assert found["p_holm"][0] == pytest.approx(3 * 0.111792, abs=3e-6)
    assert found["combinations"].tolist() == [2, 3, 2]
    assert set(found["comparisons"]) == {3}


def test_with_two_levels_each_it_is_the_paired_t_test_of_the_difference_of_differences():
    cells = {
        ("a", "x"): (1, 2, 2), ("a", "y"): (2, 3, 5), ("b", "x"): (3, 4, 4), ("b", "y"): (6, 8, 7),
    }  # fmt: skip
    row = crossed(runs_of(cells, "one", "other"), ["one", "other"]).iloc[0]
    ax, ay, bx, by = (np.array(each) for each in cells.values())
    test = stats.ttest_rel(by - bx, ay - ax)
    assert row["F"] == pytest.approx(test.statistic**2)
    assert row["p"] == pytest.approx(test.pvalue)
    assert row["epsilon"] == pytest.approx(1)


def test_a_cell_that_varies_a_hundred_times_more_makes_no_interaction():
    """Under no effect at most 5% may be called one: of 400 sweeps 20 +- 4.4."""
    random = np.random.default_rng(0)
    noise = np.ones((2, 3))
    noise[1, 2] = 100
    p = [anova(noise * random.normal(size=(5, 2, 3)), True)["p"] for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 2 * 0.011


def test_a_level_with_a_cell_that_diverged_is_left_out_and_told():
    runs = grid(3, wave, norm=["bn", "none"], lr=[0.1, 0.2, 1.0])
    partly = lose(runs, "diverged", norm="none", lr=1.0)
    row = crossed(partly, ["norm", "lr"]).iloc[0]
    assert (row["levels"], row["left_out"], row["n"]) == ("2 x 2", "lr=1", 3)
    alone = crossed(runs[runs["lr"] < 1], ["norm", "lr"]).iloc[0]
    assert row["F"] == pytest.approx(alone["F"])


def test_a_combination_of_the_rest_that_lacks_a_cell_is_left_out_and_told():
    runs = lose(drawn(), "failed", f=1, g=2, h=1)
    row = crossed(runs, ["f", "g", "h"]).iloc[0]
    assert (row["levels"], row["combinations"], row["left_out"]) == ("2 x 3", 1, "h=1")


def test_levels_of_a_list_that_cross_with_nothing_are_told():
    """Nine cells of 3 x 3 were asked for, and a list has the 2 x 2 of them and one more."""
    runs = grid(3, wave, norm=["bn", "gn", "none"], lr=[0.1, 0.2, 1.0])
    corner = (runs["norm"] == "none") & (runs["lr"] == 1.0)
    row = crossed(runs[((runs["norm"] != "none") & (runs["lr"] < 1)) | corner], ["norm", "lr"])
    assert row[["levels", "left_out"]].values.tolist() == [["2 x 2", "norm=none; lr=1"]]


def test_a_combination_of_the_rest_in_which_nothing_crosses_is_told():
    runs = drawn()
    runs = runs[(runs["h"] == 0) | ((runs["f"] == 0) & (runs["g"] == 0))]
    row = crossed(runs, ["f", "g", "h"]).iloc[0]
    assert (row["levels"], row["combinations"], row["left_out"]) == ("2 x 3", 1, "h=1")


def test_a_setting_that_a_variant_does_not_have_is_no_level_that_is_left_out():
    """It is the optimizer that nothing crosses in: AdamW has no momentum."""
    levels = {"optimizer": ["sgd", "adamw"], "optimizer.momentum": [NO_SETTING, 0.0, 0.9]}
    runs = grid(3, wave, lr=[1, 2], **levels)
    adamw = runs["optimizer"] == "adamw"
    runs = runs[adamw == (runs["optimizer.momentum"] == NO_SETTING)]
    row = crossed(runs, ["lr", *levels]).set_index("other").loc["optimizer.momentum"]
    assert (row["levels"], row["left_out"]) == ("2 x 2", "optimizer=adamw")


def test_only_seeds_with_all_cells_count():
    runs = lose(grid(4, wave, norm=["bn", "none"], lr=[0.1, 0.2]), "failed", norm="bn", seed=2)
    assert crossed(runs, ["norm", "lr"])["n"].tolist() == [3]


def test_one_seed_is_no_verdict():
    row = crossed(grid(1, wave, norm=["bn", "none"], lr=[0.1, 0.2]), ["norm", "lr"])
    row = row.iloc[0]
    assert (row["n"], row["verdict"], row["comparisons"]) == (1, "no verdict", 0)
    assert "add seeds=5" in row["why"]
    assert np.isnan(row["p"])


@pytest.mark.parametrize("lost", ["pending", "failed", "diverged"])
def test_without_any_result_there_is_no_row(lost):
    runs = lose(grid(3, wave, norm=["bn", "none"], lr=[0.1, 0.2]), lost, norm="bn")
    assert crossed(runs, ["norm", "lr"]).empty


def test_a_seed_that_lacks_one_of_several_combinations_still_counts():
    """What seeds add to all cells of h=1 is large, and is no part of the interaction of f and g."""
    runs = grid(4, lambda v, s: v["f"] * v["g"] / 100 + 10 * v["h"] * s + wave(v, s), **THREE)
    runs = lose(runs, "failed", f=1, g=1, h=1, seed=2)
    row = crossed(runs, list(THREE)).iloc[0]
    assert (row["n"], row["combinations"], row["left_out"]) == (4, 2, "")
    # The difference of differences at h=0 and h=1; R's lm on h and seed adjusts that of seed 2.
    cells = {h: [[wave({"f": f, "g": g, "h": h}, s) + f * g / 100 for s in range(4)]
                 for f, g in ((1, 1), (1, 0), (0, 1), (0, 0))] for h in (0, 1)}  # fmt: skip
    d = np.array([np.array([1, -1, -1, 1]) @ np.array(cells[h]) for h in (0, 1)])
    d[1, 2] = np.nan
    test = stats.ttest_1samp(seed_means(d), 0)
    assert row["F"] == pytest.approx(test.statistic**2)


@pytest.mark.parametrize(("n", "alpha"), [(3, 0.05), (5, 0.05), (5, 0.01)])
def test_the_power_of_a_two_by_two_is_that_of_a_t_test(n, alpha):
    """One cell that is off by 3 shifts the contrast, whose sd is 1, by 3 / 2."""
    exact = paired_power(np.array([n]), np.array([1.5]), np.array([alpha]))[0]
    assert power(n, 2, 2, alpha) == pytest.approx(exact, abs=3 * 0.016)


def test_with_many_seeds_or_one_the_power_is_not_told():
    assert np.isnan(power(1, 2, 2, 0.05))
    assert np.isnan(power(11, 2, 2, 0.05))
    row = crossed(grid(3, wave, norm=["bn", "none"], lr=[0.1, 0.2]), ["norm", "lr"]).iloc[0]
    assert row["power"] == power(3, 2, 2, 0.05)


def test_the_level_whose_effect_depends_on_the_other_factor_is_named():
    """bn adds 2 at each rate; gn adds 5 at one and nothing at the other."""
    gain = {("bn", 0.1): 2, ("bn", 0.2): 2, ("gn", 0.1): 5}

    def value(v, seed):
        return gain.get((v["norm"], v["lr"]), 0) + 10 * (wave(v, seed) - 0.7)

    row = crossed(grid(5, value, norm=["none", "bn", "gn"], lr=[0.1, 0.2]), ["norm", "lr"]).iloc[0]
    assert row[["verdict", "factor_level", "other_level"]].tolist() == ["interaction", "gn", "0.2"]


def test_one_factor_or_one_level_gives_none():
    assert crossed(grid(3, wave, norm=["bn", "none"]), ["norm"]).empty
    runs = grid(3, wave, norm=["bn"], lr=[0.1, 0.2])
    assert crossed(runs, ["norm", "lr"]).empty


def test_parallel_lines_are_no_interaction_whatever_the_main_effects():
    def value(v, seed):
        return 0.1 * v["a"] + 0.2 * v["b"] + 0.01 * (seed * 7 % 3)

    runs = grid(3, value, a=[1, 2], b=[1, 2])
    assert crossed(runs, ["a", "b"])["why"].tolist() == ["all differences are equal"]
