"""The answer in words: each form, from made-up runs through the real tables."""

import numpy as np
import pytest
from test_effects import HOMEWORK, METRIC, grid, lose, table, wave
from test_matrix import NASTY

from cnnlab.statistics.effects import effects
from cnnlab.statistics.interactions import interactions
from cnnlab.statistics.matrix import spread
from cnnlab.statistics.sentences import sentences
from cnnlab.statistics.summary import summary
from cnnlab.statistics.verdicts import LOST

SPREAD = np.array([-2, -1, 0, 1, 2]) / 2.5**0.5
"""Of five seeds: mean 0, standard deviation 1."""


def told(runs, factors, metric=METRIC, **more) -> list[str]:
    runs = runs.assign(own_seconds=1.0)
    table = spread(runs, factors, metric)
    return sentences(
        summary(runs, factors, table.metric), effects(table, smallest=0.005)[0],
        interactions(table), metric=table.metric, smallest=0.005, **more,
    )  # fmt: skip


def gains(by_level, seeds=5, **factors):
    """A sweep of norm whose levels differ from none by (mean, standard deviation)."""

    def value(v, seed):
        mean, sd = by_level.get(v["norm"], (0, 0))
        return 0.6 + 0.1 * seed + mean + sd * SPREAD[seed]

    return grid(seeds, value, norm=[*by_level, "none"], **factors)


def test_what_helps():
    # t(0.975, 4) = 2.776445; 0.005639 / sqrt(5) x 2.776445 = 0.0070
    assert told(gains({"bn": (0.019, 0.005639)}), ["norm"]) == [
        "With norm=bn, best validation accuracy is 1.9 points higher than with norm=none "
        "(95% CI 1.2 to 2.6, 5 seeds, paired)."
    ]


def test_what_hurts_is_lower_by_a_positive_number():
    assert told(gains({"bn": (-0.019, 0.005639)}), ["norm"]) == [
        "With norm=bn, best validation accuracy is 1.9 points lower than with norm=none "
        "(95% CI 1.2 to 2.6, 5 seeds, paired)."
    ]


def test_no_evidence_says_how_many_more_seeds_it_takes():
    # sd 0.5639 points: (2.8 / 0.887)^2 = 10, and two more for t; 5 are there
    assert told(gains({"bn": (0.002, 0.005639)}), ["norm"]) == [
        "No evidence either way for norm=bn over none: +0.2 points (95% CI -0.5 to 0.9, 5 seeds, "
        "paired); about 8 more seeds would show a difference of 0.5 points."
    ]


def test_no_evidence_with_enough_seeds_or_far_too_few():
    (text,) = told(gains({"bn": (0.003, 0.0026)}), ["norm"])
    assert text.endswith("; a difference of 0.5 points would probably have shown.")
    (text,) = told(gains({"bn": (0.01, 0.1)}), ["norm"])
    assert "more than 1000 more seeds would be needed to show 0.5 points" in text


def test_an_interval_beside_zero_does_not_end_in_zero():
    (text,) = told(gains({"bn": (0.0035, 0.0028)}), ["norm"])
    assert "0.350 points higher than with norm=none (95% CI 0.002 to 0.698, 5 seeds" in text


def test_equivalent():
    assert told(gains({"bn": (0.0001, 0.002)}), ["norm"]) == [
        "norm=bn and norm=none are equivalent within 0.5 points: +0.0 points (95% CI -0.2 to 0.3, "
        "5 seeds, paired)."
    ]
    (text,) = told(gains({"bn": (0.002, 0.001)}), ["norm"])
    assert text.endswith(", real but too small to matter.")


def test_an_interval_beside_zero_that_holm_does_not_pass_is_explained():
    (text,) = told(gains(dict.fromkeys(("bn", "gn", "ln"), (0.01, 0.006))), ["norm"])
    assert "which may be chance among 3 comparisons (Holm)" in text


def interacting(crossed=True):
    """bn adds 0.3 points at 0.01 and 5.1 at 0.1, if crossed; else 2.7 at both."""

    def value(v, seed):
        gain = {0.01: 0.003, 0.1: 0.051}[v["lr"]] if crossed else 0.027
        noise = 0.004 * SPREAD[(seed * 3 + round(100 * v["lr"])) % 5]
        return 0.6 + 0.01 * seed + (gain + noise if v["norm"] == "bn" else 0)

    return grid(5, value, norm=["bn", "none"], lr=[0.01, 0.1])


def test_an_effect_that_depends_on_another_factor_says_so():
    first, second = told(interacting(), ["norm", "lr"])
    assert first.startswith("With norm=bn, best validation accuracy is 2.7 points higher than")
    assert "5 seeds, paired, mean over 2 settings of the rest)" in first
    assert first.endswith("; the gain depends on lr: +0.3 at 0.01, +5.1 at 0.1.")
    assert "depends on norm: +4.8 at bn, +0.0 at none" in second


def test_without_a_significant_interaction_nothing_depends_on_anything():
    assert not any("depends" in text for text in told(interacting(False), ["norm", "lr"]))


def test_one_seed():
    assert told(grid(1, wave, norm=["bn", "none"], lr=[0.1, 0.2]), ["norm", "lr"]) == [
        "One seed: no verdict; add `seeds=5`."
    ]


def test_one_pair_of_several_seeds_is_no_verdict_either():
    runs = lose(grid(2, wave, norm=["bn", "none"]), "failed", norm="bn", seed=1)
    assert told(runs, ["norm"]) == [
        "No verdict on norm=bn over none: one seed; add `seeds=5`. Missing pairs: 1 failed."
    ]


def test_equal_differences():
    assert told(gains({"bn": (0.01, 0.0)}), ["norm"]) == [
        "No verdict on norm=bn over none: the difference is +1.0 points in each of 5 seeds: no "
        "sign of chance."
    ]


def test_nothing_finished_and_one_variant():
    runs = lose(grid(3, wave, norm=["bn", "none"]), "diverged", norm="bn")
    assert told(lose(runs, "pending", norm="none"), ["norm"]) == [
        "No run has a result yet: 3 diverged, 3 pending."
    ]
    one = grid(2, lambda v, seed: 0.5 + 0.1 * seed, norm=["bn"])
    assert told(one, ["norm"]) == [
        "One variant only, nothing to compare: its best validation accuracy is 0.5500 (95% CI "
        "-0.0853 to 1.1853, 2 seeds)."
    ]
    assert "0.5000 (one seed)" in told(one.iloc[:1], [])[0]
    assert "0.5000 (the same with 3 seeds)" in told(grid(3, norm=["bn"]), [])[0]


def test_lost_pairs_and_what_the_mean_leaves_out_are_told():
    runs = lose(interacting(), "diverged", norm="none", lr=0.1)
    runs = lose(runs, "failed", norm="bn", lr=0.01, seed=0)
    text = next(each for each in told(runs, ["norm", "lr"]) if "norm=bn over" in each)
    assert text.endswith(
        "Missing pairs: 5 diverged, 1 failed. The mean leaves out lr=0.1, where no seed has both."
    )


def test_a_loss_is_in_nats_and_less_is_lower():
    runs = gains({"bn": (-0.12, 0.01)}).rename(columns={METRIC: "final_train_loss"})
    (text,) = told(runs, ["norm"], "final_train_loss")
    assert text.startswith("With norm=bn, last training loss is 0.12 nats lower than with norm=no")


def test_the_other_levels_of_a_factor_follow_the_most_certain_one():
    levels = {"bn": (0.03, 0.005), "gn": (0.02, 0.005), "in": (-0.03, 0.006), "ln": (0.0, 0.02)}
    (text,) = told(gains(levels), ["norm"])
    assert text.startswith("With norm=bn,")
    assert text.endswith("Also: in hurts (-3.0), gn helps (+2.0), ln: no evidence (+0.0).")


def test_one_sentence_a_factor_the_most_certain_first_and_no_more_than_asked_for():
    def value(v, seed):
        return wave(v, seed) + 0.1 * (v["c"] == "y") + 0.3 * (v["d"] == "y")

    runs = grid(5, value, **{name: ["none", "y"] for name in "abcd"})
    texts = told(runs, list("abcd"))
    assert len(texts) == 4
    assert texts[0].startswith("With d=y")
    assert texts[1].startswith("With c=y")
    assert told(runs, list("abcd"), most=2) == texts[:2]


@pytest.mark.parametrize("status", ["failed", "diverged", "pending"])
def test_the_homework_list_is_told_whatever_is_missing(status):
    runs = table(HOMEWORK, 3, wave)
    for count in range(len(HOMEWORK)):
        runs = lose(runs, status, variant=count)
        texts = told(runs, list(HOMEWORK[0]))
        assert texts
        assert all(text.endswith(".") and "nan" not in text for text in texts)


def test_text_is_plain_and_values_are_as_they_are():
    texts = told(grid(4, wave, norm=["none", *NASTY], lr=[0.1, 0.2]), ["norm", "lr"])
    assert any(value in text for text in texts for value in NASTY)


def test_each_reason_for_a_lost_pair_has_its_words():
    """A column that verdicts add must not be left out of the sentences."""
    assert set(LOST) == {f"lost_{x}" for x in ("diverged", "failed", "pending", "unmeasured")}
