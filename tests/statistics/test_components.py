"""Where the spread comes from, against R's lme4, the analysis of variance and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_effects import METRIC, grid, lose, wave

from cnnlab.statistics.components import COLUMNS, components, fitted
from cnnlab.statistics.matrix import spread
from cnnlab.statistics.paired import sd_limits

SHARED = np.array(
    [
        [0.5896, 0.6043, 0.5953, 0.6188, 0.6018], [0.6113, 0.6138, 0.5985, 0.6149, 0.6189],
        [0.6235, 0.6318, 0.6264, 0.6501, 0.6363], [0.5783, 0.5857, 0.5720, 0.5860, 0.5864],
    ]
)  # fmt: skip
"""Four variants (rows) with five seeds, of which good ones are good for all."""

ALONE = np.array(
    [
        [0.5974, 0.6005, 0.5862, 0.5922, 0.6062], [0.6316, 0.6211, 0.6248, 0.6165, 0.6082],
        [0.6239, 0.6282, 0.6303, 0.6380, 0.6396], [0.5764, 0.5796, 0.5879, 0.5826, 0.5751],
    ]
)  # fmt: skip
"""The same where seeds share less than chance would have it."""


def lacking(values: np.ndarray) -> np.ndarray:
    """Without five of the twenty runs."""
    values = values.copy()
    values[[0, 1, 1, 2, 3], [1, 2, 3, 4, 4]] = np.nan
    return values


def runs_of(values: np.ndarray, **levels) -> pd.DataFrame:
    """A table of runs: variants are levels of one factor, `norm` unless another one is given."""
    (name, of), *_ = levels.items() if levels else [("norm", list("abcdefgh")[: len(values)])]
    runs = grid(values.shape[1], lambda variant, seed: values[of.index(variant[name]), seed],
                **{name: of})  # fmt: skip
    return runs.assign(status=np.where(runs[METRIC].isna(), "failed", "done"))


def found(runs: pd.DataFrame, *factors: str) -> pd.DataFrame:
    return components(spread(runs, factors or ("norm",), METRIC))


@pytest.mark.parametrize(
    ("values", "shared", "left"),
    [
        (SHARED, 0.0074097852, 0.0052869966),
        (lacking(SHARED), 0.0079728002, 0.0051432127),
        (ALONE, 0.0, 0.0071907058),
        (lacking(ALONE), 0.0, 0.0077837097),
    ],
)
def test_components_are_those_of_lme4(values, shared, left):
    """R 4.2, lme4 1.1-31: `lmer(y ~ factor(variant) + (1 | seed), REML = TRUE, control =
    lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12)))`, then `VarCorr`; without
    the runs 2, 8, 9, 15 and 20 counted along the rows for those that lack some."""
    (row,) = found(runs_of(values)).to_dict("records")
    assert row["sd_shared"] == pytest.approx(shared, abs=2e-9)
    assert row["sd_left"] == pytest.approx(left, abs=2e-9)
    assert row["sd"] == pytest.approx(np.hypot(shared, left), abs=2e-9)
    assert row["share"] == pytest.approx(shared**2 / (shared**2 + left**2), abs=1e-6)
    assert row["runs"] == np.isfinite(values).sum()
    assert (row["variants"], row["seeds"], row["factor"]) == (4, 5, "seed")


def test_of_a_whole_layout_they_are_the_mean_squares_with_their_degrees_of_freedom():
    """MS(rest) = left, (MS(seed) - MS(rest)) / V = shared, and the pooled variance is their sum;
    its degrees of freedom by Satterthwaite's formula for a sum of mean squares."""
    v, s = SHARED.shape
    by_seed = SHARED.mean(axis=0)
    seed = v * by_seed.var(ddof=1)
    rest = SHARED - SHARED.mean(axis=1, keepdims=True) - by_seed + SHARED.mean()
    rest = (rest**2).sum() / ((v - 1) * (s - 1))
    its = fitted(SHARED)
    assert its.left == pytest.approx(rest, rel=1e-6)
    assert its.shared == pytest.approx((seed - rest) / v, rel=1e-6)
    assert its.run == pytest.approx(SHARED.var(axis=1, ddof=1).mean(), rel=1e-6)
    assert its.df_left == (v - 1) * (s - 1)
    satterthwaite = (s - 1) * (seed + (v - 1) * rest) ** 2 / (seed**2 + (v - 1) * rest**2)
    assert its.df == pytest.approx(satterthwaite, rel=1e-6)


def test_limits_are_those_of_chi_square():
    """R: `sqrt(12 * 0.5^2 / qchisq(c(0.975, 0.025), 12))` gives 0.358542993 0.825367570."""
    assert sd_limits(0.5, 12) == pytest.approx((0.358542993, 0.825367570), abs=1e-9)
    assert np.isnan(sd_limits(0.5, 0)).all()
    assert np.isnan(sd_limits(0.0, 12)).all()


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_limits_hold_as_often_as_they_say(shared):
    """Four variants, five seeds; nominal 95%. The limits of a run rest on an approximation."""
    random = np.random.default_rng(1)
    run = left = 0
    for _ in range(600):
        y = shared * random.normal(size=(1, 5)) + random.normal(size=(4, 5))
        its = fitted(y)
        low, high = sd_limits(np.sqrt(its.run), its.df)
        run += low <= np.hypot(shared, 1) <= high
        low, high = sd_limits(np.sqrt(its.left), its.df_left)
        left += low <= 1 <= high
    assert left / 600 > 0.92
    assert run / 600 > 0.91


def test_each_level_of_vary_has_a_spread_of_its_own():
    """By hand: [order] is [init] with every deviation from its variant's mean tripled."""
    tripled = SHARED + 2 * (SHARED - SHARED.mean(axis=1, keepdims=True))
    both = [
        runs_of(values).assign(vary=level)
        for level, values in (("[init]", SHARED), ("[order]", tripled))
    ]
    runs = pd.concat(both, ignore_index=True)
    runs["variant"] = runs.groupby(["norm", "vary"], sort=False).ngroup()
    table = found(runs, "norm", "vary")
    assert table["factor"].tolist() == ["vary"] * 2
    assert table["level"].tolist() == ["[init]", "[order]"]
    one, other = table[["sd", "ci_low", "ci_high", "sd_shared", "sd_left"]].to_numpy()
    assert other == pytest.approx(3 * one, rel=1e-6)
    assert table["df"].tolist() == pytest.approx([table["df"][0]] * 2)


def test_one_variant_at_each_level_has_a_spread_and_no_parts():
    """Its own standard deviation, with Student's n - 1."""
    table = found(runs_of(SHARED[:2], vary=["[init]", "[order]"]), "vary")
    init, order = table.to_dict("records")
    for row, values in ((init, SHARED[0]), (order, SHARED[1])):
        assert row["sd"] == pytest.approx(values.std(ddof=1))
        assert row["df"] == 4
        low, high = 4 * row["sd"] ** 2 / stats.chi2.ppf([0.975, 0.025], 4)
        assert (row["ci_low"] ** 2, row["ci_high"] ** 2) == pytest.approx((low, high))
        assert np.isnan([row["sd_shared"], row["share"], row["sd_left"], row["left_low"]]).all()


def test_cuts_that_are_swept_spread_with_the_seed_held_and_seeds_with_the_cut_held():
    """Two norms, three cuts, four seeds; a cut is worth 0.03, a seed nothing, by construction."""
    runs = grid(
        4, lambda v, seed: 0.6 + 0.03 * v["data.split_seed"] + wave(v, seed) / 50,
        norm=["bn", "none"], **{"data.split_seed": [0, 1, 2]},
    )  # fmt: skip
    seeds, cuts = found(runs, "norm", "data.split_seed").to_dict("records")
    assert (seeds["factor"], seeds["held"]) == ("seed", "data.split_seed")
    assert (cuts["factor"], cuts["held"]) == ("data.split_seed", "seed")
    for row, held in ((cuts, ["norm", "seed"]), (seeds, ["variant"])):
        by_hand = runs.groupby(held)[METRIC].var().mean() ** 0.5
        assert row["sd"] == pytest.approx(by_hand, rel=1e-4)
    assert (cuts["variants"], cuts["seeds"], seeds["variants"], seeds["seeds"]) == (8, 3, 6, 4)


@pytest.mark.parametrize(
    "runs",
    [
        grid(1, wave, norm=["bn", "none"]),
        grid(5, wave, norm=["bn"]),
        lose(grid(2, wave, norm=["bn", "none"]), "failed", norm="bn", seed=1),
    ],
    ids=["one seed", "one variant", "no two seeds in common"],
)
def test_what_cannot_be_told_apart_is_no_row(runs):
    table = found(runs)
    assert table.empty
    assert table.columns.tolist() == list(COLUMNS)


def test_runs_that_are_all_equal_spread_by_nothing():
    (row,) = found(runs_of(np.full((3, 4), 0.5))).to_dict("records")
    assert (row["sd"], row["sd_shared"], row["sd_left"]) == (0, 0, 0)
    assert np.isnan([row["share"], row["ci_low"]]).all()


def test_differences_that_are_all_equal_leave_next_to_nothing():
    its = fitted(np.add.outer([0.1, 0.2, 0.4], [0.01, 0.02, 0.05]))
    assert its.shared == pytest.approx(np.var([0.01, 0.02, 0.05], ddof=1), rel=1e-6)
    assert its.left == 0
    assert its.run == its.shared
    assert its.df == 2
