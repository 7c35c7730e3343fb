"""The answer in words: each form, from made-up runs through the real tables.

`sentences.golden` has them all, and was read by a person; after a change of words, write it anew
with `python tests/statistics/test_sentences.py`, and read what changed.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_effects import HOMEWORK, METRIC, grid, lose, table, wave
from test_matrix import NASTY

from cnnlab.core.metrics import METRICS
from cnnlab.statistics.effects import effects
from cnnlab.statistics.interactions import interactions
from cnnlab.statistics.matrix import spread
from cnnlab.statistics.sentences import sentences
from cnnlab.statistics.summary import summary
from cnnlab.statistics.verdicts import LOST

GOLDEN = Path(__file__).with_name("sentences.golden")

SPREAD = np.array([-2, -1, 0, 1, 2]) / 2.5**0.5
"""Of five seeds: mean 0, standard deviation 1."""


def parts(runs, factors, metric=METRIC):
    cells = spread(runs, factors, metric)
    runs = runs.assign(own_seconds=1.0)
    rows = effects(cells, smallest=0.005)[0]
    return summary(runs, factors, cells.metric), rows, interactions(cells)


def told(runs, factors, metric=METRIC) -> list[str]:
    tables = parts(runs, factors, metric)
    return sentences(*tables, metric=METRICS[metric], smallest=0.005)


def gains(by_level, seeds=5, **factors):
    """A sweep of norm whose levels differ from none by (mean, standard deviation)."""

    def value(v, seed):
        mean, sd = by_level.get(v["norm"], (0, 0))
        return 0.6 + 0.1 * seed + mean + sd * SPREAD[seed]

    return grid(seeds, value, norm=[*by_level, "none"], **factors)


def small(v, seed):
    """A tenth of what `wave` varies by."""
    return 0.7 + (wave(v, seed) - 0.7) / 10


def two(seeds, gain, **factors):
    """A sweep of norm and others: `small` and a gain that depends on the variant and the seed."""
    return grid(seeds, lambda v, s: small(v, s) + gain(v, s), norm=["bn", "none"], **factors)


def bn(v):
    return v["norm"] == "bn"


def unstable(v, seed):
    return 0.02 * bn(v) - 0.3 * (seed % 2) * (not bn(v)) * (v["lr"] == 1)


def of_gn(v, _):
    return {("gn", 0.1): 0.05}.get((v["norm"], v["lr"]), 0.02 * (v["norm"] != "none"))


CROSSED = two(5, lambda v, s: 0.05 * (bn(v) and v["lr"] == 0.1), lr=[0.01, 0.1])
LONELY = grid(5, wave, norm=["bn", "none"])
ONE = grid(2, lambda v, seed: 0.5 + 0.1 * seed, norm=["bn"])
MANY = {f"n{k}": (0.01 * (k - 3), 0.004) for k in range(7)}
LOSS = gains({"bn": (-0.12, 0.01)}).rename(columns={METRIC: "final_train_loss"})
NORM, BOTH = ["norm"], ["norm", "lr"]

CASES = {
    "helps": (gains({"bn": (0.019, 0.005639)}), NORM),
    "hurts: lower by a positive number": (gains({"bn": (-0.019, 0.005639)}), NORM),
    "a loss, of which less is better": (LOSS, NORM, "final_train_loss"),
    "an interval beside zero": (gains({"bn": (0.0035, 0.0028)}), NORM),
    "no evidence": (gains({"bn": (0.002, 0.005639)}), NORM),
    "no evidence, far too few seeds": (gains({"bn": (0.01, 0.1)}), NORM),
    "no evidence, although all seeds agree": (gains({"bn": (0.012, 0.009)}, 3), NORM),
    "no evidence, because of the family": (
        gains({"bn": (0.01, 0.006), "gn": (0.01, 0.007), "in": (0.01, 0.008)}), NORM),
    "no evidence, because of one cell": (two(5, unstable, lr=[0.01, 0.1, 1]), BOTH),
    "equivalent": (gains({"bn": (0.0001, 0.002)}), NORM),
    "equivalent, but real": (gains({"bn": (0.002, 0.001)}), NORM),
    "equivalent on average only": (
        two(5, lambda v, s: 0.014 * bn(v) * (1 if v["lr"] == 0.1 else -1), lr=[0.1, 0.2]), BOTH),
    "other levels": (gains({"bn": (0.03, 0.005), "in": (-0.03, 0.006), "ln": (0, 0.02)}), NORM),
    "very many levels": (gains(MANY), NORM),
    "an interaction": (CROSSED, BOTH),
    "an interaction, of another level than the first": (
        grid(5, lambda v, s: small(v, s) + of_gn(v, s), norm=["none", "bn", "gn"], lr=[0.1, 0.2]),
        BOTH),
    "an interaction along many levels": (
        two(5, lambda v, s: 0.02 * bn(v) * v["lr"], lr=[1, 2, 3, 4, 5, 6]), BOTH),
    "no interaction, and three seeds": (two(3, lambda v, s: 0.02 * bn(v), lr=[1, 2, 3]), BOTH),
    "one seed": (grid(1, wave, norm=["bn", "none"], lr=[0.1, 0.2]), BOTH),
    "one pair, the other failed": (lose(LONELY, "failed", norm="bn").iloc[:5].assign(
        status=["done", *["failed"] * 4], **{METRIC: [0.6, *[np.nan] * 4]}).pipe(
        lambda bad: pd.concat([bad, LONELY.iloc[5:]])), NORM),
    "no pair at all": (pd.concat([lose(LONELY, "diverged", norm="bn"), LONELY.iloc[:0]]), NORM),
    "equal differences": (gains({"bn": (0.01, 0.0)}), NORM),
    "nothing finished": (lose(lose(LONELY, "diverged", norm="bn"), "pending", norm="none"), NORM),
    "all diverged": (LONELY.assign(status="diverged", **{METRIC: np.nan}), NORM),
    "a metric that no run has": (LONELY.assign(test_accuracy=np.nan), NORM, "test_accuracy"),
    "one variant": (ONE, NORM),
    "one variant and one seed": (ONE.iloc[:1], []),
    "one variant, the same with all seeds": (grid(3, norm=["bn"]), NORM),
    "lost pairs": (
        lose(lose(CROSSED, "diverged", norm="none", lr=0.1), "failed", norm="bn", lr=0.01, seed=0),
        BOTH),
    "a list of variants": (table(HOMEWORK, 3, wave), list(HOMEWORK[0])),
    "six factors": (
        grid(3, lambda v, s: wave(v, s) + 0.1 * (v["c"] == "y") + 0.3 * (v["d"] == "y"),
             **{name: ["none", "y"] for name in "abcdef"}), list("abcdef")),
    "the best of equal variants": (grid(3, wave, norm=[f"n{k}" for k in range(12)]), NORM),
    "the best of equal variants, tested": (
        grid(3, wave, norm=[f"n{k}" for k in range(12)]).assign(test_accuracy=0.69), NORM),
}  # fmt: skip


def golden() -> str:
    blocks = [
        "\n".join([f"## {name}", *(f"- {text}" for text in told(*case))])
        for name, case in CASES.items()
    ]
    return "\n\n".join(blocks) + "\n"


def test_each_form_is_the_one_that_was_read():
    assert golden() == GOLDEN.read_text(encoding="utf-8")


def numbers_of(tables) -> set[float]:
    """All numbers of tables; of those in the metric's unit in points too."""
    values = pd.concat([each.select_dtypes("number").stack() for each in tables])
    words = [each.select_dtypes(exclude="number").stack() for each in tables]
    texts = " ".join(str(value) for column in words for value in column)
    typed = map(float, re.findall(r"\d+(?:\.\d+)?", texts))
    rows = tables[1]
    needed = [rows["n_pairs"] + rows[f"more_seeds_{end}"] for end in ("low", "high")]
    return {
        0.5, 80, 95, 100, 1000, 3, *values.abs(), *(values.abs() * 100), *typed,
        *pd.concat(needed),
    }  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_no_sentence_has_a_number_that_no_table_has(name):
    tables = parts(*CASES[name])
    known = np.array(sorted(numbers_of(tables)))
    # The last: how many more pairs of factors there are than the one that is named.
    states = tables[0].filter(["failed", "diverged", "pending"]).sum()
    levels = tables[1]["factor"].value_counts()
    counted = {len(tables[0]), len(tables[2]) - 1, *levels, *states}
    for text in told(*CASES[name]):
        for typed in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", text):
            plain = typed.replace(",", "")
            digits = len(plain.partition(".")[2])
            near = np.abs(known - float(plain)) <= 0.5000001 * 10**-digits
            assert near.any() or float(plain) in counted, (typed, text)


def test_where_the_baseline_diverged_and_the_rest_interacts_it_is_told_all_the_same():
    runs = two(3, lambda v, s: 0.05 * (bn(v) and v["lr"] == 0.1), lr=[10, 0.1, 0.01])
    texts = told(lose(runs, "diverged", lr=10), BOTH)
    assert texts[0].startswith("With norm=bn, best validation accuracy is 2.6 points higher")


def test_one_seed_that_is_left_of_five_is_not_told_as_one_that_was_planned():
    runs = LONELY.copy()
    runs.loc[runs["seed"] > 0, ["status", METRIC]] = ["failed", np.nan]
    assert "retry=failed" in told(runs, NORM)[0]


def test_one_surviving_run_is_no_end_of_a_range():
    """At lr=1 bn has one run left, 30 points lower; two are needed."""
    runs = two(5, lambda v, s: bn(v) * (-0.3 if v["lr"] == 1 else v["lr"] / 5), lr=[0.1, 0.2, 1])
    for seed in range(4):
        runs = lose(runs, "diverged", norm="bn", lr=1, seed=seed)
    assert "at 1" not in " ".join(text for text in told(runs, BOTH) if "depends" in text)


def test_of_a_level_that_is_not_the_first_it_is_told_too_what_is_missing():
    runs = gains({"gn": (0.03, 0.001), "bn": (0.02, 0.002)})
    for seed in (0, 1, 2):
        runs = lose(runs, "diverged", norm="bn", seed=seed)
    assert any("in 2 seeds, 3 diverged" in text for text in told(runs, NORM))


def test_a_mean_of_exactly_zero_is_neither_higher_nor_lower():
    runs = grid(2, lambda v, s: 0.5 + (0.25 if s else -0.25) * (v["norm"] == "bn"),
                norm=["bn", "none"])  # fmt: skip
    assert told(runs, NORM)[0].endswith(").")


@pytest.mark.parametrize("name", CASES)
def test_a_headline_is_two_short_sentences_at_most(name):
    headline = told(*CASES[name])[0]
    assert len(re.findall(r"[a-z)0-9`][.] [A-Z]", headline)) <= 1
    assert len(headline) < 260


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


if __name__ == "__main__":
    GOLDEN.write_text(golden(), encoding="utf-8")
