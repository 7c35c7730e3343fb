"""What a run leaves: whole files, in a schema that does not change unnoticed."""

import os
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from cnnlab.core.files import writable, write_file
from cnnlab.records import checkpoint, writer
from cnnlab.records.schema import METRICS, SCHEMA_VERSION, TIMING, Result, read_result
from cnnlab.records.writer import Record, open_record


def result_of(**changed) -> Result:
    given = {
        "run_id": "0" * 32, "name": "mine", "status": "done", "config": {}, "choices": {},
        "overrides": [], "data_fingerprint": "", "device": "cpu", "versions": {},
    }  # fmt: skip
    return Result(**{**given, **changed})


def test_the_schema_is_the_one_that_the_readers_know():
    """The names are an interface: notebooks of users read result.json."""
    assert set(Result.__dataclass_fields__) == {
        "schema_version", "run_id", "name", "status", "error", "config", "choices", "overrides",
        "data_fingerprint", "best_val_accuracy", "best_epoch", "final_train_loss",
        "final_train_accuracy", "final_val_accuracy", "test_accuracy", "initial_loss",
        "parameters", "macs", "seconds", "own_seconds", "stack_size", "stack", "device", "versions",
        "git_commit", "git_dirty", "sources",
    }  # fmt: skip
    assert METRICS == (
        "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr",
    )  # fmt: skip


def test_a_result_reads_back(tmp_path):
    open_record(tmp_path).finish(result_of(best_val_accuracy=0.5, error='"quoted" ünd\n<new>'))
    found = read_result(tmp_path)
    assert found["best_val_accuracy"] == 0.5
    assert found["error"] == '"quoted" ünd\n<new>'
    assert found["test_accuracy"] is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema_version": 1}', '"text"', "\x00\xff"]
)
def test_a_damaged_result_is_none(text, tmp_path):
    (tmp_path / "result.json").write_text(text, encoding="latin1")
    assert read_result(tmp_path) is None


def test_a_result_of_another_version_is_none(tmp_path):
    open_record(tmp_path).finish(result_of(schema_version=SCHEMA_VERSION + 1))
    assert read_result(tmp_path) is None


def test_a_number_that_is_not_finite_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        open_record(tmp_path).finish(result_of(best_val_accuracy=float("nan")))
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]  # it can go on


ROW, TIMES = dict.fromkeys(METRICS, 1), dict.fromkeys(TIMING, 1)


def begun(directory, run_id="a" * 32, made_with=None) -> Record:
    """A record of one epoch, whose weights are its best."""
    first = open_record(directory, run_id, made_with or {"device": "cpu"})
    first.outcome.best_val_accuracy, first.outcome.best_epoch = 0.5, 1
    first.best({"w": np.arange(3, dtype=np.float32)})
    first.add(ROW, TIMES, {"weights/w": np.ones(2, np.float32)})
    return first


def test_an_unfinished_record_is_continued(tmp_path):
    first = begun(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = open_record(tmp_path, "a" * 32, {"device": "cpu"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert (again.epoch, again.discarded) == (1, False)
    assert asdict(again.outcome) == asdict(first.outcome)
    assert again.state["weights/w"].tolist() == [1, 1]
    assert again.best_weights["w"].tolist() == [0, 1, 2]
    again.add({**ROW, "epoch": 2}, {**TIMES, "epoch": 2}, {})
    assert (tmp_path / "metrics.csv").read_text().count("\n") == 3
    assert (tmp_path / "timing.csv").read_text().count("\n") == 3


def test_seconds_are_of_all_tries_up_to_their_last_finished_epochs(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(writer, "time", SimpleNamespace(perf_counter=lambda: now))
    first = open_record(tmp_path, "a" * 32)
    now = 2.0
    first.add(ROW, TIMES, {})
    now = 5.0  # killed in its second epoch, and continued a day later
    assert first.seconds == 5
    now = 86400.0
    again = open_record(tmp_path, "a" * 32)
    assert again.seconds == 2
    now += 3
    again.add({**ROW, "epoch": 2}, {**TIMES, "epoch": 2}, {})
    assert again.seconds == open_record(tmp_path, "a" * 32).seconds == 5
    assert open_record(tmp_path, "b" * 32).seconds == 0


@pytest.mark.parametrize("lost", ["metrics.csv", "timing.csv", "best.safetensors"])
def test_the_checkpoint_alone_brings_back_the_other_files(lost, tmp_path):
    """A kill between two files leaves them in disagreement: the checkpoint counts."""
    begun(tmp_path)
    before = (tmp_path / lost).read_bytes()
    (tmp_path / lost).write_text("of an epoch that the checkpoint does not know")
    open_record(tmp_path, "a" * 32)
    assert (tmp_path / lost).read_bytes() == before


@pytest.mark.parametrize(
    ("run_id", "made_with"), [("b" * 32, {"device": "cpu"}), ("a" * 32, {"device": "cuda"})]
)
def test_an_unfinished_record_that_does_not_fit_is_begun_afresh(run_id, made_with, tmp_path):
    """Another run's, or of a device that computes other numbers."""
    begun(tmp_path)
    afresh = open_record(tmp_path, run_id, made_with)
    assert afresh.discarded
    assert (afresh.epoch, afresh.state, afresh.best_weights) == (0, {}, {})
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]
    afresh.add(ROW, TIMES, {})
    assert (tmp_path / "metrics.csv").read_text().count("\n") == 2
    assert not (tmp_path / "best.safetensors").exists()


def test_a_damaged_checkpoint_is_begun_afresh(tmp_path):
    begun(tmp_path)
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:-1])
    afresh = open_record(tmp_path, "a" * 32, {"device": "cpu"})
    assert (afresh.epoch, afresh.state) == (0, {})
    assert not (tmp_path / "metrics.csv").exists()


def test_what_a_killed_process_was_writing_is_cleared_away(tmp_path):
    (tmp_path / ".best.safetensors.part-abcd1234").touch()
    (tmp_path / ".mine").touch()
    open_record(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".mine", checkpoint.NAME}


def test_a_finished_record_keeps_no_checkpoint(tmp_path):
    begun(tmp_path).finish(result_of())
    assert {path.name for path in tmp_path.iterdir()} == {
        "metrics.csv", "timing.csv", "best.safetensors", "result.json",
    }  # fmt: skip


def test_a_failed_record_is_begun_again_and_its_result_is_gone(tmp_path):
    begun(tmp_path).finish(result_of(status="failed"))
    again = open_record(tmp_path, "a" * 32, {"device": "cpu"})
    assert again.epoch == 0
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]


def test_a_failed_record_with_its_checkpoint_goes_on(tmp_path):
    begun(tmp_path).finish(result_of(status="failed"), keep_checkpoint=True)
    again = open_record(tmp_path, "a" * 32, {"device": "cpu"})
    assert again.epoch == 1
    assert not (tmp_path / "result.json").exists()


def test_a_result_that_cannot_be_read_is_never_replaced(tmp_path):
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(FileExistsError, match=r"holds a result\.json that is not this run's"):
        open_record(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_weights_read_back_as_they_were(tmp_path):
    weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
    open_record(tmp_path).best(weights)
    found = load_file(tmp_path / "best.safetensors")
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    write_file(tmp_path / "file", "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_files_are_as_readable_as_the_user_lets_them_be(tmp_path):
    write_file(tmp_path / "file", "text")
    (tmp_path / "other").write_text("text")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_writable_says_why_not_and_leaves_nothing(tmp_path):
    assert writable(tmp_path / "new" / "folder") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert writable(tmp_path / "file" / "below") == "Not a directory"
