"""What a run leaves: whole files, in a schema that does not change unnoticed."""

import os

import numpy as np
import pytest
from safetensors.numpy import load_file

from cnnlab import record
from cnnlab.record import Record, Result, read_result


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
        "parameters", "macs", "seconds", "stack_size", "device", "versions", "git_commit",
        "git_dirty",
    }  # fmt: skip
    assert record.METRICS == (
        "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr",
    )  # fmt: skip


def test_a_result_reads_back(tmp_path):
    Record(tmp_path).finish(result_of(best_val_accuracy=0.5, error='"quoted" ünd\n<new>'))
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
    Record(tmp_path).finish(result_of(schema_version=record.SCHEMA_VERSION + 1))
    assert read_result(tmp_path) is None


def test_a_number_that_is_not_finite_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        Record(tmp_path).finish(result_of(best_val_accuracy=float("nan")))
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_record_is_begun_afresh(tmp_path):
    first = Record(tmp_path)
    row = dict.fromkeys(record.METRICS, 1)
    first.epoch(row, dict.fromkeys(record.TIMING, 1))
    first.best({"w": np.zeros(3, np.float32)})
    Record(tmp_path).epoch(row, dict.fromkeys(record.TIMING, 1))
    assert (tmp_path / "metrics.csv").read_text().count("\n") == 2
    assert not (tmp_path / "best.safetensors").exists()


def test_weights_read_back_as_they_were(tmp_path):
    weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
    Record(tmp_path).best(weights)
    found = load_file(tmp_path / "best.safetensors")
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    record.write(tmp_path / "file", "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        record.write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_files_are_as_readable_as_the_user_lets_them_be(tmp_path):
    record.write(tmp_path / "file", "text")
    (tmp_path / "other").write_text("text")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_writable_says_why_not_and_leaves_nothing(tmp_path):
    assert record.writable(tmp_path / "new" / "folder") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert record.writable(tmp_path / "file" / "below") == "Not a directory"
