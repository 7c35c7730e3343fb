"""What a report keeps of what it read: only what is new is read again, and nothing else changes."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sound import changed, directory, make, states

from cnnlab.records.reading import cache, found, sweeps


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("original"))


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return shutil.copytree(original, tmp_path / "outputs" / "mine")


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The records that are read from here on; it can be cleared."""
    names, read = [], found._record

    def spied(path, stamps):
        names.append(Path(path).name)
        return read(path, stamps)

    monkeypatch.setattr(found, "_record", spied)
    return names


def assert_as_read_anew(folder: Path) -> sweeps.Sweep:
    """Reads a sweep with what is kept of it; nothing differs from reading it without."""
    sweep, anew = sweeps.read(folder), sweeps.read(folder, cache=False)
    pd.testing.assert_frame_equal(sweep.runs, anew.runs)
    pd.testing.assert_frame_equal(sweep.epochs, anew.epochs)
    for name in ("factors", "settings", "counts", "problems", "signature"):
        assert getattr(sweep, name) == getattr(anew, name)
    return sweep


def test_what_has_not_changed_is_not_read_again(folder, opened):
    first = sweeps.read(folder)
    assert len(opened) == 3
    opened.clear()
    again = sweeps.read(folder)
    assert opened == []
    assert again.signature == first.signature == sweeps.signature(folder)
    assert_as_read_anew(folder)


def test_only_what_has_changed_is_read_again(folder, opened):
    before = sweeps.read(folder).signature
    changed(directory(folder) / "result.json", best_val_accuracy=0.75)
    opened.clear()
    sweep = sweeps.read(folder)
    assert opened == [directory(folder).name]
    assert sweep.signature != before
    assert assert_as_read_anew(folder).runs["best_val_accuracy"].tolist() == [0.75, 0.5, 0.5]


def test_a_new_record_is_read_and_the_others_are_not(folder, opened, tmp_path):
    late = directory(folder, "none")
    late.rename(tmp_path / "late")
    before = sweeps.read(folder)
    assert before.counts["pending"] == 1
    (tmp_path / "late").rename(late)
    opened.clear()
    sweep = sweeps.read(folder)
    assert opened == [late.name]
    assert sweep.signature != before.signature
    assert states(assert_as_read_anew(folder)) == ["done"] * 3


def test_a_record_that_was_taken_away_is_forgotten(folder):
    sweeps.read(folder)
    lost = directory(folder)
    shutil.rmtree(lost)
    assert states(assert_as_read_anew(folder)) == ["pending", "done", "done"]
    assert cache.load(folder)[lost.name].status == "pending"


def test_a_record_of_the_same_size_and_time_is_read_again(folder):
    """A copy that keeps its times, as rsync and cp -p make it."""
    path = directory(folder) / "result.json"
    sweeps.read(folder)
    times = path.stat()
    path.write_text(
        path.read_text().replace('"best_val_accuracy": 0.5', '"best_val_accuracy": 0.6')
    )
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    assert assert_as_read_anew(folder).runs["best_val_accuracy"][0] == 0.6


def test_what_is_wrong_is_told_again(folder):
    (directory(folder) / "result.json").write_text("{")
    path = directory(folder, "none") / "metrics.csv"
    path.write_text(path.read_text() + "3,0.")
    assert len(sweeps.read(folder).problems) == 2
    assert len(assert_as_read_anew(folder).problems) == 2


def test_settings_are_read_when_the_plan_is_gone(folder):
    sweeps.read(folder)
    (folder / "plan.json").unlink()
    sweep = assert_as_read_anew(folder)
    assert sweep.factors == ["norm"]
    assert states(sweep) == ["done"] * 3


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def garbage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def rows_missing(path: Path) -> None:
    with np.load(path) as file:
        kept = dict(file)
    np.savez(path, head=kept["head"], rows=kept["rows"][:-1])


def pickled(path: Path) -> None:
    """An array that runs code when it is unpickled."""

    class Bomb:
        def __reduce__(self):
            return os.mkdir, ("exploded",)

    with np.load(path) as file:
        told = file["head"]
    np.savez(path, head=told, rows=np.array([Bomb()], dtype=object))


@pytest.mark.parametrize("damage", [cut, garbage, empty, a_folder, rows_missing, pickled])
def test_without_a_sound_cache_everything_is_read(damage, folder, opened, tmp_path):
    sweeps.read(folder)
    damage(folder / cache.NAME)
    opened.clear()
    sweeps.read(folder)
    assert len(opened) == 3
    assert_as_read_anew(folder)
    assert not (tmp_path / "exploded").exists()


def test_a_cache_of_another_version_is_not_used(folder, opened, monkeypatch):
    before = sweeps.read(folder).signature
    opened.clear()
    monkeypatch.setattr(cache, "VERSION", "another")
    assert sweeps.read(folder).signature != before
    assert len(opened) == 3


def test_in_a_folder_that_cannot_be_written_nothing_is_kept(folder, monkeypatch):
    def denied(path, content):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(cache, "write_file", denied)
    assert states(sweeps.read(folder)) == ["done"] * 3
    assert not (folder / "report").exists()


def test_nothing_is_kept_of_a_folder_without_records(tmp_path):
    (tmp_path / "empty").mkdir()
    sweeps.read(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_signature_changes_with_the_plan(folder):
    before = sweeps.signature(folder)
    path = folder / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert sweeps.signature(folder) != before


def test_the_signature_does_not_change_with_what_a_report_writes(folder):
    before = sweeps.signature(folder)
    sweeps.read(folder)
    (folder / "report" / "summary.csv").touch()
    assert sweeps.signature(folder) == before
