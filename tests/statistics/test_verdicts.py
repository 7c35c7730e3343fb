"""Verdicts: which one when, and how often they are wrong."""

import numpy as np
import pandas as pd
import pytest
from calibration import DESIGNS, calibration

from cnnlab.core.metrics import METRICS
from cnnlab.statistics.paired import seeds_needed
from cnnlab.statistics.verdicts import COLUMNS, LOST, judged

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


def test_the_columns_are_the_ones_that_are_told():
    assert family((0.01, 0.006)).columns.tolist() == ["level", *COLUMNS]


def test_verdicts_and_intervals_are_wrong_as_often_as_they_say():
    """The short form of tests/statistics/calibration.py, which says what is simulated."""
    table = calibration(50, designs=list(DESIGNS)[:1])
    assert table["holds"].all(), table[~table["holds"]].to_string()
