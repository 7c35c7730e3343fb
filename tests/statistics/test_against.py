"""Each variant against the baseline variant."""

import pytest
from scipy import stats as scipy_stats
from test_effects import METRIC, SMALLEST, grid, lose, table, wave

from cnnlab.statistics.effects import against
from cnnlab.statistics.matrix import spread
from cnnlab.statistics.verdicts import COLUMNS


def test_each_variant_against_the_baseline_variant():
    runs = grid(4, wave, norm=["bn", "none"], lr=[0.1, 0.2])
    rows = against(spread(runs, ["norm", "lr"], METRIC), smallest=SMALLEST)
    assert rows.columns.tolist() == ["variant", "norm", "lr", "baseline", *COLUMNS]
    assert rows[["variant", "norm", "lr"]].values.tolist() == [
        [0, "bn", 0.1], [1, "bn", 0.2], [3, "none", 0.2],
    ]  # fmt: skip
    assert set(rows["baseline"]) == {"norm=none, lr=0.1"}
    assert set(rows["comparisons"]) == {3}
    cells = [{"norm": "bn", "lr": 0.2}, {"norm": "none", "lr": 0.1}]
    values = [[wave(cell, seed) for seed in range(4)] for cell in cells]
    assert rows["p"][1] == pytest.approx(scipy_stats.ttest_rel(*values).pvalue)


def test_a_list_without_the_baseline_variant_is_compared_with_the_first_that_was_asked_for():
    cells = [{"norm": "bn", "lr": 0.1}, {"norm": "gn", "lr": 0.2}, {"norm": "none", "lr": 0.2}]
    runs = table(cells, 3, wave)
    cells = spread(runs, ["norm", "lr"], METRIC)
    first = against(cells, smallest=SMALLEST)
    assert set(first["baseline"]) == {"norm=bn, lr=0.1"}
    asked = against(cells, baseline={"lr": 0.2}, smallest=SMALLEST)
    assert set(asked["baseline"]) == {"norm=none, lr=0.2"}


def test_a_variant_of_which_no_run_finished_has_a_row_that_says_so():
    runs = lose(grid(3, wave, norm=["bn", "gn", "none"]), "diverged", norm="gn")
    rows = against(spread(runs, ["norm"], METRIC), smallest=SMALLEST).set_index("norm")
    assert rows.loc["gn", ["verdict", "why", "lost_diverged"]].tolist() == [
        "no verdict", "no pair has finished", 3,
    ]  # fmt: skip
    assert rows["comparisons"].tolist() == [1, 1]
