"""Verdicts: which one when, and how often they are wrong."""

import numpy as np
import pandas as pd
import pytest
from calibration import DESIGNS, calibration

from cnnlab.core.metrics import METRICS
from cnnlab.statistics.paired import holm, seeds_needed
from cnnlab.statistics.verdicts import COLUMNS, LOST, decided, judged

SPREAD = np.array([-2, -1, 0, 1, 2]) / 2.5**0.5
"""Five numbers with mean 0 and standard deviation 1."""


def family(*comparisons, metric="best_val_accuracy", smallest=0.005) -> pd.DataFrame:
    """Comparisons of (mean, standard deviation), each of five seeds."""
    differences = np.array([mean + sd * SPREAD for mean, sd in comparisons])
    named = pd.DataFrame({"level": range(len(comparisons))})
    named = named.assign(combinations=1, planned=1, left_out="", **dict.fromkeys(LOST, 0))
    return judged(named, differences, METRICS[metric], smallest)


@pytest.mark.parametrize(
    ("mean", "sd", "verdict"),
    [
        (0.02, 0.005, "helps"), (-0.02, 0.005, "hurts"), (0.002, 0.01, "no evidence"),
        (0.0, 0.001, "equivalent"), (0.1, 0.0, "no verdict"),
        # t = 0.002 / (0.001 / sqrt(5)) = 4.5 with 4 degrees, p = 0.011: real, but below 0.5 points
        (0.002, 0.001, "equivalent"),
    ],
)  # fmt: skip
def test_each_verdict(mean, sd, verdict):
    row = family((mean, sd)).iloc[0]
    assert row["verdict"] == verdict
    assert (row["why"] == "") == (verdict != "no verdict")


def test_of_a_loss_less_is_better():
    rows = family((0.2, 0.005), (-0.2, 0.005), metric="final_train_loss")
    assert rows["verdict"].tolist() == ["hurts", "helps"]


def test_the_family_decides_not_the_single_test():
    """t = 0.01 / (0.006 / sqrt(5)) = 3.73 with 4 degrees: p = 0.0204; of three, Holm's is 0.061."""
    alone, among = family((0.01, 0.006)), family(*[(0.01, 0.006)] * 3)
    assert alone["p"][0] == pytest.approx(0.0204, abs=1e-4)
    assert alone["verdict"][0] == "helps"
    assert among["p_holm"].tolist() == pytest.approx([3 * alone["p"][0]] * 3)
    assert set(among["verdict"]) == {"no evidence"}
    assert set(among["comparisons"]) == {3}


def test_what_cannot_be_tested_is_no_part_of_the_family():
    rows = family((0.01, 0.006), (0.01, 0.0))
    assert rows["comparisons"].tolist() == [1, 1]
    assert rows["p_holm"][0] == rows["p"][0]
    assert np.isnan(rows["more_seeds"][1])


def test_more_seeds_are_those_beyond_the_ones_that_are_there():
    rows = family((0.0, 0.01), (0.0, 0.001))
    needed = seeds_needed(np.array([0.01, 0.001]), 0.005, 0.05 / 2)
    assert rows["more_seeds"].tolist() == [needed[0] - 5, 0]


def test_the_intervals_of_a_family_are_bonferronis():
    """R: qt(1 - 0.05 / 6, 4) = 3.960786483; 0.01 / sqrt(5) is the standard error."""
    rows = family((0.0, 0.01), (0.001, 0.01), (0.002, 0.01))
    half = 3.960786483 * 0.01 / 5**0.5
    assert rows["all_low"].tolist() == pytest.approx([-half, 0.001 - half, 0.002 - half], abs=1e-8)
    assert rows["all_high"].tolist() == pytest.approx([half, 0.001 + half, 0.002 + half], abs=1e-8)


def test_they_leave_out_zero_where_holm_does_and_nowhere_else():
    """Of p 0.0001, 0.02 and 0.4, Holm's second step has 0.04, and Bonferroni's 0.06."""
    rows = family((0.03, 0.005), (-0.0169, 0.01), (0.004, 0.01))
    assert rows["p"].round(4).tolist() == [0.0002, 0.0195, 0.4216]
    assert rows["verdict"].tolist() == ["helps", "hurts", "no evidence"]
    assert (rows["all_low"] > 0).tolist() == [True, False, False]
    assert rows["all_high"][1] == 0
    assert rows["all_low"][2] < 0 < rows["all_high"][2]


def test_two_tables_can_be_one_family():
    one, other = family((0.01, 0.006)), family((0.01, 0.005), (0.0, 0.01))
    together = decided([one, other], METRICS["best_val_accuracy"], 0.005, [np.array([0.9, np.nan])])
    p = np.concatenate([one["p"], other["p"], [0.9]])
    assert np.concatenate([each["p_holm"] for each in together]) == pytest.approx(holm(p)[:3])
    assert [each["comparisons"].iloc[0] for each in together] == [4, 4]
    assert one["verdict"][0] == "helps"
    assert together[0]["verdict"][0] == "no evidence"
    assert [each.columns.tolist() for each in together] == [one.columns.tolist()] * 2


def test_more_seeds_has_the_limits_that_the_standard_deviation_has():
    """R: 0.01 * sqrt(4 / qchisq(c(0.975, 0.025), 4)) is 0.005991331, 0.028735556."""
    row = family((0.0, 0.01)).iloc[0]
    needed = seeds_needed(np.array([0.005991331, 0.028735556]), 0.005, 0.05)
    assert row[["more_seeds_low", "more_seeds_high"]].tolist() == (needed - 5).tolist()


def test_no_interval_reaches_farther_than_two_accuracies_can_be_apart():
    rows = family((0.0, 0.9), (0.1, 0.9))
    ends = rows[["ci_low", "ci_high", "all_low", "all_high"]].abs()
    assert ends.to_numpy().max() == 1
    rows = family((0.0, 0.9), (0.1, 0.9), metric="final_train_loss")
    assert rows["all_high"].min() > 1


def test_a_tie_agrees_with_nobody():
    named = pd.DataFrame({"level": [1, 2]}).assign(combinations=1, planned=1, left_out="")
    named = named.assign(**dict.fromkeys(LOST, 0))
    differences = np.array([[0.02, 0.0, -0.01], [0.01, -0.01, 0.0]])
    rows = judged(named, differences, METRICS["best_val_accuracy"], 0.005)
    assert rows["agree"].tolist() == [1, 0]


def test_the_columns_are_the_ones_that_are_told():
    assert family((0.01, 0.006)).columns.tolist() == ["level", *COLUMNS]


def test_verdicts_and_intervals_are_wrong_as_often_as_they_say():
    """The short form of tests/statistics/calibration.py, which says what is simulated."""
    table = calibration(50, designs=list(DESIGNS)[:1])
    assert table["holds"].all(), table[~table["holds"]].to_string()
