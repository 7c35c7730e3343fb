"""The combination that makes an average uncertain, against a published table and by hand."""

import numpy as np
import pytest

from cnnlab.statistics.unstable import cochran_limit, driver


@pytest.mark.parametrize(
    ("groups", "size", "alpha", "limit"),
    # Critical values of Cochran's C, as printed since Eisenhart, Hastay and Wallis 1947
    [(3, 3, 0.05, 0.8709), (3, 3, 0.01, 0.9423), (5, 5, 0.05, 0.5441), (5, 5, 0.01, 0.6329)],
)
def test_cochrans_limits_are_the_printed_ones(groups, size, alpha, limit):
    assert cochran_limit(groups, size, alpha) == pytest.approx(limit, abs=1e-4)


CALM = np.array([[0.010, 0.012, 0.011], [0.020, 0.021, 0.019], [0.015, 0.013, 0.014]])


def test_the_combination_that_varies_far_more_is_named():
    wild = np.array([[0.5, 0.1, 0.3]])
    assert driver(np.vstack([CALM[:1], wild, CALM[1:]])) == 1


def test_where_all_vary_alike_none_is_named():
    assert driver(CALM) is None
    assert driver(np.zeros((4, 5))) is None


def test_it_is_only_named_where_the_average_is_much_surer_without_it():
    """All of them move with the seed; the one that moves most is not what makes it uncertain."""
    moving = np.outer([1, 1, 1, 1, 5.5], [-1, 0, 1]) + 0.001 * CALM[0]
    assert driver(moving + 3 * np.array([-1, 0, 1])) is None


def test_two_combinations_or_two_seeds_tell_nothing():
    assert driver(np.array([[0.0, 0.1, 0.2], [0.0, 5.0, 9.0]])) is None
    assert driver(np.vstack([CALM, [[0.5, 0.1, 0.9]]])[:, :2]) is None


def test_of_equal_combinations_one_in_a_hundred_is_named_at_most():
    random = np.random.default_rng(0)
    named = sum(driver(random.normal(0, 1, (4, 5))) is not None for _ in range(1000))
    assert named <= 15
