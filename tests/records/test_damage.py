"""Damaged records: a report says what is wrong with them, and never counts it."""

import os
import shutil
from pathlib import Path

import pytest
from sound import assert_first_is_lost, changed, directory, make, states, the_problem

from cnnlab.records.reading import found, sweeps

HEAD = "epoch,train_loss,train_accuracy,val_loss,val_accuracy,lr\n"
ROW = "{},0.1,0.5,0.1,0.5,0.1\n"
GOOD = HEAD + ROW.format(1) + ROW.format(2)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("original"))


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return shutil.copytree(original, tmp_path / "outputs" / "mine")


def test_nothing_is_wrong_with_a_sound_sweep(folder):
    sweep = sweeps.read(folder)
    assert sweep.problems == []
    assert sweep.counts == {"done": 3, "diverged": 0, "failed": 0, "pending": 0, "unreadable": 0}


# --- result.json


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cut short"), (b'{"schema_version": 1, "run', "cut short"), (b"[]", "incomplete"),
        (b'{"schema_version": 1}', "it has no best_epoch"), (b"[" * 100_000, "no JSON"),
        (b'{"schema_version": 99}', "of schema version 99; this program reads version 1"),
        (b'\xff\xfe{"status": "done"}', "not UTF-8"), (b'"text"', "incomplete"),
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_read_does_not_count(content, told, folder):
    (directory(folder) / "result.json").write_bytes(content)
    assert_first_is_lost(folder, "result.json", told)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "finished"), ("status", ["done"]), ("run_id", 7), ("config", None),
        ("choices", []), ("stack_size", "many"), ("error", {}), ("device", None),
    ],
)  # fmt: skip
def test_a_result_with_values_of_a_wrong_type_does_not_count(key, value, folder):
    changed(directory(folder) / "result.json", **{key: value})
    assert_first_is_lost(folder, "result.json", f"no valid {key}")


def test_text_that_no_file_can_hold_does_not_count(folder):
    changed(directory(folder) / "result.json", error="half a pair: \ud800")
    assert_first_is_lost(folder, "result.json", "not UTF-8")


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e999", '"0.9"', "true", "[]", "-0.1", "1.5", "1" + "0" * 400]
)
def test_what_is_no_accuracy_is_no_number_in_the_table(value, folder):
    path = directory(folder) / "result.json"
    text = path.read_text()
    path.write_text(text.replace('"best_val_accuracy": 0.5', f'"best_val_accuracy": {value}'))
    assert path.read_text() != text
    sweep = sweeps.read(folder)
    assert "best_val_accuracy is" in the_problem(sweep)[1]
    assert states(sweep) == ["done"] * 3
    assert sweep.runs["best_val_accuracy"].isna().tolist() == [True, False, False]


def test_a_result_that_is_a_folder(folder):
    path = directory(folder) / "result.json"
    path.unlink()
    path.mkdir()
    assert_first_is_lost(folder, "result.json", "is a folder")


def test_a_result_that_is_a_pipe_is_not_waited_for(folder):
    path = directory(folder) / "result.json"
    path.unlink()
    os.mkfifo(path)
    assert_first_is_lost(folder, "result.json", "no file")


def test_a_loop_of_links(folder):
    path = directory(folder)
    shutil.rmtree(path)
    path.symlink_to(path.name)
    assert_first_is_lost(folder, "result.json", "symbolic links")


def test_a_name_that_the_system_does_not_take(folder):
    lost = directory(folder)
    path = folder / "plan.json"
    path.write_text(path.read_text().replace(lost.name, "x" * 300))
    shutil.rmtree(lost)
    assert "too long" in the_problem(sweeps.read(folder))[1]


def test_a_folder_without_rights(folder, monkeypatch):
    """The tests may run as root, whom no folder keeps out."""
    closed, stat = str(directory(folder)), os.stat

    def denied(path, **options):
        if str(path).startswith(closed):
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(found.os, "stat", denied)
        sweep = sweeps.read(folder)
    assert states(sweep) == ["unreadable", "done", "done"]
    assert "Permission denied" in the_problem(sweep)[1]
    assert "chmod" in sweep.problems[0].remedy
    assert states(sweeps.read(folder)) == ["done"] * 3


def test_a_file_that_could_not_be_opened_is_tried_again(folder, monkeypatch):
    def broken(path, *rest, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(found, "open", broken, raising=False)
    (folder / "plan.json").unlink()
    sweep = sweeps.read(folder)
    assert sweep.counts["unreadable"] == 3
    assert sweep.signature != sweeps.signature(folder)
    monkeypatch.undo()
    assert sweeps.read(folder).counts["done"] == 3


# --- metrics.csv


@pytest.mark.parametrize(
    ("content", "epochs", "told"),
    [
        (HEAD + ROW.format(1) + "2,0.1,0.5,0.", [1], "last line is half-written"),
        (HEAD + ROW.format(1) + "2,0.1,0.5,0.1,0.5,0.1", [1], "last line is half-written"),
        (HEAD + ROW.format(1) + "\0\0ü,\n" + ROW.format(2), [1, 2], "1 of its lines"),
        (HEAD + ROW.format(1) + "1,2\n,,\n\n" + ROW.format(2), [1, 2], "3 of its lines"),
        (HEAD + "1,a,b,c,d,e\n" + ROW.format(2), [2], "1 of its lines"),
        (HEAD + '1,"0.1,0.5,0.1,0.5,0.1\n' + ROW.format(2), [2], "1 of its lines"),
        (HEAD + "0,0,0,0,0,0\n" + ROW.format(2), [2], "1 of its lines"),
        (ROW.format(1) + ROW.format(2), [], "first line"),
        ("epoch,loss\n1,0.5\n", [], "first line"), (HEAD.strip(), [], "missing or empty"),
        (GOOD + ROW.format(1) + ROW.format(2), [1, 2], "epochs twice"),
        (HEAD + ROW.format(2) + ROW.format(1), [2], "out of order"),
        (HEAD + ROW.format(1) + ROW.format(3), [1, 3], "epochs are missing"),
        (HEAD + "1,0.1,0.5,0.1,0.4,0.1\n", [1], "last epoch is not the one of result.json"),
        ("", [], "missing or empty"),
    ],
)  # fmt: skip
def test_the_sound_lines_of_a_curve_count(content, epochs, told, folder):
    (directory(folder) / "metrics.csv").write_text(content, encoding="latin1")
    sweep = sweeps.read(folder)
    path, what = the_problem(sweep)
    assert path == f"mine/{directory(folder).name}/metrics.csv"
    assert told in what
    assert states(sweep) == ["done"] * 3
    assert sweep.epochs.query("norm == 'bn'")["epoch"].tolist() == epochs
    assert sweep.epochs.query("norm != 'bn'")["epoch"].tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "-0.5", "1.5"])
def test_what_is_no_accuracy_is_no_number_in_a_curve(value, folder):
    text = HEAD + ROW.format(1).replace(",0.5,", f",{value},", 1) + ROW.format(2)
    (directory(folder) / "metrics.csv").write_text(text)
    sweep = sweeps.read(folder)
    assert "a value is missing, not finite or impossible" in the_problem(sweep)[1]
    curve = sweep.epochs.query("norm == 'bn'")
    assert curve["train_accuracy"].isna().tolist() == [True, False]
    assert curve["val_accuracy"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("value", ["1e999", "9" * 400])
def test_a_number_that_no_float_holds_costs_its_line(value, folder):
    text = HEAD + ROW.format(1) + ROW.format(2).replace(",0.5,", f",{value},", 1)
    (directory(folder) / "metrics.csv").write_text(text)
    sweep = sweeps.read(folder)
    assert sweep.epochs.query("norm == 'bn'")["epoch"].tolist() == [1]
    assert any("cannot be read" in problem.what for problem in sweep.problems)


def test_a_curve_that_was_saved_on_windows_is_sound(folder):
    (directory(folder) / "metrics.csv").write_bytes(GOOD.replace("\n", "\r\n").encode())
    sweep = sweeps.read(folder)
    assert sweep.problems == []
    assert len(sweep.epochs) == 6


@pytest.mark.parametrize("kind", ["folder", "nothing"])
def test_a_run_without_its_curve_counts_by_its_result(kind, folder):
    path = directory(folder) / "metrics.csv"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    sweep = sweeps.read(folder)
    assert ("is missing" if kind == "nothing" else "is a folder") in the_problem(sweep)[1]
    assert states(sweep) == ["done"] * 3
    assert sweep.epochs["norm"].unique().tolist() == ["none", "gn"]


def test_the_curve_of_a_run_in_training_may_be_half_written(folder):
    (directory(folder) / "result.json").unlink()
    (directory(folder) / "metrics.csv").write_text(GOOD + "3,0.")
    sweep = sweeps.read(folder)
    assert sweep.problems == []
    assert states(sweep) == ["pending", "done", "done"]
    assert sweep.runs["epoch"].tolist() == [2, 2, 2]
    assert "bn" not in sweep.epochs["norm"].tolist()
