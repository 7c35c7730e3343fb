"""Nothing stays in the folder for temporary files, however a command ended."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import SMALL, python_path, until
from kill import Sweep

HOLDER = """
import sys, time
from cnnlab.execution.workers import temporary
print(temporary.own_folder(), flush=True)
time.sleep(60)
"""


def left(place):
    return sorted(path.name for path in place.iterdir())


def test_a_long_name_of_the_place_is_no_fault(tmp_path):
    """The longest name of a socket is 107 characters on Linux."""
    place = tmp_path / ("long" * 20)
    place.mkdir()
    sweep = Sweep(tmp_path, ("epochs=1", *SMALL), environment={"TMPDIR": str(place)})
    assert sweep.run() == 0, sweep.printed()


def holder(place):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": python_path(), "TMPDIR": str(place)},
    )  # fmt: skip
    return process, process.stdout.readline().strip()


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    short,
):
    first, folder = holder(short)
    second, another = holder(short)
    assert os.path.isdir(folder)
    first.kill()
    first.communicate()
    assert os.path.isdir(folder)
    third, _ = holder(short)
    assert not os.path.exists(folder)
    assert os.path.isdir(another)
    for process in (second, third):
        process.kill()
        process.communicate()


@pytest.fixture
def short():
    """A folder whose name leaves room for that of a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_sweep_that_is_killed_leaves_nothing_once_another_one_has_run(short, tmp_path):
    typed = ("norm=bn,none", *SMALL, "epochs=60")
    sweep = Sweep(tmp_path, typed, environment={"TMPDIR": str(short)})
    with sweep.started() as process:
        until(lambda: list(sweep.folder.glob("*/checkpoint")), process)
        os.killpg(process.pid, signal.SIGKILL)
    assert len(left(short)) == 1
    assert any(path.name.startswith("pymp-") for path in short.glob("cnnlab-*/*"))
    assert sweep.run() == 0, sweep.printed()
    assert left(short) == []
