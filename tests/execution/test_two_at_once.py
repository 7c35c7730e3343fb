"""Two commands at once in one folder of records: each run is trained once, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import SMALL, command, python_path
from kill import Sweep, subfolders

from cnnlab.records import locks

GRID = ("norm=bn,none", "lr=0.003,0.01", *SMALL, "epochs=12")


def by_run_id(*sweeps: Sweep):
    """Each record's folder; no run may have two."""
    found = {}
    for path in (path for sweep in sweeps for path in sweep.finished()):
        identity = json.loads(path.read_text())["run_id"]
        assert identity not in found
        found[identity] = path.parent
    return found


def assert_as(found, whole, begun=(1,)):
    """The records of `found` are among those of `whole`, byte for byte, each trained once.

    Args:
        begun: how often a run's log may tell of its first epoch
    """
    for identity, folder in found.items():
        for name in ("metrics.csv", "best.safetensors"):
            assert (folder / name).read_bytes() == (whole[identity] / name).read_bytes()
        assert (folder / "run.log").read_text().count("epoch   1 ") in begun, folder
        assert not (folder / "checkpoint").exists()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What the runs leave when nobody is beside them."""
    sweep = Sweep(tmp_path_factory.mktemp("alone"), (*GRID[:1], "lr=0.003,0.01,0.02", *GRID[2:]))
    assert sweep.run() == 0, sweep.printed()
    return by_run_id(sweep)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """The same command, typed twice in the same moment."""
    place = tmp_path_factory.mktemp("twice")
    sweeps = [Sweep(place, GRID, output=output) for output in ("first", "second")]
    with sweeps[0].started() as first, sweeps[1].started() as second:
        codes = [process.wait(120) for process in (first, second)]
    return sweeps, codes


def test_the_same_command_twice_trains_each_run_once(twice, alone):
    sweeps, codes = twice
    assert codes == [0, 0], [sweep.printed() for sweep in sweeps]
    found = by_run_id(sweeps[0])
    assert len(found) == 4
    assert_as(found, alone)


def test_both_commands_tell_of_all_runs_and_leave_nothing_behind(twice):
    sweeps, _ = twice
    for sweep in sweeps:
        assert "4 done, 0 diverged, 0 failed." in sweep.printed()
        assert "Traceback" not in sweep.printed()
    assert len(subfolders(sweeps[0].folder)) == 4
    assert len(json.loads((sweeps[0].folder / "plan.json").read_text())["runs"]) == 4
    assert list(sweeps[0].place.rglob("*.part-*")) == []


@pytest.mark.slow
def test_two_sweeps_that_share_runs_train_those_once(tmp_path, alone):
    sweeps = [
        Sweep(tmp_path, ("norm=bn,none", f"lr=0.003,{rate}", *GRID[2:]), name, output=name)
        for name, rate in (("p", 0.01), ("q", 0.02))
    ]
    with sweeps[0].started() as first, sweeps[1].started() as second:
        codes = [process.wait(120) for process in (first, second)]
    assert codes == [0, 0], [sweep.printed() for sweep in sweeps]
    found = by_run_id(*sweeps)
    assert found.keys() == alone.keys()
    assert_as(found, alone)
    reported = command("report", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    for sweep in sweeps:
        runs = pd.read_csv(sweep.folder / "report" / "runs.csv")
        assert runs["status"].tolist() == ["done"] * 4
        folders = [path for path in subfolders(sweep.folder) if not path.endswith("/report")]
        assert all(os.path.exists(f"{folder}/result.json") for folder in folders)


@pytest.mark.slow
def test_who_is_left_finishes_what_a_killed_command_had_in_hand(tmp_path, alone):
    sweeps = [Sweep(tmp_path, GRID, output=output) for output in ("first", "second")]
    with sweeps[1].started() as second:
        with sweeps[0].started() as first:
            while not list(sweeps[0].folder.glob("*/metrics.csv")):
                assert first.poll() is None
                assert second.poll() is None
                time.sleep(0.005)
            os.killpg(first.pid, signal.SIGKILL)
        assert second.wait(120) == 0, sweeps[1].printed()
    found = by_run_id(sweeps[1])
    assert len(found) == 4
    assert_as(found, alone, begun=(0, 1))  # 0: killed before it could tell


# --- the locks by themselves


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock `x`."""
    held = (
        "import sys, time, pathlib; from cnnlab.records import locks\n"
        "with locks.held(pathlib.Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_busy_while_another_process_holds_it(tmp_path, holder):
    with pytest.raises(locks.Busy), locks.held(tmp_path, "x", wait=False):
        pass
    with locks.held(tmp_path, "y", wait=False):
        pass


def test_a_lock_is_free_after_kill_9(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locks.held(tmp_path, "x", wait=False):
        pass


def test_who_waits_for_a_lock_gets_it_when_its_holder_is_killed(tmp_path, holder):
    began = time.monotonic()
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {holder.pid}"])
    with locks.held(tmp_path, "x"):
        assert 0.3 < time.monotonic() - began < 10
    killer.wait()


def test_locks_leave_nothing_but_an_empty_file(tmp_path, holder):
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [(".lock", 0)]
