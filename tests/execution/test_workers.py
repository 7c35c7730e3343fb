"""What a bad run, a dying worker or a person's Ctrl-C costs: that run, that try, that epoch.

The faults are put into real processes by a `sitecustomize.py`, into the forward pass of Mish: the
run with activation=mish is the bad one, the others are good.
"""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from conftest import SMALL, epochs, injected, told_again, trainer_of, until
from kill import Sweep, alive

GOOD = ("relu", "elu", "tanh", "silu", "gelu")
SIX = (f"activation={','.join(('relu', 'mish', *GOOD[1:]))}", *SMALL, "epochs=3")
LONG = ("norm=bn,none", "lr=0.003", *SMALL, "epochs=150")

FAULTS = {
    "raise": "raise RuntimeError('broken on purpose')",
    "nan": "return x * float('nan')",
    "exit": "os._exit(3)",
    "segv": "ctypes.string_at(0)",
    "memory": "torch.empty(1 << 50)",
    "hang": "while True: time.sleep(1)",
}

TOLD = {
    "raise": "RuntimeError: broken on purpose",
    "exit": "its process ended with exit code 3, 2 times",
    "segv": "its process was killed by SIGSEGV, 2 times",
    "memory": "DefaultCPUAllocator: can't allocate memory",
    "hang": "hung: not done after hydra.launcher.timeout=5 s",
}
"""The reason that a failed run is recorded with."""


def faulty(place: Path, kind: str, arguments=SIX, **more) -> Sweep:
    """A sweep whose run with Mish has a fault, but not yet where its parts are tried (2 images)."""
    environment = injected(
        place,
        "import ctypes, os, time, torch\n"
        "original = torch.nn.Mish.forward\n"
        "def broken(self, x):\n"
        "    if self.training and x.shape[0] > 2:\n"
        f"        {FAULTS[kind]}\n"
        "    return original(self, x)\n"
        "torch.nn.Mish.forward = broken\n",
    )
    return Sweep(place, arguments, environment=environment, **more)


def mended(sweep: Sweep, *more: str) -> Sweep:
    """The same command without the fault."""
    return Sweep(sweep.place, (*sweep.arguments, *more), sweep.name)


def records(sweep: Sweep, group: str = "activation") -> dict[str, tuple[Path, dict]]:
    """Each finished run's folder and result, by its option in a config group."""
    found = {path.parent: json.loads(path.read_text()) for path in sweep.finished()}
    return {result["choices"][group]: (folder, result) for folder, result in found.items()}


def assert_equal(one: Path, other: Path) -> None:
    for name in ("metrics.csv", "best.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), (one, name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The six runs, without any fault."""
    sweep = Sweep(tmp_path_factory.mktemp("whole"), SIX)
    assert sweep.run() == 0, sweep.printed()
    return records(sweep)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Two runs of seconds, never interrupted."""
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), LONG)
    assert sweep.run() == 0, sweep.printed()
    return records(sweep, "norm")


# --- a bad run


SLOW = ("raise", "nan", "segv", "memory")
"""tests/test_run.py has a short test of the first two; the others are treated as `exit` is."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=pytest.mark.slow if kind in SLOW else ()) for kind in FAULTS],
)
def bad(request, tmp_path_factory):
    """The kind of fault, the sweep after its end, and its exit code."""
    kind = request.param
    limit = ("hydra.launcher.timeout=5",) if kind == "hang" else ()
    sweep = faulty(tmp_path_factory.mktemp(kind), kind, (*SIX, *limit))
    return kind, sweep, sweep.run()


def test_a_bad_run_is_recorded_told_and_counted(bad):
    kind, sweep, code = bad
    folder, result = records(sweep)["mish"]
    assert code == 1
    if kind == "nan":
        assert result["status"] == "diverged"
        assert result["error"].startswith("the loss is not finite at epoch 1, step 1")
        assert "5 done, 1 diverged, 0 failed." in sweep.printed()
        return
    assert result["status"] == "failed"
    assert TOLD[kind] in result["error"]
    *_, where, counted, _ = sweep.printed().splitlines()
    told = " ".join(sweep.printed().split())  # long lines are folded
    assert f"Failed: activation=mish seed 0: {result['error'].rstrip('.')}." in told
    log = where.strip().removeprefix("see ")
    assert (sweep.place / log).resolve() == folder.resolve() / "run.log"
    assert counted.startswith("5 done, 0 diverged, 1 failed.")


def test_a_bad_run_leaves_a_trace_of_where_it_went_wrong(bad):
    """But for `os._exit`, of which nobody hears."""
    kind, sweep, _ = bad
    log = (records(sweep)["mish"][0] / "run.log").read_text()
    expected = {
        "raise": ("Traceback (most recent call last)", "RuntimeError: broken on purpose"),
        "memory": ("Traceback (most recent call last)", "DefaultCPUAllocator"),
        "segv": ("Fatal Python error: Segmentation fault", "in broken"),
        "hang": ("Current thread", "in broken"),
    }
    for word in expected.get(kind, ()):
        assert word in log
    assert "Traceback" not in sweep.printed()


def test_only_a_run_that_may_fare_better_alone_is_tried_again(bad):
    kind, sweep, _ = bad
    assert sweep.printed().count("tried again, alone") == (kind in ("exit", "segv", "memory"))


def test_a_bad_run_changes_nothing_in_the_others(bad, whole):
    _, sweep, _ = bad
    found = records(sweep)
    assert found.keys() == whole.keys()
    for activation in GOOD:
        assert found[activation][1]["status"] == "done"
        assert_equal(found[activation][0], whole[activation][0])


def test_retry_trains_the_failed_run_and_no_other(tmp_path, bad, whole):
    kind, sweep, _ = bad
    if kind not in ("raise", "exit"):
        pytest.skip("two kinds tell it: one recorded by the run itself, one by the launcher")
    shutil.copytree(sweep.place / "outputs", tmp_path / "outputs")
    again = Sweep(tmp_path, (*SIX, "retry=failed"))
    before = {a: folder for a, (folder, _) in records(again).items()}
    stamps = again.stamps()
    assert again.run() == 0, again.printed()
    assert "6 runs, 1 to train" in again.printed()
    after = records(again)
    assert {activation: folder for activation, (folder, _) in after.items()} == before
    assert_equal(after["mish"][0], whole["mish"][0])
    own = str(after["mish"][0])
    changed = {path for path, stamp in again.stamps().items() if stamps.get(path) != stamp}
    assert {path for path in changed if not path.startswith(own)} == {f"{again.folder}/plan.json"}


@pytest.mark.slow
def test_on_error_stop_ends_at_the_first_failure(tmp_path, whole):
    stop = faulty(tmp_path, "raise", (*SIX, "on_error=stop", "hydra.launcher.workers=1"))
    assert stop.run() == 1
    states = {activation: result["status"] for activation, (_, result) in records(stop).items()}
    assert states == {"relu": "done", "mish": "failed"}
    assert "1 done, 0 diverged, 1 failed, 4 not trained." in stop.printed()
    rest = Sweep(tmp_path, (*SIX, "retry=failed"))
    assert rest.run() == 0, rest.printed()
    assert "6 runs, 5 to train" in rest.printed()
    for activation, (folder, _) in records(rest).items():
        assert_equal(folder, whole[activation][0])


# --- a worker that is killed


def both_train(sweep: Sweep, more: int = 3):
    """Whether both runs have come some epochs further than they are now."""
    before = epochs(sweep)

    def so() -> bool:
        now = epochs(sweep)
        return len(now) == 2 and all(now[run] >= before.get(run, 0) + more for run in now)

    return so


def test_a_killed_worker_costs_its_run_one_try(tmp_path, undisturbed):
    sweep = Sweep(tmp_path, LONG)
    with sweep.started() as process:
        until(both_train(sweep), process)
        (victim, *_) = [folder for folder in epochs(sweep) if "norm-bn" in folder.name]
        os.kill(trainer_of(victim.resolve(), process.pid), signal.SIGKILL)
        assert process.wait(120) == 0, sweep.printed()
    assert "its process was killed by SIGKILL (often: the machine had no mem" in sweep.printed()
    assert told_again(sweep) == ["norm=bn"]
    assert "2 done, 0 diverged, 0 failed." in sweep.printed()
    for norm, (folder, _) in records(sweep, "norm").items():
        continued = "Continued after epoch" in (folder / "run.log").read_text()
        assert continued == (norm == "bn")
        assert_equal(folder, undisturbed[norm][0])


@pytest.mark.slow
def test_a_killed_fork_server_costs_each_run_one_try(tmp_path, undisturbed):
    """The process that workers come from: the system may choose it when memory runs out."""
    sweep = Sweep(tmp_path, LONG)
    with sweep.started() as process:
        until(both_train(sweep), process)
        run = next(iter(epochs(sweep)))
        server = alive(process.pid)[trainer_of(run.resolve(), process.pid)]
        assert server not in (1, process.pid)
        os.kill(server, signal.SIGKILL)
        assert process.wait(120) == 0, sweep.printed()
    assert told_again(sweep) == ["norm=bn", "norm=none"]
    for norm, (folder, _) in records(sweep, "norm").items():
        assert "Continued after epoch" in (folder / "run.log").read_text()
        assert_equal(folder, undisturbed[norm][0])


def test_no_worker_outlives_a_killed_parent(tmp_path):
    """A moment later the same command may be at work again."""
    sweep = Sweep(tmp_path, LONG)
    with sweep.started() as process:
        until(both_train(sweep, 1), process)
        assert len(alive(process.pid)) > 3
        process.kill()
        process.wait()
        killed = time.monotonic()
        while alive(process.pid) and time.monotonic() - killed < 10:
            time.sleep(0.01)
        assert alive(process.pid) == {}


# --- a person, or a scheduler, that ends it


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path, undisturbed):
    """Ctrl-C, SIGTERM to all processes and to the first one only, then what a closed terminal
    sends, then none."""
    sweep = Sweep(tmp_path, LONG)
    ways = (
        lambda number: os.killpg(number, signal.SIGINT),
        lambda number: os.killpg(number, signal.SIGTERM),
        lambda number: os.kill(number, signal.SIGTERM),
        lambda number: os.killpg(number, signal.SIGHUP),
    )
    for way in ways:
        with sweep.started() as process:
            until(both_train(sweep), process)
            reached = epochs(sweep)
            way(process.pid)
            assert process.wait(20) == 130, sweep.printed()
        assert "Interrupted. The same command goes on from here." in sweep.printed()
        assert "0 done, 0 diverged, 0 failed, 2 not trained." in sweep.printed()
        assert "Traceback" not in sweep.printed()
        assert sweep.finished() == []
        assert all(epochs(sweep)[folder] >= count for folder, count in reached.items())
        assert all((folder / "checkpoint").is_file() for folder in reached)
    assert sweep.run() == 0, sweep.printed()
    for norm, (folder, _) in records(sweep, "norm").items():
        log = (folder / "run.log").read_text()
        assert log.count("Continued after epoch") == len(ways)
        assert log.count("epoch   1 ") == 1
        assert_equal(folder, undisturbed[norm][0])


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    """The run hangs, so that it never comes to a place where it could stop."""
    sweep = faulty(tmp_path, "hang", ("activation=mish", *SMALL))
    with sweep.started() as process:
        logs = sweep.folder.glob
        until(lambda: any("train loss" in p.read_text() for p in logs("*/run.log")), process)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(1)
        assert process.poll() is None, "the first lets the run come to the end of its epoch"
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert time.monotonic() - began < 5
        while alive(process.pid) and time.monotonic() - began < 5:
            time.sleep(0.01)
        assert alive(process.pid) == {}
    assert "Interrupted." in sweep.printed()
    assert "Traceback" not in sweep.printed()
