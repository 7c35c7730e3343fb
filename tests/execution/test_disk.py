"""A full disk: one message, no damage, and the same command goes on when there is room again."""

import json
import resource
import subprocess
from contextlib import suppress

import pytest
from conftest import SMALL, python_path
from kill import Sweep
from safetensors.numpy import load_file

GRID = ("norm=bn,none", "lr=0.003,0.01", *SMALL, "epochs=4")

DISK = 2_000_000
"""Bytes; all four records take 400,000, and a run in training another 400,000."""


def result_of(path):
    return json.loads(path.read_text())


def assert_whole(sweep: Sweep, whole: dict) -> None:
    """What counts as finished is finished, and nothing is left half written."""
    for path in sweep.finished():
        result = result_of(path)
        assert result["status"] == "done"
        for name in ("metrics.csv", "best.safetensors"):
            expected = whole[result["run_id"]] / name
            assert (path.parent / name).read_bytes() == expected.read_bytes()
    for path in sweep.folder.glob("*/best.safetensors"):
        assert load_file(path)
    assert list(sweep.folder.rglob("*.part-*")) == []


def assert_told(sweep: Sweep) -> None:
    """One line that names the disk and the way on; nothing of Python's."""
    lines = sweep.printed().splitlines()
    assert lines[-1].startswith("The disk is full: ")
    assert lines[-1].endswith("Finished epochs are kept; the same command goes on from there.")
    assert sweep.printed().count("disk is full") == 1
    for word in ("Traceback", "Error", "failed"):
        assert word not in sweep.printed()


def fill(path) -> None:
    """A file that takes all the room there is."""
    with open(path, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """By run id, the records of a sweep that always had room."""
    sweep = Sweep(tmp_path_factory.mktemp("room"), GRID)
    assert sweep.run() == 0, sweep.printed()
    return {result_of(path)["run_id"]: path.parent for path in sweep.finished()}


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A small file system of its own, where one can be mounted."""
    place = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(place)],
        capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"A FULL DISK WAS NOT TESTED: none can be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_costs_no_finished_epoch(disk, tmp_path, whole):
    """First there is no room at all, then for two runs and a half, then for all."""
    sweep = Sweep(tmp_path, (*GRID, "hydra.launcher.workers=1"), outputs=f"{disk}/outputs")
    other = disk / "somebody else's"
    fill(other)
    assert sweep.run() == 1
    assert_told(sweep)
    assert sweep.finished() == []
    with open(other, "r+b") as file:
        file.truncate(DISK - 600_000)
    assert sweep.run() == 1
    assert_told(sweep)
    assert 0 < len(sweep.finished()) < 4
    assert_whole(sweep, whole)
    other.unlink()
    before = {path: path.stat().st_mtime_ns for path in sweep.finished()}
    assert sweep.run() == 0, sweep.printed()
    assert len(sweep.finished()) == 4
    assert before.items() <= {p: p.stat().st_mtime_ns for p in sweep.finished()}.items()
    assert_whole(sweep, whole)
    assert list(sweep.folder.glob("*/checkpoint")) == []


@pytest.mark.slow
def test_files_that_may_not_grow_are_a_full_disk_too(tmp_path, whole):
    """A limit of 100 kB a file: best.safetensors fits in, a checkpoint does not."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    sweep = Sweep(tmp_path, GRID, before=limit)
    assert sweep.run() == 1
    assert_told(sweep)
    assert sweep.finished() == []
    assert_whole(sweep, whole)
    sweep.before = None
    assert sweep.run() == 0, sweep.printed()
    assert len(sweep.finished()) == 4
    assert_whole(sweep, whole)


@pytest.mark.slow
def test_a_disk_that_is_full_when_all_runs_are_done_is_told_too(tmp_path, whole):
    """No room for the last plan.json: the runs are done all the same."""
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, cnnlab.records.plan_file\n"
        "write, calls = cnnlab.records.plan_file.write, []\n"
        "def full(*given, **more):\n"
        "    calls.append(given)\n"
        "    if len(calls) > 2: raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    write(*given, **more)\n"
        "cnnlab.records.plan_file.write = full\n"
    )
    sweep = Sweep(tmp_path, GRID, environment={"PYTHONPATH": python_path(tmp_path)})
    assert sweep.run() == 1
    assert "Traceback" not in sweep.printed()
    assert "The disk is full: " in sweep.printed()
    assert len(sweep.finished()) == 4
    assert_whole(sweep, whole)
