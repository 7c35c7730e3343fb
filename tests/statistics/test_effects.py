"""Effects of factors, against published data, arithmetic by hand and a plain loop."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from test_paired import FIRST, SECOND

from cnnlab.statistics.effects import DRIVER, against, effects
from cnnlab.statistics.interactions import interactions
from cnnlab.statistics.matrix import spread
from cnnlab.statistics.verdicts import COLUMNS

METRIC = "best_val_accuracy"
SMALLEST = 0.005


def table(variants, seeds, value) -> pd.DataFrame:
    """Runs that are done: `variants` are dicts, `value` a function of one and its seed."""
    rows = [
        {**variant, "variant": number, "seed": seed, "status": "done", METRIC: value(variant, seed)}
        for number, variant in enumerate(variants)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def grid(seeds=3, value=lambda variant, seed: 0.5, **factors) -> pd.DataFrame:
    """All combinations."""
    cells = itertools.product(*factors.values())
    return table([dict(zip(factors, cell, strict=True)) for cell in cells], seeds, value)


def lose(runs, status, **where) -> pd.DataFrame:
    """The runs with these values have that status and no metric."""
    runs = runs.copy()
    here = np.logical_and.reduce([runs[name] == value for name, value in where.items()])
    runs.loc[here, "status"] = status
    runs.loc[here, METRIC] = np.nan
    return runs


def wave(variant, seed):
    """Some number for each run, the same in every test run; no pattern that a mean would hide."""
    text = "".join(f"{key}{value}" for key, value in variant.items())
    return 0.7 + 0.01 * np.sin(sum(map(ord, text)) * 1.7 + seed * 2.3 + len(text) * seed)


def found(runs, factors=("norm", "lr"), **more) -> pd.DataFrame:
    return effects(spread(runs, factors, METRIC), **{"smallest": SMALLEST, **more})[0]


def averages(runs, factors=("norm", "lr"), **more) -> pd.DataFrame:
    every = found(runs, factors, **more)
    return every[every["kind"] == "average"].reset_index(drop=True)


def test_students_sleep_data_is_a_sweep_of_one_factor_and_ten_seeds():
    """R: t.test(extra ~ group, data = sleep, paired = TRUE), as in test_paired."""
    runs = grid(10, lambda v, seed: {1: FIRST, 2: SECOND}[v["drug"]][seed] / 10, drug=[1, 2])
    row = found(runs, ["drug"], baseline={"drug": 2}).iloc[0]
    assert (row["level"], row["baseline"], row["n_pairs"], row["combinations"]) == (1, 2, 10, 1)
    assert row["difference"] == pytest.approx(-0.158)
    assert row["p"] == row["p_holm"] == pytest.approx(0.002832890, abs=5e-9)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((-0.24598858, -0.07001142), abs=1e-8)
    assert row["verdict"] == "hurts"


def test_the_average_and_the_simple_effects_of_a_grid_by_hand():
    """bn adds 0.02 at lr=0.1, 0.04 at lr=0.2, and 0.01 more for each seed, so 0.03, 0.04, 0.05."""

    def value(v, seed):
        gain = {0.1: 0.02, 0.2: 0.04}[v["lr"]] + 0.01 * seed
        return 0.5 + 0.1 * seed + (gain if v["norm"] == "bn" else 0)

    rows = found(grid(3, value, norm=["bn", "none"], lr=[0.1, 0.2]))
    told = rows[["factor", "level", "baseline", "at", "n_pairs", "combinations"]].values.tolist()
    assert told == [
        ["norm", "bn", "none", "", 3, 2], ["lr", 0.2, 0.1, "", 3, 2],
        ["norm", "bn", "none", "lr=0.1", 3, 1], ["norm", "bn", "none", "lr=0.2", 3, 1],
        ["lr", 0.2, 0.1, "norm=bn", 3, 1], ["lr", 0.2, 0.1, "norm=none", 3, 1],
    ]  # fmt: skip
    assert rows["difference"].tolist() == pytest.approx([0.04, 0.01, 0.03, 0.05, 0.02, 0])
    assert rows["sd"].tolist() == pytest.approx([0.01, 0, 0.01, 0.01, 0, 0])
    # t(0.975, 2) = 4.302653 in every printed table; 0.01 / sqrt(3) is the standard error.
    half = 4.302653 * 0.01 / 3**0.5
    assert rows["ci_high"][0] == pytest.approx(0.04 + half, abs=1e-8)
    assert rows.columns.tolist() == ["factor", "level", "baseline", "kind", "at", *COLUMNS, *DRIVER]
    assert rows["comparisons"].tolist() == [1, 1, 2, 2, 2, 2]  # equal differences are no tests
    assert rows["why"][1] == "all differences are equal"


def by_loop(runs, factors, factor, level, base) -> dict[int, float]:
    """The same definition as plainly as it can be written: seed -> mean difference."""
    others = [name for name in factors if name != factor]
    values = {
        (row[factor], tuple(row[name] for name in others), row["seed"]): row[METRIC]
        for row in runs[runs["status"] == "done"].to_dict("records")
    }
    seeds = sorted(set(runs["seed"]))
    rest = {key[1] for key in values}
    both = {
        each: {s: values[level, each, s] - values[base, each, s] for s in seeds
               if (level, each, s) in values and (base, each, s) in values}
        for each in rest
    }  # fmt: skip
    enough = min(2, max(map(len, both.values()), default=0))
    both = {each: by_seed for each, by_seed in both.items() if by_seed and len(by_seed) >= enough}
    seeds = sorted({seed for by_seed in both.values() for seed in by_seed})
    if not both:
        return {}
    # A plain regression on dummies; what a seed has over the first, added to the mean of all cells.
    cells = [(c, s) for c in both for s in both[c]]
    dummies = [[c == each for each in both] + [s == each for each in seeds[1:]] for c, s in cells]
    fit = np.linalg.lstsq(np.array(dummies, float), [both[c][s] for c, s in cells], rcond=None)
    assert fit[2] == len(both) + len(seeds) - 1  # else a plain regression has no answer
    shift = np.append(0, fit[0][len(both) :])
    return dict(zip(seeds, fit[0][: len(both)].mean() + shift, strict=True))


@pytest.mark.parametrize("kept", [1.0, 0.95, 0.6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_any_list_of_variants_gives_what_a_plain_loop_gives(kept, seed):
    random = np.random.default_rng(seed)
    runs = grid(4, lambda v, s: random.normal(0.7, 0.01), a=[1, 2, 3], b=["x", "y"], c=[0, 1])
    runs = runs[runs["variant"].isin(random.choice(12, 12 if kept == 1 else 9, replace=False))]
    runs.loc[random.random(len(runs)) > kept, "status"] = "failed"
    base = {name: runs[name].iloc[0] for name in "abc"}
    for row in averages(runs, list("abc"), baseline=base).to_dict("records"):
        expected = by_loop(runs, list("abc"), row["factor"], row["level"], row["baseline"])
        assert row["n_pairs"] == len(expected)
        if expected:
            assert row["difference"] == pytest.approx(np.mean(list(expected.values())))
        if len(expected) > 1:
            test = scipy_stats.ttest_1samp(list(expected.values()), 0)
            assert row["p"] == pytest.approx(test.pvalue)


HOMEWORK = [
    dict(zip(("augment", "norm", "lr", "activation"), row, strict=True))
    for row in (
        ("none", "none", 0.01, "relu"), ("crop_flip", "none", 0.01, "relu"),
        ("crop_flip", "bn", 0.01, "relu"), ("crop_flip", "bn", 0.02, "relu"),
        ("crop_flip", "bn", 0.1, "relu"), ("crop_flip", "bn", 0.01, "silu"),
    )
]  # fmt: skip
"""The variants of sweeps/homework.yaml."""


def test_a_hand_picked_list_is_paired_where_both_levels_stand_beside_the_same_others():
    rows = found(table(HOMEWORK, 4, wave), list(HOMEWORK[0]))
    told = rows[["factor", "level", "baseline", "at", "n_pairs", "combinations"]].values.tolist()
    assert told == [
        ["augment", "crop_flip", "none", "", 4, 1], ["norm", "bn", "none", "", 4, 1],
        ["lr", 0.02, 0.01, "", 4, 1], ["lr", 0.1, 0.01, "", 4, 1],
        ["activation", "silu", "relu", "", 4, 1],
    ]  # fmt: skip
    values = [[wave(HOMEWORK[k], seed) for seed in range(4)] for k in (2, 1)]
    assert rows["p"][1] == pytest.approx(scipy_stats.ttest_rel(*values).pvalue)


OPTIMIZERS = [
    {"optimizer": "adamw", "optimizer.momentum": "-", "norm": "none"},
    {"optimizer": "sgd", "optimizer.momentum": 0.0, "norm": "none"},
    {"optimizer": "sgd", "optimizer.momentum": 0.9, "norm": "none"},
    {"optimizer": "sgd", "optimizer.momentum": 0.9, "norm": "bn"},
]


@pytest.mark.parametrize("base", ["adamw", "sgd"])
def test_a_setting_that_one_level_does_not_have_need_not_be_equal(base):
    """adamw is compared with the mean of sgd's momenta; momenta only with each other."""
    runs = table(OPTIMIZERS, 4, wave)
    rows = averages(runs, list(OPTIMIZERS[0]), baseline={"optimizer": base}).set_index("factor")
    assert rows["combinations"].to_dict() == {"optimizer": 2, "optimizer.momentum": 1, "norm": 1}
    assert rows.loc["optimizer.momentum", ["level", "baseline"]].tolist() == [0.9, 0.0]
    adamw, plain, momentum = (np.array([wave(v, s) for s in range(4)]) for v in OPTIMIZERS[:3])
    sign = -1 if base == "sgd" else 1
    test = scipy_stats.ttest_rel((plain + momentum) / 2, adamw)
    assert rows.loc["optimizer", "difference"] == pytest.approx(
        sign * ((plain + momentum) / 2 - adamw).mean()
    )
    assert rows.loc["optimizer", "p"] == pytest.approx(test.pvalue)


def test_a_setting_that_both_levels_have_must_be_equal():
    cells = [{"lr": lr, "lr.base": base} for lr in ("constant", "cosine") for base in (0.1, 0.2)]
    cells += [{"lr": "cosine", "lr.base": 0.3}]
    rows = averages(table(cells, 3, wave), ["lr", "lr.base"])
    assert rows["combinations"].tolist() == [2, 2, 1]


def test_one_factor_at_a_time_has_no_simple_effects_and_no_interactions():
    cells = [{"norm": "none", "lr": 0.1}, {"norm": "bn", "lr": 0.1}, {"norm": "none", "lr": 0.2}]
    runs = table(cells, 3, wave)
    assert found(runs)["at"].tolist() == ["", ""]
    assert interactions(spread(runs, ["norm", "lr"], METRIC)).empty


def test_levels_that_never_meet_the_baseline_say_so():
    cells = [{"norm": "none", "lr": 0.1}, {"norm": "bn", "lr": 0.2}]
    rows = found(table(cells, 3, wave))
    assert rows["verdict"].tolist() == ["no verdict"] * 2
    assert set(rows["why"]) == {"never in the sweep with all else equal"}
    assert rows["comparisons"].tolist() == [0, 0]


def test_a_combination_that_diverged_with_every_seed_is_left_out_and_told():
    runs = lose(grid(3, wave, norm=["bn", "none"], lr=[0.1, 0.2, 1.0]), "diverged", lr=1.0)
    row = averages(runs).iloc[0]
    assert (row["n_pairs"], row["combinations"]) == (3, 2)
    assert row["left_out"] == "lr=1"
    assert (row["lost_diverged"], row["lost_failed"]) == (3, 0)
    simple = found(runs).set_index("at").loc["lr=1"]
    assert (simple["verdict"], simple["why"]) == ("no verdict", "no pair has finished")


def test_a_seed_that_lacks_a_combination_is_compared_by_the_others():
    runs = lose(grid(4, wave, norm=["bn", "none"], lr=[0.1, 0.2]), "failed", norm="bn", lr=0.2,
                seed=1)  # fmt: skip
    rows = found(runs).set_index("at")
    assert rows.loc["", "n_pairs"].tolist() == [4, 4]
    assert (rows.loc["lr=0.1", "n_pairs"], rows.loc["lr=0.2", "n_pairs"]) == (4, 3)
    assert rows.loc["lr=0.2", "lost_failed"] == 1
    assert rows.loc["", "left_out"].tolist() == ["", ""]


def test_lost_pairs_are_counted_by_the_graver_reason():
    runs = grid(6, wave, norm=["bn", "none"])
    for seed, ours, theirs in (
        (0, "diverged", "failed"), (1, "unreadable", "pending"), (2, "pending", "done"),
    ):  # fmt: skip
        runs = lose(lose(runs, ours, norm="bn", seed=seed), theirs, norm="none", seed=seed)
    runs.loc[(runs["norm"] == "none") & (runs["seed"] == 2), METRIC] = 0.7
    runs.loc[(runs["norm"] == "bn") & (runs["seed"] == 3), METRIC] = None  # done, not measured
    row = found(runs, ["norm"]).iloc[0]
    names = ["n_pairs", "lost_diverged", "lost_failed", "lost_pending", "lost_unmeasured"]
    assert row[names].tolist() == [2, 1, 1, 1, 1]


def test_seeds_that_only_one_variant_has_are_pending_and_those_of_neither_are_not_lost():
    runs = grid(5, wave, norm=["bn", "gn", "none"])
    runs = runs[~((runs["norm"] == "bn") & (runs["seed"] > 2))]
    runs = runs[~((runs["norm"] == "none") & (runs["seed"] == 4))]
    rows = found(runs, ["norm"]).set_index("level")
    assert rows.loc["bn", ["n_pairs", "lost_pending"]].tolist() == [3, 1]
    assert rows.loc["gn", ["n_pairs", "lost_pending"]].tolist() == [4, 1]


def test_of_combinations_without_a_common_seed_those_with_most_pairs_are_averaged():
    """Nothing tells what lr=0.2 adds from what its seeds add."""
    runs = grid(5, wave, norm=["bn", "none"], lr=[0.1, 0.2])
    runs = runs[(runs["seed"] < 3) == (runs["lr"] == 0.1)]
    row = averages(runs).iloc[0]
    assert (row["n_pairs"], row["combinations"], row["left_out"]) == (3, 1, "lr=0.2")
    assert row[["lost_failed", "lost_pending"]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("failed", "one seed left: retry=failed trains the failed runs again"),
        ("pending", "one seed so far: the sweep's command trains the rest"),
        ("diverged", "one seed left: the others diverged"),
    ],
)
def test_one_surviving_run_of_five_is_told_from_a_sweep_of_one_seed(status, why):
    runs = grid(5, wave, norm=["bn", "none"], lr=[0.1, 0.2])
    for seed in range(4):
        runs = lose(runs, status, norm="bn", lr=0.2, seed=seed)
    rows = found(runs).set_index("at")
    assert rows.loc["lr=0.2", ["verdict", "why"]].tolist() == ["no verdict", why]
    average = averages(runs).iloc[0]
    assert (average["n_pairs"], average["combinations"]) == (5, 1)
    assert average["left_out"] == "lr=0.2"


def test_with_one_run_in_ten_lost_nearly_all_averages_have_a_verdict():
    """3 x 3 x 3 with 5 seeds: 13% when a seed needed all of its pairs."""
    random, decided = np.random.default_rng(0), []
    for _ in range(20):
        runs = grid(5, lambda v, s: random.normal(), a=range(3), b=range(3), c=range(3))
        runs.loc[random.random(len(runs)) < 0.1, "status"] = "failed"
        decided.extend(averages(runs, list("abc"))["verdict"] != "no verdict")
    assert np.mean(decided) == 1


def test_the_cell_that_makes_an_average_uncertain_is_named_and_the_effect_without_it_is_shown():
    """bn is better in all 15 pairs; norm=none with lr=1 nearly diverges, now and then."""

    def value(v, seed):
        wild = 0.3 * (seed % 2) * (v["norm"] == "none") * (v["lr"] == 1)
        return 0.7 + 0.02 * (v["norm"] == "bn") - wild + (wave(v, seed) - 0.7) / 10

    runs = grid(5, value, norm=["bn", "none"], lr=[0.01, 0.1, 1])
    every = found(runs)
    row, without = every.iloc[0], every[every["kind"] == "without"].iloc[0]
    assert (row["verdict"], row["agree"], row["n_pairs"]) == ("no evidence", 5, 5)
    assert row["driver"] == "norm=none, lr=1"
    assert row["driver_sd"] == pytest.approx(0.3 * np.std([0, 1, 0, 1, 0], ddof=1), rel=0.02)
    assert without[["factor", "level", "at", "combinations"]].tolist() == ["norm", "bn", "lr=1", 2]
    alone = averages(runs[runs["lr"] < 1]).iloc[0]
    for name in ("difference", "ci_low", "ci_high", "p"):
        assert without[name] == pytest.approx(alone[name])
    assert (without["verdict"], without["why"]) == ("no verdict", "chosen after looking: no test")
    assert np.isnan(without["p_holm"])
    assert row["comparisons"] == 3  # the averages alone


def test_one_seed_is_no_verdict():
    row = found(grid(1, wave, norm=["bn", "none"]), ["norm"]).iloc[0]
    assert (row["verdict"], row["why"]) == ("no verdict", "one seed: add seeds=5")
    assert row["difference"] == pytest.approx(wave({"norm": "bn"}, 0) - wave({"norm": "none"}, 0))
    assert np.isnan(row[["p", "p_holm", "p_equivalent", "more_seeds"]].astype(float)).all()


def test_accuracies_that_are_all_1_have_no_verdict():
    rows = found(grid(5, lambda v, s: 1.0, norm=["bn", "none"], lr=[0.1, 0.2]))
    assert rows["difference"].tolist() == [0] * 6
    assert set(rows["verdict"]) == {"no verdict"}
    crossed = interactions(spread(grid(5, norm=[1, 2], lr=[1, 2]), ["norm", "lr"], METRIC))
    assert crossed["why"].tolist() == ["all differences are equal"]


def test_a_factor_of_one_level_has_no_rows():
    runs = grid(3, wave, norm=["bn"], lr=[0.1, 0.2])
    assert found(runs)["factor"].tolist() == ["lr"]
    assert found(runs.iloc[:3]).empty
    assert found(runs.iloc[:3]).columns.tolist() == found(runs).columns.tolist()
    assert found(runs.iloc[:3], []).empty
    assert against(spread(runs.iloc[:3], [], METRIC), smallest=SMALLEST).empty


def test_ten_thousand_runs_are_quick():
    random = np.random.default_rng(0)
    runs = grid(5, lambda v, s: random.normal(), a=range(20), b=range(20), c=range(5))
    start = time.process_time()
    rows = averages(runs, list("abc"))
    cells = spread(runs, list("abc"), METRIC)
    against(cells, smallest=SMALLEST)
    interactions(cells)
    assert time.process_time() - start < 2
    assert len(rows) == 19 + 19 + 4


def test_a_list_of_five_thousand_scattered_variants_is_quick():
    random = np.random.default_rng(0)
    cells = [{"a": random.random(), "b": random.random(), "c": k % 2} for k in range(5000)]
    runs = table(cells, 2, lambda v, s: random.normal())
    start = time.process_time()
    rows = found(runs, list("abc"))
    interactions(spread(runs, list("abc"), METRIC))
    assert time.process_time() - start < 2
    assert set(rows["why"]) == {"never in the sweep with all else equal"}
