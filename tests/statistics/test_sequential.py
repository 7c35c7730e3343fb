"""How often looks after a few more seeds each mislead: published values, R, arithmetic."""

import re

import numpy as np
import pandas as pd
import pytest

from cnnlab.statistics.sequential import MOST_COMPARISONS, false_verdicts, warnings

ERROR = 0.01
"""Over three standard deviations of a share of 20,000 sweeps, and the rounding of what is read."""


@pytest.mark.parametrize(("looks", "error"), [(range(3, 11), 0.18), (range(3, 61), 0.34)])
def test_six_comparisons_with_a_look_after_each_seed_from_the_third(looks, error):
    assert false_verdicts(looks, 6) == pytest.approx(error, abs=ERROR)


# Armitage, McPherson, Rowe 1969 (J R Stat Soc A 132:235): repeated two-sided tests at 5% of
# normal means, the sd known, after equal steps. With thousands of seeds a sd is as good as known.
@pytest.mark.parametrize(
    ("looks", "error"), [(1, 0.05), (2, 0.083), (3, 0.107), (5, 0.142), (10, 0.193)]
)
def test_many_seeds_a_look_give_the_published_error_of_repeated_tests(looks, error):
    steps = [5000 * k for k in range(1, looks + 1)]
    assert false_verdicts(steps, 1) == pytest.approx(error, abs=ERROR)


# R 4.2.2, 40,000 sweeps each, seed by seed, with pt and p.adjust:
#   x <- matrix(rnorm(n * (m + 1)), n); d <- x[, -1, drop = FALSE] - x[, 1]
#   for (l in looks) { s <- d[1:l, , drop = FALSE]; mu <- colMeans(s)
#     sd <- sqrt(colSums(sweep(s, 2, mu)^2) / (l - 1))
#     p <- 2 * pt(-abs(mu / sd * sqrt(l)), l - 1); hit <- hit || any(p.adjust(p, "holm") < .05) }
@pytest.mark.parametrize(
    ("looks", "comparisons", "error"),
    [
        ([3, 5, 10], 6, 0.1169), ([3, 5], 1, 0.0851), ([5, 10], 1, 0.0871),
        ([2, 3, 4], 2, 0.1141), ([3, 10], 12, 0.0838),
    ],
)  # fmt: skip
def test_seeds_drawn_one_by_one_in_r_give_the_same(looks, comparisons, error):
    assert false_verdicts(looks, comparisons) == pytest.approx(error, abs=ERROR)


@pytest.mark.parametrize("comparisons", [1, 3, 12])
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_one_look_has_no_more_than_the_error_that_holm_allows(seeds, comparisons):
    assert false_verdicts([seeds], comparisons) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 20_000)


def test_a_look_at_one_seed_adds_nothing_and_none_is_no_error():
    assert false_verdicts([1, 5], 6) == false_verdicts([5], 6)
    assert false_verdicts([], 6) == false_verdicts([5], 0) == 0


def test_the_order_does_not_count_and_large_families_are_as_the_largest():
    assert false_verdicts([10, 3, 5, 5], 6) == false_verdicts([3, 5, 10], 6)
    assert false_verdicts([3, 5], 500) == false_verdicts([3, 5], MOST_COMPARISONS)


# --- what a report says


def effects(n_pairs: list[int], p: float = 0.5) -> pd.DataFrame:
    return pd.DataFrame({"kind": "average", "n_pairs": n_pairs, "p": p})


def seeds(number: int) -> list[int]:
    return list(range(number))


def test_the_looks_the_error_and_the_remedy_are_told():
    (text,) = warnings([[], seeds(3), seeds(5)], effects([10] * 6), seeds(10))
    assert text == (
        "Seeds were added after a report of such runs (3, then 5, then 10): p-values are too "
        "small. With 6 comparisons looked at like that, a false verdict comes in 12 of 100 "
        "sweeps in which nothing has an effect, not in 5. A new sweep of fresh seeds decides: "
        "name=... seeds=[10,11,12,13,14,15,16,17,18,19]."
    )


def test_fresh_seeds_are_none_of_the_sweeps_own():
    (text,) = warnings([[4, 7]], effects([3]), np.array([4, 7, 90]))
    assert text.endswith("seeds=[91,92,93].")
    (text,) = warnings([seeds(10)], effects([20]), seeds(20))
    assert text.endswith(f"seeds=[{','.join(map(str, range(20, 40)))}].")
    (text,) = warnings([seeds(10)], effects([21]), seeds(21))
    assert text.endswith("name=... 21 other seeds.")


@pytest.mark.parametrize(
    ("looks", "now"),
    [
        ([], 5), ([[]], 5),  # nobody looked
        ([[0]], 5),  # "one seed: no verdict"
        ([seeds(5)], 5),  # other levels were added, or none of the new runs has finished
        ([seeds(8)], 5),  # some have failed since
    ],
)  # fmt: skip
def test_a_look_that_was_no_other_test_is_not_told(looks, now):
    assert warnings(looks, effects([now, now]), seeds(now)) == []


def test_where_nothing_is_tested_nothing_is_told():
    assert warnings([seeds(3)], effects([5], p=np.nan), seeds(5)) == []
    assert warnings([seeds(3)], effects([]), []) == []


def test_only_comparisons_that_are_tested_count():
    table = pd.concat(
        [effects([5, 5]), effects([5], p=np.nan), effects([5] * 4).assign(kind="simple")]
    )
    (text,) = warnings([seeds(3)], table, seeds(5))
    assert "With 2 comparisons" in text


def test_a_share_is_never_told_as_less_than_that_of_one_look():
    """Of two looks nearly at the same seeds, whose errors are nearly one and the same."""
    (text,) = warnings([seeds(99)], effects([100] * 50), seeds(100))
    assert re.search(
        r"comes in [56] of 100 sweeps in which nothing has an effect(, not in 5)?\.", text
    )
