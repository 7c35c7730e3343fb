"""What becomes of a command whose reader, terminal or patience is gone."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest
from conftest import SMALL, command, injected, python_path, until
from kill import Sweep

from cnnlab.records import checkpoint

SWEEP = ("-m", *SMALL, "norm=bn,none,gn", "epochs=2", "name=s", "hydra.launcher.workers=1")


def environment():
    return {**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("typed", ["run --help", "run --cfg job", "report --help"])
def test_head_gets_its_line_and_nobody_complains(typed, tmp_path):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m cnnlab.{typed} | head -1"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_sweep_goes_on_when_nobody_reads_what_it_prints(tmp_path):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m cnnlab.run {' '.join(SWEEP)} | head -1"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == "Sweep s: 3 runs, 3 to train.\n"
    assert done.stderr == "Nobody reads the output any more; the sweep goes on without it.\n"
    assert len(list(tmp_path.glob("outputs/s/*/result.json"))) == 3


def test_a_closed_terminal_ends_a_sweep_after_its_epoch(tmp_path):
    ours, theirs = pty.openpty()

    def own_terminal():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, "-m", "cnnlab.run", *SMALL, "epochs=3000", "name=s"],
        cwd=tmp_path, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        preexec_fn=own_terminal,
    )  # fmt: skip
    os.close(theirs)
    try:
        until(lambda: list(tmp_path.glob("outputs/s/*/metrics.csv")), process)
        os.close(ours)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    (folder,) = tmp_path.glob("outputs/s/*-*")
    assert checkpoint.read(folder).epoch >= 1
    assert not (folder / "result.json").exists()


def test_a_sweep_under_nohup_outlives_its_terminal(tmp_path):
    sweep = Sweep(
        tmp_path, (*SMALL, "epochs=100"),
        before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    with sweep.started() as process:
        until(lambda: list(sweep.folder.glob("*/checkpoint")), process)
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(60) == 0, sweep.printed()


@pytest.mark.parametrize(
    ("module", "imported"),
    [("run", "hydra"), ("run", "pydantic"), ("run", "numpy"), ("run", "torch"),
     ("report", "numpy"), ("report", "pandas"), ("report", "rich.table")],
)  # fmt: skip
def test_ctrl_c_while_a_module_is_imported_is_a_line(module, imported, tmp_path):
    """The signal comes in the very moment in which the import begins."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def hook(event, arguments):\n"
        f"    if event == 'import' and arguments[0] == {imported!r} and sys.argv[0] != '-c':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.addaudithook(hook)\n"
    )
    typed = ("norm=bn", *SMALL) if module == "run" else ()
    done = command(module, *typed, cwd=tmp_path, environment=injected(tmp_path, code))
    assert done.returncode == 130
    assert done.stderr.startswith("Interrupted.")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("gigabytes", [1, 3.3])
def test_a_limit_on_memory_is_told_in_a_line(gigabytes, tmp_path):
    """1 GB: PyTorch cannot be imported. 3.3 GB: it can, and nothing after it."""
    typed = f"ulimit -v {gigabytes * 10**6:.0f}; {sys.executable} -m cnnlab.run"
    done = subprocess.run(
        ["bash", "-c", f"{typed} {' '.join((*SMALL, 'epochs=1'))}"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if gigabytes > 1 and done.returncode == 0:
        pytest.skip("a PyTorch that takes less")
    assert "(RLIMIT_AS)" in done.stderr
    assert "Traceback" not in done.stderr
    assert "terminate called" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode in (1, 2)
