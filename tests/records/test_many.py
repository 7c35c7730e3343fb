"""Several sweeps read as one."""

import pytest
from test_sweeps import sweep_on_disk

from cnnlab.core.errors import Refused
from cnnlab.records.reading import sweeps


def read(planned, *names):
    return sweeps.read_many(planned.outputs, names)


def of(sweep, *columns):
    return list(sweep.runs[list(columns)].itertuples(index=False, name=None))


def test_a_run_that_two_sweeps_have_counts_once():
    sweep_on_disk("norm=bn,none", "name=a")
    planned = sweep_on_disk("norm=none,gn", "name=b")
    sweep = read(planned, "a", "b")
    assert sweep.name == "a,b"
    assert sweep.factors == ["norm"]
    assert of(sweep, "norm", "sweep") == [("bn", "a"), ("none", "a+b"), ("gn", "b")]
    assert len(sweep.epochs) == 6
    assert sweep.counts["done"] == 3
    for directory in sweep.runs["directory"]:
        assert (sweep.folder / directory / "result.json").is_file()
        assert sweep.config(directory)["epochs"] == 30


def test_seeds_of_one_variant_are_pooled_where_the_sweeps_differ_otherwise():
    sweep_on_disk("norm=bn,none", "name=a", "seed=0,1")
    sweep = read(sweep_on_disk("norm=none,gn", "name=b", "seed=2"), "a", "b")
    assert sweep.factors == ["norm"]
    assert of(sweep, "norm", "seed", "variant") == [
        ("bn", 0, 0), ("bn", 1, 0), ("none", 0, 1), ("none", 1, 1), ("none", 2, 1), ("gn", 2, 2),
    ]  # fmt: skip


def test_a_setting_in_which_sweeps_differ_is_a_factor():
    sweep_on_disk("norm=bn,none", "name=a", "epochs=2")
    sweep = read(sweep_on_disk("norm=bn,none", "name=b", "epochs=3"), "a", "b")
    assert sweep.factors == ["norm", "epochs"]
    assert sweep.runs["variant"].nunique() == 4


def test_the_sweep_is_a_factor_where_nothing_else_tells_sweeps_apart():
    sweep_on_disk("norm=bn,none", "name=a", "seed=0,1")
    sweep = read(sweep_on_disk("norm=bn,none", "name=b", "seed=2,3"), "a", "b")
    assert sweep.factors == ["sweep", "norm"]
    assert sweep.runs["variant"].nunique() == 4
    assert sweep.epochs["sweep"].unique().tolist() == ["a", "b"]


def test_of_a_run_that_one_sweep_has_not_trained_the_others_record_counts():
    planned = sweep_on_disk("norm=bn,none", "name=a", status=lambda run: "pending")
    for run in planned.runs:
        assert not run.directory.exists()
    other = sweep_on_disk("norm=bn,gn", "name=b")
    sweep = read(other, "a", "b")
    assert of(sweep, "norm", "status") == [
        ("bn", "done"), ("none", "pending"), ("gn", "done"),
    ]  # fmt: skip


def test_sweeps_on_different_data_are_never_pooled():
    sweep_on_disk("norm=bn,none", "name=a", "data.seed=1")
    planned = sweep_on_disk("norm=bn,none", "name=b", "data.seed=2")
    marks = [sweeps.read(planned.outputs / name).runs["fingerprint"][0] for name in "ab"]
    assert marks[0] != marks[1]
    with pytest.raises(Refused) as refused:
        read(planned, "a", "b")
    for name, mark in zip("ab", marks, strict=True):
        assert f"{name} is on synthetic ({mark})" in str(refused.value)


def test_sweeps_that_vary_the_same_data_are_pooled():
    sweep_on_disk("data.seed=1,2", "name=a")
    sweep = read(sweep_on_disk("data.seed=2,1", "norm=bn", "name=b"), "a", "b")
    assert "data.seed" in sweep.factors
    assert len(sweep.runs) == 4


def test_a_sweep_that_is_not_there_is_refused():
    planned = sweep_on_disk("norm=bn,none", "name=a")
    with pytest.raises(Refused, match=r"x: no such sweep below outputs\. There are: a\."):
        read(planned, "a", "x")


def test_a_sweep_given_twice_is_read_once():
    planned = sweep_on_disk("norm=bn,none", "name=a")
    assert len(read(planned, "a", "a").runs) == 2


def test_what_is_wrong_with_each_is_told():
    sweep_on_disk("norm=bn,none", "name=a")
    planned = sweep_on_disk("norm=gn,ln", "name=b")
    for name in "ab":
        (planned.outputs / name / "plan.json").unlink()
    problems = read(planned, "a", "b").problems
    assert [problem.path for problem in problems] == ["a/plan.json", "b/plan.json"]
