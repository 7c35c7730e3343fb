"""Paired tests, against published numbers and SciPy."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from cnnlab.statistics.paired import equivalence, holm, paired_t, power, seeds_needed

FIRST = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SECOND = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""Extra hours of sleep with two drugs, ten patients: Student 1908, R's `sleep`."""

SLEEP = paired_t((FIRST - SECOND)[:, None])


def test_the_paired_t_test_of_students_sleep_data_is_rs():
    """R, ?sleep: t.test(extra ~ group, paired = TRUE): t = -4.0621, df = 9, p-value = 0.002833,
    95 percent confidence interval -2.4598858 -0.7001142, mean of the differences -1.58."""
    found = SLEEP.iloc[0]
    assert found["n_pairs"] == 10
    assert found["difference"] == pytest.approx(-1.58)
    assert found["difference"] / found["sd"] * 10**0.5 == pytest.approx(-4.0621, abs=5e-5)
    assert found["p"] == pytest.approx(0.00283289, abs=5e-9)
    ends = (found["ci_low"], found["ci_high"])
    assert ends == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)


def test_each_column_is_tested_by_itself_whatever_is_missing():
    random = np.random.default_rng(0)
    differences = random.normal(0.01, 0.02, (12, 40))
    differences[random.random((12, 40)) < 0.4] = np.nan
    found = paired_t(differences)
    for column, row in zip(differences.T, found.to_dict("records"), strict=True):
        values = column[~np.isnan(column)]
        expected = scipy_stats.ttest_1samp(values, 0)
        interval = expected.confidence_interval(0.95)
        assert row["n_pairs"] == len(values)
        assert row["p"] == pytest.approx(expected.pvalue, rel=1e-10)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(interval), rel=1e-10)
        assert row["sd"] == pytest.approx(values.std(ddof=1), rel=1e-12)


def test_one_pair_or_none_has_no_interval_and_no_p():
    found = paired_t(np.array([[np.nan, 0.2], [np.nan, np.nan]]))
    assert found["n_pairs"].tolist() == [0, 1]
    assert np.isnan(found["difference"][0])
    assert found["difference"][1] == 0.2
    assert found[["sd", "ci_low", "ci_high", "p"]].isna().all(axis=None)


def test_two_pairs_by_hand():
    """0.1 and 0.3: mean 0.2, standard error 0.1, t = 2; with one degree of freedom
    p = 1 - 2 atan(2) / pi, and t(0.975, 1) = 12.7062 in every printed table."""
    found = paired_t(np.array([[0.1], [0.3]])).iloc[0]
    assert found["p"] == pytest.approx(1 - 2 * np.arctan(2) / np.pi)
    assert found["ci_high"] == pytest.approx(0.2 + 1.27062, abs=1e-5)


@pytest.mark.parametrize("same", [0.0, 0.1, -0.3])
def test_equal_differences_tell_nothing_of_chance(same):
    values = 0.7 + np.arange(5) / 10
    found = paired_t((values + same - values)[:, None]).iloc[0]  # not quite equal, by rounding
    assert found["sd"] == 0
    assert found["difference"] == pytest.approx(same)
    assert found[["ci_low", "ci_high", "p"]].isna().all()
    assert np.isnan(equivalence(found.to_frame().T, 0.5)).all()


@pytest.mark.parametrize(
    ("bound", "p"), [(1, 0.9149441), (2, 0.1541572), (2.5, 0.02111686), (3, 0.002655570)]
)
def test_two_one_sided_tests_of_the_sleep_data_are_tosters_and_statsmodels(bound, p):
    """R, TOSTER 0.4: t_TOST(extra ~ group, sleep, paired = TRUE, low_eqbound = -1,
    high_eqbound = 1): TOST Lower t = -1.491161, df = 9, p = 9.149441e-01. The other bounds:
    statsmodels 0.15.0, ttost_paired(first, second, -bound, bound)."""
    assert equivalence(SLEEP, bound)[0] == pytest.approx(p, abs=5e-8)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        # R: p.adjust(p, method = "holm")
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        # statsmodels 0.15.0: multipletests(p, method="holm")[1]
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1, 1]),
        ([], []),
    ],
)
def test_holms_adjustment_is_rs(p, adjusted):
    assert holm(np.array(p, float)).tolist() == pytest.approx(adjusted)


def test_what_was_not_tested_is_no_part_of_the_family():
    found = holm(np.array([np.nan, 0.02, np.nan, 0.01]))
    assert np.isnan(found[[0, 2]]).all()
    assert found[[1, 3]].tolist() == pytest.approx([0.02, 0.02])


@pytest.mark.parametrize(
    ("count", "ratio", "alpha", "expected"),
    [
        # R's pwr, ?pwr.t.test: d=0.2, n=60, sig.level=0.10, type="one.sample": power = 0.4555818
        (60, 0.2, 0.10, 0.4555818),
        # R's pwr: d=0.5, power=0.8, type="paired": n = 33.36713
        (33.36713, 0.5, 0.05, 0.8),
        # R's pwr: d=0.5, power=0.9, sig.level=0.01, type="one.sample": n = 62.87021
        (62.87021, 0.5, 0.01, 0.9),
        # statsmodels 0.15.0: TTestPower().power(0.5, 10, 0.05)
        (10, 0.5, 0.05, 0.2931756),
    ],
)
def test_power_is_the_one_of_pwr_and_statsmodels(count, ratio, alpha, expected):
    found = power(np.array([count]), np.array([ratio]), np.array([alpha]))
    assert found[0] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("ratio", "alpha", "wanted", "exactly"),
    [
        # statsmodels 0.15.0: TTestPower().solve_power(effect_size=ratio, alpha=, power=)
        (0.5, 0.05, 0.8, 33.36713), (0.2, 0.05 / 12, 0.8, 347.63238),
        (1.0, 0.05 / 6, 0.8, 15.66288), (2.0, 0.05, 0.8, 4.22072), (0.5, 0.01, 0.9, 62.87024),
    ],
)  # fmt: skip
def test_the_number_of_seeds_is_statsmodels_rounded_up(ratio, alpha, wanted, exactly):
    found = seeds_needed(np.array([0.005 / ratio]), 0.005, alpha, wanted)
    assert found.tolist() == [np.ceil(exactly)]


def test_the_number_of_seeds_is_the_fewest_also_where_it_is_very_large_or_small():
    ratios = np.array([1e-4, 0.0629, 0.3, 0.9, 3, 30, 30_000])
    found = seeds_needed(1 / ratios, 1.0, 0.05 / 1000)
    assert (np.diff(found) <= 0).all()
    assert found[-1] == 2
    small = (found < 1e6) & (found > 2)
    alpha = np.full(small.sum(), 0.05 / 1000)
    assert (power(found[small], ratios[small], alpha) >= 0.8).all()
    assert (power(found[small] - 1, ratios[small], alpha) < 0.8).all()


def test_without_spread_there_is_no_number_of_seeds():
    assert np.isnan(seeds_needed(np.array([0.0, np.nan]), 0.005, 0.05)).all()
    assert np.isnan(seeds_needed(np.array([0.1]), 0.0, 0.05)).all()
