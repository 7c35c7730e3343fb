"""Damaged sweeps: records twice or in the wrong place, damaged plans, folders without rights."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from sound import assert_first_is_lost, changed, directory, make, states, the_problem

from cnnlab.records.reading import sweeps


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("original"))


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return shutil.copytree(original, tmp_path / "outputs" / "mine")


# --- which record counts


def test_a_copied_run_counts_once(folder):
    copy = shutil.copytree(directory(folder), folder / "a-copy")
    sweep = sweeps.read(folder)
    path, what = the_problem(sweep)
    assert path == f"mine/{copy.name}"
    assert f"Only {directory(folder).name} counts" in what
    assert len(sweep.runs) == 3
    assert len(sweep.epochs) == 6


def test_without_a_plan_the_first_of_several_records_counts(folder):
    (folder / "plan.json").unlink()
    shutil.copytree(directory(folder), folder / "a-copy")
    sweep = sweeps.read(folder)
    assert [problem.path for problem in sweep.problems] == [
        "mine/plan.json", f"mine/{directory(folder).name}",
    ]  # fmt: skip
    assert "a-copy" in sweep.runs["directory"].tolist()
    assert len(sweep.runs) == 3


def test_a_record_that_was_renamed_still_counts(folder):
    directory(folder).rename(folder / "mine-now")
    sweep = sweeps.read(folder)
    assert sweep.problems == []
    assert states(sweep) == ["done"] * 3
    assert sweep.runs["directory"][0] == "mine-now"


def test_another_runs_record_does_not_count(folder):
    shutil.copy(directory(folder, "gn") / "result.json", directory(folder))
    assert_first_is_lost(folder, "", "plan.json names run")


def test_an_unfinished_run_that_no_plan_names_is_told(folder):
    (folder / "plan.json").unlink()
    (directory(folder) / "result.json").unlink()
    sweep = sweeps.read(folder)
    assert len(sweep.runs) == 2
    assert "unfinished" in sweep.problems[1].what


def test_a_damaged_record_without_a_plan_is_counted_but_is_no_variant(folder):
    (folder / "plan.json").unlink()
    (directory(folder) / "result.json").write_text("{")
    sweep = sweeps.read(folder)
    assert len(sweep.runs) == 2
    assert sweep.counts["unreadable"] == 1


# --- plan.json


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cut short"), ("[]", "incomplete"), ('{"schema_version": 0}', "schema version 0"),
        ('{"schema_version": 1}', "incomplete"), ("\xff", "not UTF-8"), (None, "there is none"),
    ],
)  # fmt: skip
def test_without_a_sound_plan_the_results_tell_the_sweep(content, told, folder):
    path = folder / "plan.json"
    path.unlink() if content is None else path.write_text(content, encoding="latin1")
    sweep = sweeps.read(folder)
    place, what = the_problem(sweep)
    assert place == "mine/plan.json"
    assert told in what
    assert "cannot be counted" in what
    assert states(sweep) == ["done"] * 3
    assert sweep.factors == ["norm"]


def run_of(**changed) -> dict:
    return {"run_id": "0", "directory": "x", "settings": {}, "published": {}, **changed}


@pytest.mark.parametrize(
    "values",
    [
        {"factors": "norm"}, {"factors": [1]}, {"settings": []}, {"settings": {"lr.base": [1]}},
        {"runs": {}, "settings": None}, {"runs": "abc"}, {"runs": [3]}, {"baseline": [1]},
        {"settings": {"lr.base": float("nan")}}, {"runs": [run_of(run_id=1)]},
        {"runs": [run_of(directory=None)]}, {"runs": [run_of(settings={"norm": {}})]},
        {"runs": [run_of(published={"a": "b"})]}, {"runs": [run_of(published=[])]},
        {"runs": [run_of(directory="/etc")]}, {"runs": [run_of(directory="../../x")]},
        {"settings": {"status": "done"}}, {"runs": [run_of(settings={"epoch": 3})]},
    ],
)  # fmt: skip
def test_a_plan_with_values_of_a_wrong_type_is_not_used(values, folder):
    changed(folder / "plan.json", **values)
    sweep = sweeps.read(folder)
    assert the_problem(sweep)[0] == "mine/plan.json"
    assert states(sweep) == ["done"] * 3


def test_a_plan_that_is_a_folder(folder):
    (folder / "plan.json").unlink()
    (folder / "plan.json").mkdir()
    assert "is a folder" in the_problem(sweeps.read(folder))[1]


def test_a_plan_that_names_a_run_twice(folder):
    path = folder / "plan.json"
    runs = json.loads(path.read_text())["runs"]
    changed(path, runs=[*runs, {**runs[0], "directory": "other"}])
    sweep = sweeps.read(folder)
    assert "twice" in the_problem(sweep)[1]
    assert states(sweep) == ["done"] * 3


# --- the folder of all


def test_a_sweep_that_is_a_loop_of_links_is_told(folder):
    outputs = folder.parent
    (outputs / "loop").symlink_to("loop")
    assert [each.name for each in sweeps.folders(outputs)] == ["loop", "mine"]
    sweep = sweeps.read(outputs / "loop")
    assert len(sweep.runs) == 0
    assert "symbolic links" in sweep.problems[-1].what
    assert not (outputs / "loop" / "report").exists()


def test_a_sweep_without_rights_is_told(folder, monkeypatch):
    listdir = os.listdir

    def denied(path):
        if str(path) == str(folder):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(sweeps.counted.os, "listdir", denied)
    (folder / "plan.json").unlink()
    assert sweeps.folders(folder.parent) == [folder]
    sweep = sweeps.read(folder)
    assert sweep.runs.empty
    assert sweep.problems[-1].path == "mine"
    assert "Permission denied" in sweep.problems[-1].what


@pytest.mark.parametrize("seed", range(40))
def test_no_damage_is_a_crash(seed, folder):
    """A file is cut somewhere, or bytes of it are replaced; what is left still has its types."""
    draws = random.Random(seed)
    files = [folder / "plan.json", *sorted(folder.glob("*/*.json")), *sorted(folder.glob("*/m*"))]
    for path in draws.sample(files, 2):
        data = bytearray(path.read_bytes())
        for _ in range(draws.choice([1, 3, 50])):
            data[draws.randrange(len(data))] = draws.randrange(256)
        path.write_bytes(data[: draws.choice([len(data), draws.randrange(len(data))])])
    sweep = sweeps.read(folder)
    assert sum(sweep.counts.values()) <= 6
    assert set(sweep.runs["status"]) <= set(sweeps.STATES)
    assert sweep.runs["best_val_accuracy"].dropna().between(0, 1).all()
    assert sweep.epochs["val_accuracy"].dropna().between(0, 1).all()
