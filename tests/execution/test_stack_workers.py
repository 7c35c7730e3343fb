"""What holds of runs that a worker trains as one model: the records of runs trained one by one.

Real commands, as in test_workers.py: what a bad run, a dying worker or another process costs
the runs that are trained beside it.
"""

import csv
import json
import os
import re
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, command, epochs, injected, told_again, trainer_of, until
from kill import AGAIN_DIFFERENT, Sweep
from safetensors.numpy import load_file

from cnnlab.records import locks

EPOCHS = 60
ONE_WORKER = ("hydra.launcher.workers=1",)  # several share a stack out among them
THREE = ("lr=0.003,0.01,0.03", *SMALL, f"epochs={EPOCHS}", *ONE_WORKER, "hydra.launcher.stack=3")
SEEDS = (*SMALL, "lr=0.03", "epochs=3", *ONE_WORKER)

CLOSE = 1e-4
"""How far a number may be from that of a run trained alone, whose sums are in another order."""


def records(sweep: Sweep, key=lambda config: config["lr"]["base"]) -> dict:
    """Each finished run's folder and result, by its learning rate."""
    found = [(path.parent, json.loads(path.read_text())) for path in sweep.finished()]
    return {key(result["config"]): (folder, result) for folder, result in found}


def by_seed(sweep: Sweep) -> dict:
    return records(sweep, lambda config: config["seed"])


def log_of(folder: Path) -> str:
    return (folder / "run.log").read_text()


def rows(folder: Path) -> list[list[float]]:
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        return [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]


def assert_alike(one: tuple[Path, dict], other: tuple[Path, dict]) -> None:
    """Two records of one run, whoever trained it: all the same but for the last digits."""
    (mine, result), (theirs, expected) = one, other
    assert result.keys() == expected.keys()
    for key in result.keys() - {*AGAIN_DIFFERENT, "stack_size", "stack"}:
        found = result[key]
        close = isinstance(found, float)
        assert found == (pytest.approx(expected[key], abs=CLOSE) if close else expected[key]), key
    np.testing.assert_allclose(rows(mine), rows(theirs), rtol=0, atol=CLOSE)
    weights, others = (load_file(folder / "best.safetensors") for folder in (mine, theirs))
    assert weights.keys() == others.keys()
    for name, array in weights.items():
        np.testing.assert_allclose(array, others[name], rtol=0, atol=CLOSE)
    assert {path.name for path in mine.iterdir()} == {path.name for path in theirs.iterdir()}


def assert_each_epoch_told_once(folder: Path, missing: int = 1) -> None:
    """A process that is killed may leave one out: it had no time to tell."""
    told = [int(number) for number in re.findall(r"INFO epoch +(\d+) ", log_of(folder))]
    assert told == sorted(set(told))
    assert len(told) >= EPOCHS - missing
    assert [row[0] for row in rows(folder)] == list(range(1, EPOCHS + 1))


def all_train(sweep: Sweep, more: int = 5):
    """Whether three runs have come some epochs far."""
    return lambda: len(epochs(sweep)) == 3 and min(epochs(sweep).values()) >= more


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The three runs, each trained by itself."""
    sweep = Sweep(tmp_path_factory.mktemp("alone"), (*THREE[:-1], "hydra.launcher.stack=1"))
    assert sweep.run() == 0, sweep.printed()
    found = records(sweep)
    assert [result["stack_size"] for _, result in found.values()] == [1, 1, 1]
    return found


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The three runs as one model."""
    sweep = Sweep(tmp_path_factory.mktemp("together"), THREE)
    assert sweep.run() == 0, sweep.printed()
    assert "3 done, 0 diverged, 0 failed." in sweep.printed()
    return records(sweep)


# --- nothing goes wrong


def test_a_stack_leaves_the_records_that_its_runs_leave_alone(together, alone):
    assert together.keys() == alone.keys()
    for rate, found in together.items():
        assert_alike(found, alone[rate])
        assert found[1]["stack_size"] == 3


def test_each_runs_log_has_its_own_lines_and_no_others(together, alone):
    """As many as alone; another run's would have its name, its accuracies, its folder."""

    def lines(folder: Path) -> list[str]:
        text = re.sub(r"^\S+ \S+ ", "", log_of(folder), flags=re.MULTILINE)  # when it was
        text = text.replace(str(folder), "FOLDER").replace(", one of 3 trained together", "")
        return re.sub(r" +\d+\.\d s", "", text).splitlines()

    for rate, (folder, _) in together.items():
        assert log_of(folder).count("one of 3 trained together") == 1
        assert lines(folder) == lines(alone[rate][0])


def test_no_run_in_a_stack_is_refused(tmp_path):
    done = command("run", "-m", *SMALL, "lr=0.01,0.02", "hydra.launcher.stack=0", cwd=tmp_path)
    assert done.returncode == 2
    assert "hydra.launcher.stack=0: must be a whole number, 1 or more." in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "outputs").exists()


# --- one of the runs is bad


def test_a_run_that_diverges_leaves_the_stack_and_the_others_as_they_were(tmp_path, alone):
    sweep = Sweep(tmp_path, ("lr=0.003,1e20,0.03", *THREE[1:]))
    assert sweep.run() == 1
    assert "2 done, 1 diverged, 0 failed." in sweep.printed()
    found = records(sweep)
    (folder, result) = found.pop(1e20)
    assert result["status"] == "diverged"
    assert result["error"].startswith("the loss is not finite at epoch 1, ")
    assert "one of 3 trained together" in log_of(folder)
    assert found.keys() == {0.003, 0.03}
    for rate, each in found.items():
        assert_alike(each, alone[rate])
        assert_each_epoch_told_once(each[0], missing=0)
        assert each[1]["stack_size"] == 3  # as it began
        assert "diverged" not in log_of(each[0]).lower()


def faulty(place: Path, fault: str, *arguments: str) -> Sweep:
    """A sweep whose run with seed 1 has a fault in its second epoch."""
    environment = injected(
        place,
        "import time, cnnlab.training.train\n"
        "from cnnlab.training.trainer import Trainer\n"
        "cnnlab.training.train.FIRST_LOSS_TOLERANCE = 0\n"
        "original = Trainer.epoch\n"
        "def broken(self, epoch, advance):\n"
        "    if epoch == 2 and any(config.seed == 1 for config in self.configs):\n"
        f"        {fault}\n"
        "    return original(self, epoch, advance)\n"
        "Trainer.epoch = broken\n",
    )
    return Sweep(place, (*SEEDS, *arguments), environment=environment)


@pytest.fixture(scope="module")
def raising(tmp_path_factory):
    fault = "raise RuntimeError('broken on purpose')"
    place = tmp_path_factory.mktemp("raising")
    sweep = faulty(place, fault, "seeds=3", "hydra.launcher.stack=3")
    assert sweep.run() == 1, sweep.printed()
    return sweep


def test_a_run_that_raises_fails_and_the_others_are_done(raising):
    assert "2 done, 0 diverged, 1 failed." in raising.printed()
    assert "Traceback" not in raising.printed()
    found = by_seed(raising)
    assert found[1][1]["error"] == "RuntimeError: broken on purpose"
    for seed, (folder, result) in found.items():
        assert result["status"] == ("failed" if seed == 1 else "done")
        assert ("Traceback" in log_of(folder)) == (seed == 1)
        told = len(re.findall("INFO epoch +1 ", log_of(folder)))
        assert told == 1, "the epoch before the fault is not trained again"


def test_each_runs_log_tells_of_its_own_first_loss(raising):
    """Each is told to look unusual."""
    for folder, result in by_seed(raising).values():
        (told,) = re.findall(r"The first loss is (\S+),", log_of(folder))
        assert told == f"{result['initial_loss']:.4f}"
    assert len(re.findall(r"seed=\d: The first loss is", raising.printed())) == 3


@pytest.mark.slow
def test_a_run_that_hangs_costs_the_stack_its_time_and_then_only_itself(tmp_path):
    """A stack has the time of all its runs; then each has its own."""
    limits = ("hydra.launcher.stack=2", "hydra.launcher.timeout=3")
    sweep = faulty(tmp_path, "time.sleep(600)", "seeds=2", *limits)
    assert sweep.run(120) == 1
    assert sweep.printed().count("hung: not done after hydra.launcher.timeout=3 s") == 4
    assert told_again(sweep) == ["seed=0:", "seed=1:"]
    assert "1 done, 0 diverged, 1 failed." in sweep.printed()
    found = by_seed(sweep)
    assert found[0][1]["status"] == "done"
    assert found[1][1]["status"] == "failed"
    assert found[1][1]["error"].startswith("hung: not done after hydra.launcher.timeout=3 s")
    assert "in broken" in log_of(found[1][0])  # where it hung


# --- a process ends, or another one is there


@pytest.mark.slow
def test_a_killed_worker_costs_each_run_of_its_stack_one_try(tmp_path, alone):
    sweep = Sweep(tmp_path, THREE)
    with sweep.started() as process:
        until(all_train(sweep), process)
        (folder, *_) = epochs(sweep)
        os.kill(trainer_of(folder.resolve(), process.pid), signal.SIGKILL)
        assert process.wait(120) == 0, sweep.printed()
    assert sweep.printed().count("its process was killed by SIGKILL") == 3
    assert told_again(sweep) == ["lr=0.003", "lr=0.01", "lr=0.03"]
    assert "3 done, 0 diverged, 0 failed." in sweep.printed()
    for rate, found in records(sweep).items():
        assert_alike(found, alone[rate])
        assert_each_epoch_told_once(found[0])
        assert log_of(found[0]).count("Continued after epoch") == 1
        assert found[1]["stack_size"] == 3  # as it began


@pytest.mark.slow
def test_a_killed_command_goes_on_where_its_stack_was(tmp_path, alone):
    sweep = Sweep(tmp_path, THREE)
    with sweep.started() as process:
        until(all_train(sweep), process)
        os.killpg(process.pid, signal.SIGKILL)
    assert sweep.finished() == []
    reached = epochs(sweep)
    assert sweep.run() == 0, sweep.printed()
    assert "3 runs, 3 to train" in sweep.printed()
    assert "tried again" not in sweep.printed()
    for rate, found in records(sweep).items():
        assert_alike(found, alone[rate])
        assert_each_epoch_told_once(found[0])
        (after,) = re.findall(r"Continued after epoch (\d+)", log_of(found[0]))
        assert int(after) >= reached[found[0]]


@pytest.mark.slow
def test_an_interrupted_stack_goes_on_as_one(tmp_path, alone):
    """All its runs come to the end of the same epoch before the command ends."""
    sweep = Sweep(tmp_path, THREE)
    with sweep.started() as process:
        until(all_train(sweep), process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130, sweep.printed()
    assert "0 done, 0 diverged, 0 failed, 3 not trained." in sweep.printed()
    assert len(set(epochs(sweep).values())) == 1
    assert sweep.run() == 0, sweep.printed()
    for rate, found in records(sweep).items():
        assert_alike(found, alone[rate])
        assert_each_epoch_told_once(found[0], missing=0)
        assert found[1]["stack_size"] == 3


@pytest.mark.slow
def test_a_disk_without_room_ends_a_stack_with_one_message(tmp_path, alone):
    """As in tests/execution/test_disk.py: a file may have 100 kB, which a checkpoint exceeds."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    sweep = Sweep(tmp_path, THREE, before=limit)
    assert sweep.run() == 1
    (_, told) = sweep.printed().splitlines()
    assert told.startswith("The disk is full: ")
    assert sweep.finished() == []
    sweep.before = None
    assert sweep.run() == 0, sweep.printed()
    for rate, found in records(sweep).items():
        assert_alike(found, alone[rate])


def test_a_run_in_anothers_hands_is_waited_for_by_its_whole_stack(tmp_path, together):
    """Else the results would hang on which process was first, to the last digits."""
    told = "seed=0 +2: another process is training one of them; waiting for its record."
    sweep = Sweep(tmp_path, THREE)
    with sweep.started() as process:
        with locks.held(sweep.folder.parent, together[0.01][1]["run_id"]):
            until(lambda: told in sweep.printed(), process)
            time.sleep(1)  # it is offered again
            assert not list(sweep.folder.glob("*/*"))
        assert process.wait(120) == 0, sweep.printed()
    assert sweep.printed().count("another process") == 1
    assert "3 done, 0 diverged, 0 failed." in sweep.printed()
    for rate, (folder, result) in records(sweep).items():
        assert result["stack"] == together[rate][1]["stack"]
        for name in ("metrics.csv", "best.safetensors"):
            assert (folder / name).read_bytes() == (together[rate][0] / name).read_bytes()
