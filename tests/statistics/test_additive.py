"""Least squares on seed and combination, against R."""

import numpy as np
import pytest

from cnnlab.statistics.additive import seed_means, usable

NO = np.nan

VALUES = np.array(
    [
        [1.9, 2.4, NO, 1.1, 2.0],
        [0.7, NO, 1.3, 0.2, 0.9],
        [3.1, 3.3, 2.6, NO, NO],
        [NO, 5.0, 4.1, 3.7, 4.4],
    ]
)
"""Four combinations with five seeds."""


def test_with_missing_pairs_it_is_rs_lm():
    """R: m <- lm(v ~ combination + seed, contrasts = list(combination = "contr.sum", seed =
    "contr.sum")); coef(m)["(Intercept)"] is the mean, and with each seed's coefficient added, what
    emmeans(m, ~ seed) says. lme4's lmer(v ~ 0 + combination + (1 | seed)) has 2.4697781."""
    found = seed_means(VALUES)
    of_r = [2.514393939, 3.050757576, 2.459848485, 1.775000000, 2.541666667]
    assert found == pytest.approx(of_r, abs=5e-10)
    assert found.mean() == pytest.approx(2.468333333, abs=5e-10)


def test_with_nothing_missing_it_is_the_plain_mean():
    whole = np.arange(12.0).reshape(3, 4) ** 2
    assert seed_means(whole).tolist() == whole.mean(axis=0).tolist()


def test_a_seed_that_has_nothing_has_no_mean():
    values = np.column_stack([VALUES, np.full(4, NO)])
    found = seed_means(values)
    assert np.isnan(found[5])
    assert found[:5] == pytest.approx(seed_means(VALUES))
    assert np.isnan(seed_means(VALUES[:0])).all()


def test_exactly_additive_values_are_recovered_whatever_is_missing():
    whole = np.array([[0.0], [3.0], [10.0]]) + np.array([1.0, 2.0, 4.0, -7.0])
    values = whole.copy()
    values[0, 1:3] = values[1, 0] = values[2, 3] = NO
    assert seed_means(values) == pytest.approx(whole.mean(axis=0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (VALUES, [1, 1, 1, 1]),
        # one seed is not enough where others have more, and is where none has
        ([[1, 2, 3], [1, NO, NO], [NO, NO, NO]], [1, 0, 0]),
        ([[1, NO], [1, NO], [NO, NO]], [1, 1, 0]),
        # nobody can compare seeds 0 and 1 with 2, 3 and 4: the part with most pairs stays
        ([[1, 2, NO, NO, NO], [NO, NO, 1, 2, 3], [NO, NO, NO, 1, 2]], [0, 1, 1]),
        # a third combination ties both together
        ([[1, 2, NO, NO], [NO, NO, 1, 2], [NO, 1, 2, NO]], [1, 1, 1]),
        ([[NO, NO]], [0]),
    ],
)
def test_which_combinations_an_average_can_hold(values, expected):
    assert usable(np.array(values, float)).tolist() == [bool(each) for each in expected]


@pytest.mark.parametrize("lost", [0.05, 0.2])
def test_intervals_of_its_means_hold_the_truth_as_often_as_they_say(lost):
    """2,000 averages of 9 combinations and 5 seeds; the Monte-Carlo error is 0.005."""
    random = np.random.default_rng(3)
    held = 0
    for _ in range(2000):
        values = random.normal(0, 1, (9, 5)) + random.normal(0, 1, 5)
        values[random.random((9, 5)) < lost] = NO
        means = seed_means(values[usable(values)])
        half = 2.776445 * means.std(ddof=1) / 5**0.5  # t(0.975, 4), in every printed table
        held += abs(means.mean()) < half
    assert held / 2000 == pytest.approx(0.95, abs=0.015)
