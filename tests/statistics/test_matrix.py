"""What becomes of a table of runs before its effects are tested: seeds, levels, baselines."""

import numpy as np
import pandas as pd
import pytest
from test_effects import METRIC, SMALLEST, averages, found, grid, lose, wave

from cnnlab.core.errors import Refused
from cnnlab.statistics.effects import against, effects
from cnnlab.statistics.matrix import DIVERGED, THERE, spread


def test_variants_are_rows_and_seeds_are_columns_whatever_the_order_of_the_runs():
    runs = lose(grid(3, wave, norm=["bn", "none"]), "diverged", norm="none", seed=1)
    table = spread(runs.sample(frac=1, random_state=0), ["norm"], METRIC)
    assert table.seeds.tolist() == [0, 1, 2]
    assert table.factors[0].levels == ["bn", "none"]
    assert table.states.tolist() == [[THERE] * 3, [THERE, DIVERGED, THERE]]
    assert table.values[0].tolist() == [wave({"norm": "bn"}, seed) for seed in range(3)]
    assert np.isnan(table.values[1, 1])


def test_the_same_seed_twice_is_one_observation():
    runs = grid(3, wave, norm=["bn", "none"])
    twice = pd.concat([runs, runs, lose(runs, "failed", seed=0)], ignore_index=True)
    pd.testing.assert_frame_equal(found(twice, ["norm"]), found(runs, ["norm"]))


def test_values_that_are_not_finite_and_runs_without_a_seed_do_not_count():
    runs = grid(4, wave, norm=["bn", "none"])
    runs.loc[0, METRIC] = np.inf
    runs = runs.astype({"seed": float})
    stray = runs.iloc[[1]].assign(seed=np.nan, status="unreadable")
    row = found(pd.concat([runs, stray], ignore_index=True), ["norm"]).iloc[0]
    assert (row["n_pairs"], row["lost_unmeasured"]) == (3, 1)


def test_the_baseline_is_none_or_the_first_or_what_is_asked_for():
    runs = grid(3, wave, norm=["bn", "none"], lr=[0.1, 0.2], clip=[1.0, None])
    names = ["norm", "lr", "clip"]

    def bases(**more):
        return averages(runs, names, **more).groupby("factor", sort=False)["baseline"].first()

    assert bases().tolist() == ["none", 0.1, 1.0]
    assert bases(baseline={"norm": "bn", "lr": 0.2})[:2].tolist() == ["bn", 0.2]
    assert bases(baseline={"lr": "2e-1"})["lr"] == 0.2  # as it is typed
    assert pd.isna(bases(baseline={"clip": None})["clip"])
    assert pd.isna(bases(baseline={"clip": "null"})["clip"])


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        ({"norm": "batchnorm"}, "Nearest: bn"), ({"nrom": "bn"}, "Nearest: norm"),
        ({"lr": 3}, "Allowed: 0.1, 0.2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("table_of", [effects, against])
def test_a_baseline_that_the_sweep_does_not_have_is_refused(baseline, told, table_of):
    runs = grid(3, wave, norm=["bn", "none"], lr=[0.1, 0.2])
    with pytest.raises(Refused, match=told):
        table_of(spread(runs, ["norm", "lr"], METRIC), baseline=baseline, smallest=SMALLEST)


NASTY = ["a,b", 'say "hi"', "Übung", "<script>alert(1)</script>", "=1+1", "a=b; c"]


def test_values_with_commas_quotes_umlauts_and_markup_are_kept_as_they_are():
    rows = found(grid(3, wave, norm=["none", *NASTY], lr=[0.1, 0.2]))
    assert rows[(rows["factor"] == "norm") & (rows["kind"] == "average")]["level"].tolist() == NASTY
    assert {f"norm={value}" for value in NASTY} <= set(rows["at"])
