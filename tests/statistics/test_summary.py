"""The table of variants, against published numbers, SciPy and arithmetic by hand."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from cnnlab.core.metrics import METRICS
from cnnlab.statistics.summary import pooled_std, published, summary

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
"""Extra hours of sleep with the first drug: Student 1908, R's `sleep` data, group 1."""


def table(*rows) -> pd.DataFrame:
    """Rows of (norm, variant, status, accuracy)."""
    columns = ["norm", "variant", "status", "best_val_accuracy"]
    runs = pd.DataFrame(rows, columns=columns).assign(own_seconds=2.0, final_train_loss=1.0)
    return runs.assign(seed=runs.groupby("variant").cumcount())


def intervals(*variants, metric="final_train_loss") -> np.ndarray:
    """Of the mean of each variant's values, (V, 2)."""
    rows = [("bn", k, "done", value) for k, values in enumerate(variants) for value in values]
    runs = table(*rows).assign(**{metric: [value for *_, value in rows]})
    found = summary(runs, ["norm"], METRICS[metric])
    return found[["ci_low", "ci_high"]].to_numpy()


def test_the_interval_of_students_sleep_data_is_the_one_that_r_prints():
    """R: t.test(extra ~ 1, data = sleep, subset = group == 1): -0.5297804 2.0297804."""
    assert intervals(SLEEP)[0] == pytest.approx((-0.5297804, 2.0297804), abs=1e-7)


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_the_interval_equals_scipys(count):
    values = np.random.default_rng(count).normal(0.7, 0.01, count)
    expected = scipy_stats.t.interval(0.95, count - 1, values.mean(), scipy_stats.sem(values))
    assert intervals(values)[0] == pytest.approx(expected, rel=1e-12)


def test_intervals_of_three_seeds_cover_95_percent():
    """A simulation with a fixed seed; the Monte-Carlo error of 4,000 tries is 0.3 points."""
    low, high = intervals(*np.random.default_rng(0).normal(0, 1, (4000, 3))).T
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.95, abs=0.01)


def test_an_interval_of_shares_ends_at_1_where_students_would_not():
    """t(0.975, 2) is 4.3027 in every printed table; s / sqrt(3) is 0.0057735 for both."""
    high, low = intervals([0.98, 0.99, 1.0], [0.0, 0.01, 0.02], metric="best_val_accuracy")
    assert high == pytest.approx((0.99 - 4.3027 * 0.0057735, 1), abs=1e-6)
    assert low == pytest.approx((0, 0.01 + 4.3027 * 0.0057735), abs=1e-6)
    assert intervals([0.0, 0.01, 0.02])[0, 0] == pytest.approx(0.01 - 4.3027 * 0.0057735, abs=1e-6)


def test_one_value_has_no_interval():
    assert np.isnan(intervals([0.5])).all()


def test_a_summary_by_hand():
    runs = table(
        ("bn", 0, "done", 0.5), ("bn", 0, "done", 0.7), ("bn", 0, "diverged", None),
        ("none", 1, "failed", None), ("none", 1, "unreadable", None), ("none", 1, "pending", None),
        ("gn", 2, "done", 0.9),
    )  # fmt: skip
    found = summary(runs, ["norm"], METRICS["best_val_accuracy"]).set_index("norm")
    assert found.columns.tolist() == [
        "n", "failed", "unreadable", "diverged", "pending", "mean", "std", "ci_low", "ci_high",
        "best", "seconds", "shrunk",
    ]  # fmt: skip
    assert found.index.tolist() == ["bn", "none", "gn"]
    assert found["n"].tolist() == [2, 0, 1]
    assert found["failed"].tolist() == [0, 1, 0]
    assert found["unreadable"].tolist() == [0, 1, 0]
    assert found["diverged"].tolist() == [1, 0, 0]
    assert found["pending"].tolist() == [0, 1, 0]
    bn = found.loc["bn"]
    assert bn["mean"] == pytest.approx(0.6)
    assert bn["std"] == pytest.approx(0.1 * 2**0.5)
    # t(0.975, 1) is 12.7062 in every printed table; s / sqrt(2) is 0.1: both ends are cut.
    assert (bn["ci_low"], bn["ci_high"]) == (0, 1)
    assert bn["best"] == 0.7
    assert found.loc["none", ["mean", "best"]].isna().all()
    assert np.isnan(found.loc["gn", "std"])
    assert found.loc["gn", "best"] == 0.9


def test_of_a_loss_the_smallest_is_the_best():
    runs = table(("bn", 0, "done", 1.0), ("bn", 0, "done", 1.0))
    runs["final_train_loss"] = [0.3, 0.2]
    assert summary(runs, ["norm"], METRICS["final_train_loss"])["best"].tolist() == [0.2]


def test_a_metric_that_some_runs_lack_is_counted_as_it_is():
    runs = table(("bn", 0, "done", 0.5), ("bn", 0, "done", None))
    assert summary(runs, ["norm"], METRICS["best_val_accuracy"])["n"].tolist() == [1]


def test_published_numbers_stand_beside_ours():
    runs = table(("bn", 0, "done", 0.5), ("bn", 0, "done", 0.7), ("none", 1, "done", 0.4))
    runs["published.best_val_accuracy"] = [0.65, 0.65, None]
    runs["published.final_train_loss"] = [None, None, 0.9]
    found = published(runs, ["norm"]).set_index(["norm", "metric"])
    assert len(found) == 2
    assert found.loc[("bn", "best_val_accuracy"), "difference"] == pytest.approx(-0.05)
    assert found.loc[("bn", "best_val_accuracy"), "n"] == 2
    assert found.loc[("none", "final_train_loss"), "measured"] == 1.0


def test_how_far_a_published_number_is_in_standard_deviations_of_a_run():
    """bn: 0.5 0.7, s^2 = 0.02, one degree; gn: 0.1 0.2 0.3, s^2 = 0.01, two: pooled 0.04 / 3."""
    runs = table(
        ("bn", 0, "done", 0.5), ("bn", 0, "done", 0.7), ("none", 1, "done", 0.4),
        ("none", 1, "diverged", None), *(("gn", 2, "done", value) for value in (0.1, 0.2, 0.3)),
    )  # fmt: skip
    runs["published.best_val_accuracy"] = [0.65, 0.65, 0.5, 0.5, 0.2, 0.2, 0.2]
    found = published(runs, ["norm"]).set_index("norm")["deviations"]
    assert found["bn"] == pytest.approx(-0.05 / (0.04 / 3) ** 0.5)
    assert found["gn"] == pytest.approx(0)
    assert np.isnan(found["none"])  # one run


def test_runs_that_are_all_equal_have_no_deviation():
    runs = table(("bn", 0, "done", 0.5), ("bn", 0, "done", 0.5))
    runs["published.best_val_accuracy"] = 0.65
    assert np.isnan(published(runs, ["norm"])["deviations"][0])
    assert np.isnan(pooled_std(runs.iloc[:1], "best_val_accuracy"))


def test_three_thousand_variants_are_summarised_as_each_alone_and_quickly():
    random = np.random.default_rng(0)
    rows = [(str(k // 3), k // 3, "done", random.random()) for k in range(9000)]
    runs = table(*rows)
    start = time.process_time()
    found = summary(runs, ["norm"], METRICS["best_val_accuracy"])
    assert time.process_time() - start < 1
    for number in (0, 1234, 2999):
        alone = summary(runs[runs["variant"] == number], ["norm"], METRICS["best_val_accuracy"])
        assert np.isnan(alone.pop("shrunk")[0])  # one variant is not the best of many
        assert found.drop(columns="shrunk").iloc[[number]].to_dict("records") == alone.to_dict(
            "records"
        )
        values = runs.loc[runs["variant"] == number, "best_val_accuracy"]
        ends = scipy_stats.t.interval(0.95, 2, values.mean(), scipy_stats.sem(values))
        assert found.loc[number, ["ci_low", "ci_high"]].tolist() == pytest.approx(
            np.clip(ends, 0, 1)
        )


def test_without_published_numbers_that_table_is_empty():
    assert published(table(("bn", 0, "done", 0.5)), ["norm"]).empty
