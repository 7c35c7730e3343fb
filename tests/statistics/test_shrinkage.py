"""The best of many, shrunk: against published numbers and simulated truth."""

import numpy as np
import pytest

from cnnlab.statistics.shrinkage import shrunk

BATTING = [
    0.400, 0.378, 0.356, 0.333, 0.311, 0.311, 0.289, 0.267, 0.244, 0.244, 0.222, 0.222, 0.222,
    0.222, 0.222, 0.200, 0.178, 0.156,
]  # fmt: skip
"""Batting averages of 18 players after 45 at bats (Efron and Morris 1975, JASA 70:311, table 1)."""


def test_published_batting_averages():
    """Efron and Morris 1977, Sci Am 236(5):119: with the binomial variance known, the factor is
    0.212: the best of 0.400 becomes 0.294 and the last of 0.156 becomes 0.242. Here the error is
    put into many seeds, so that it is as good as known."""
    error = 0.2654 * (1 - 0.2654) / 45
    seeds = 5000
    random = np.random.default_rng(0)
    noise = random.normal(size=(18, seeds))
    noise -= noise.mean(axis=1, keepdims=True)
    noise *= (error * seeds) ** 0.5 / noise.std(axis=1, keepdims=True)
    found = shrunk(np.array(BATTING)[:, None] + noise)
    assert found[0] == pytest.approx(0.294, abs=0.001)
    assert found[-1] == pytest.approx(0.242, abs=0.001)


def test_the_best_of_twelve_equal_variants_is_no_longer_too_good():
    """Noise of half a point, 3 seeds: the best mean is 0.47 points too high on average."""
    random = np.random.default_rng(1)
    plain, better = [], []
    for _ in range(500):
        values = random.normal(0, 0.5, (12, 3)) + random.normal(0, 1, 3)
        means = values.mean(axis=1)
        plain.append(means.max() - means.mean())
        better.append(shrunk(values)[means.argmax()] - means.mean())
    assert np.mean(plain) == pytest.approx(0.5 * 3**-0.5 * 1.63, rel=0.05)  # of 12 normal draws
    assert np.mean(better) < np.mean(plain) / 3


def test_real_differences_are_left_alone():
    values = np.arange(6.0)[:, None] + 0.01 * np.random.default_rng(0).normal(size=(6, 5))
    assert shrunk(values) == pytest.approx(values.mean(axis=1), abs=1e-3)


def test_equal_variants_shrink_to_one_mean():
    assert shrunk(np.tile([0.1, 0.2, 0.3], (5, 1))) == pytest.approx([0.2] * 5)


def test_too_few_variants_or_seeds_are_not_shrunk():
    assert np.isnan(shrunk(np.random.default_rng(0).normal(size=(3, 5)))).all()
    assert np.isnan(shrunk(np.random.default_rng(0).normal(size=(9, 1)))).all()


def test_a_variant_with_one_seed_is_left_out():
    values = np.random.default_rng(0).normal(size=(6, 4))
    values[2, 1:] = np.nan
    found = shrunk(values)
    assert np.isnan(found).tolist() == [False, False, True, False, False, False]
    assert found[[0, 1, 3, 4, 5]] == pytest.approx(shrunk(np.delete(values, 2, axis=0)))
