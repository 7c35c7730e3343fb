"""`hydra/launcher=cnnlab` as any Hydra program may use it: Hydra's own contract, and what it adds.

The task functions here are defined inside their tests: so they are sent to the workers whole, and
those need not import this file.
"""

import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import hydra
import pytest
from conftest import python_path
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from cnnlab.config.compat import hydra_options
from cnnlab.core.errors import Refused

HYDRA = tuple(int(part) for part in hydra.__version__.split(".")[:2])
TWO_WORKERS = ["hydra.launcher.workers=2"]


@pytest.fixture(autouse=True)
def _found_by_processes_of_their_own(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", python_path())


# --- what Hydra asks of every launcher; `hydra.extra.pytest_plugin`, which pytest finds by itself,
# has the fixtures


def test_hydra_finds_the_launcher():
    found = [each for each in Plugins.instance().discover(Launcher) if "Cnnlab" in each.__name__]
    assert [each.__name__ for each in found] == ["CnnlabLauncher"]
    assert issubclass(found[0], Launcher)


@pytest.fixture
def _as_in_a_process_of_its_own(monkeypatch):
    """Hydra 1.3's suite wants the defaults of a program that names no version; other tests did."""
    if HYDRA < (1, 4):
        base = hydra.version.VersionBase.instance()
        monkeypatch.setattr(base, "version_base", hydra.version._UNSPECIFIED_)


@pytest.mark.usefixtures("_as_in_a_process_of_its_own")
@pytest.mark.parametrize(("launcher_name", "overrides"), [("cnnlab", TWO_WORKERS), ("cnnlab", [])])
class TestHydrasContract(LauncherTestSuite):
    pass


@pytest.mark.usefixtures("_as_in_a_process_of_its_own")
@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("cnnlab", ["hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2"])],
)
class TestHydrasContractInBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=cnnlab"])]
)
class TestHydrasContractInProcesses(IntegrationTestSuite):
    pass


# --- what it adds


@pytest.fixture
def launch(tmp_path, hydra_restore_singletons):
    """Launches jobs of a program that is not ours; gives their JobReturns."""
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "config.yaml").write_text("x: 0\ny: 0\n")

    def launched(task, *jobs, first=0, settings=TWO_WORKERS):
        with initialize_config_dir(str(conf), "program", **hydra_options()):
            hydra_ = GlobalHydra.instance().hydra
            config = hydra_.compose_config(
                config_name="config",
                overrides=[
                    "hydra/launcher=cnnlab", f"hydra.sweep.dir='{tmp_path}/jobs'", *settings,
                ],
                run_mode=RunMode.MULTIRUN,
            )  # fmt: skip
            context = HydraContext(config_loader=hydra_.config_loader, callbacks=Callbacks(config))
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=context, task_function=task, config=config
            )
            return launcher.launch([job.split() for job in jobs], first)

    return launched


def fates(returns):
    return [each.status for each in returns]


DONE, FAILED = JobStatus.COMPLETED, JobStatus.FAILED


def test_results_come_in_the_order_of_the_jobs_whichever_ends_first(launch, tmp_path):
    """The first job waits for the second one's end."""
    marker = tmp_path / "second"

    def task(config):
        while config.x == 1 and not marker.exists():
            time.sleep(0.01)
        if config.x == 2:
            marker.touch()
        return {"x": config.x, "at": time.monotonic()}

    one, two, three = launch(task, "x=1", "x=2", "x=3")
    assert [each.return_value["x"] for each in (one, two, three)] == [1, 2, 3]
    assert one.return_value["at"] > two.return_value["at"]
    assert [list(each.overrides) for each in (one, two, three)] == [["x=1"], ["x=2"], ["x=3"]]
    assert [each.cfg for each in (one, two)] == [{"x": 1, "y": 0}, {"x": 2, "y": 0}]


def test_several_jobs_run_at_once_and_each_sees_one_thread(launch, tmp_path):
    def task(config):
        (tmp_path / str(config.x)).touch()
        while not (tmp_path / str(3 - config.x)).exists():
            time.sleep(0.01)
        return os.getpid(), os.environ["OMP_NUM_THREADS"]

    (first, threads), (second, _) = (each.return_value for each in launch(task, "x=1", "x=2"))
    assert os.getpid() != first != second != os.getpid()
    assert threads == "1"


def test_a_task_that_raises_fails_with_its_own_exception_and_the_others_complete(launch):
    def task(config):
        if config.x == 1:
            raise KeyError("the key that was missing")
        return config.x

    returns = launch(task, "x=0", "x=1", "x=2")
    assert fates(returns) == [DONE, FAILED, DONE]
    assert (returns[0].return_value, returns[2].return_value) == (0, 2)
    with pytest.raises(KeyError, match="the key that was missing"):
        _ = returns[1].return_value


def test_an_exception_says_where_in_the_task_it_was_raised(launch):
    def deep_inside():
        raise ValueError("wrong")

    (returned,) = launch(lambda config: deep_inside(), "x=1")
    with pytest.raises(ValueError, match="wrong") as raised:
        _ = returned.return_value
    assert "in deep_inside" in "".join(traceback.format_exception(raised.value))


def test_a_job_that_cannot_be_composed_fails_and_the_others_complete(launch):
    returns = launch(lambda config: config.x, "x=0", "nope=1", "x=2")
    assert fates(returns) == [DONE, FAILED, DONE]
    with pytest.raises(Exception, match="nope"):
        _ = returns[1].return_value
    assert list(returns[1].overrides) == ["nope=1"]


def test_a_result_that_cannot_be_sent_costs_its_job_only(launch):
    lock = threading.Lock

    def task(config):
        return lock() if config.x == 1 else config.x

    returns = launch(task, "x=0", "x=1", "x=2")
    assert fates(returns) == [DONE, FAILED, DONE]
    with pytest.raises(TypeError, match=r"cannot be sent back: .*lock"):
        _ = returns[1].return_value


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda: os._exit(3), "its process ended with exit code 3, 2 times"),
        (lambda: sys.exit(3), "its process ended with exit code 3, 2 times"),
        (lambda: os.abort(), "its process was killed by SIGABRT, 2 times"),
    ],
    ids=["os._exit", "sys.exit", "os.abort"],
)
def test_a_task_that_ends_its_process_costs_its_job_only(launch, tmp_path, end, told):
    """It is tried once more, alone; then it counts as failed."""

    def task(config, tries=tmp_path / "tries"):
        if config.x == 1:
            with open(tries, "a") as file:
                file.write("x")
            end()
        return config.x

    returns = launch(task, "x=0", "x=1", "x=2", "x=3")
    assert fates(returns) == [DONE, FAILED, DONE, DONE]
    assert [returns[index].return_value for index in (0, 2, 3)] == [0, 2, 3]
    with pytest.raises(RuntimeError, match=told):
        _ = returns[1].return_value
    assert (tmp_path / "tries").read_text() == "xx"


def test_with_one_try_a_death_is_final(launch, tmp_path):
    def task(config, place=tmp_path):
        with open(place / "tries", "a") as file:
            file.write("x")
        os._exit(7)

    (returned,) = launch(task, "x=1", settings=["hydra.launcher.tries=1"])
    with pytest.raises(RuntimeError, match=r"ended with exit code 7$"):
        _ = returned.return_value
    assert (tmp_path / "tries").read_text() == "x"


def test_a_task_that_dies_once_is_tried_again_and_completes(launch, tmp_path):
    def task(config, marker=tmp_path / "tried"):
        if config.x == 1 and not marker.exists():
            marker.touch()
            os._exit(9)
        return config.x

    returns = launch(task, "x=0", "x=1")
    assert [each.return_value for each in returns] == [0, 1]


def test_a_task_that_takes_too_long_costs_its_job_only(launch):
    def task(config):
        time.sleep(600 if config.x == 1 else 0)
        return config.x

    returns = launch(task, "x=0", "x=1", "x=2", settings=[*TWO_WORKERS, "hydra.launcher.timeout=1"])
    assert fates(returns) == [DONE, FAILED, DONE]
    with pytest.raises(RuntimeError, match=r"not done after hydra\.launcher\.timeout=1 s"):
        _ = returns[1].return_value


def test_each_job_has_its_own_directory_and_hydras_files_in_it(launch, tmp_path):
    def task(config):
        from hydra.core.hydra_config import HydraConfig

        return HydraConfig.get().runtime.output_dir

    returns = launch(task, "x=1", "y=2", "hydra.sweep.subdir=mine x=3", first=7)
    places = [tmp_path / "jobs" / name for name in ("7", "8", "mine")]
    assert [Path(each.return_value) for each in returns] == places
    for returned, place, overrides in zip(
        returns, places, (["x=1"], ["y=2"], ["x=3"]), strict=True
    ):
        assert {path.name for path in (place / ".hydra").iterdir()} == {
            "config.yaml", "hydra.yaml", "overrides.yaml",
        }  # fmt: skip
        assert OmegaConf.load(place / ".hydra" / "overrides.yaml") == overrides
        assert OmegaConf.load(place / ".hydra" / "config.yaml") == returned.cfg
        job = OmegaConf.load(place / ".hydra" / "hydra.yaml").hydra.job
        assert job.num == returned.hydra_cfg.hydra.job.num
        assert job.id == f"program_{job.num}"
        assert (place / "program.log").is_file()
    assert [each.hydra_cfg.hydra.job.num for each in returns] == [7, 8, 9]


def test_what_a_task_changes_in_its_config_reaches_no_other_job(launch):
    def task(config):
        config.y += 1
        return config.y

    assert [each.return_value for each in launch(task, *(["x=1"] * 4))] == [1, 1, 1, 1]


def test_no_jobs_are_no_results(launch):
    assert list(launch(lambda config: None)) == []


def test_results_can_be_sliced_and_asked_for_more_than_once(launch):
    returns = launch(lambda config: config.x, "x=1", "x=2", "x=3")
    assert len(returns) == 3
    assert [each.return_value for each in returns[1:]] == [2, 3]
    assert returns[-1].return_value == returns[2].return_value == 3
    with pytest.raises(IndexError):
        _ = returns[3]


def test_impossible_settings_are_refused_before_a_worker_starts(launch, tmp_path):
    settings = ["hydra.launcher.workers=0", "hydra.launcher.per_device=0"]
    with pytest.raises(Refused) as refused:
        launch(lambda config: (tmp_path / "ran").touch(), "x=1", settings=settings)
    assert len(refused.value.faults) == 2
    assert not (tmp_path / "ran").exists()


PROGRAM = """
import json, logging, sys
import hydra

@hydra.main(version_base=None, config_path=None)
def program(config):
    print(f"printed by {config.x}")
    print(f"wrong in {config.x}", file=sys.stderr)
    logging.getLogger("a").info("logged by %s", config.x)
    sys.stdout.write("no newline after %s" % config.x)
    if config.x == 3:
        raise ValueError("of job 3")

if __name__ == "__main__":
    program()
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program that is not ours, as a person starts it; its third job fails."""
    place = tmp_path_factory.mktemp("program")
    (place / "program.py").write_text(PROGRAM)
    return subprocess.run(
        [
            sys.executable, "program.py", "-m", "hydra/launcher=cnnlab", *TWO_WORKERS,
            "hydra.sweep.dir=jobs", "+x=1,2,3,4",
        ],
        cwd=place, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": python_path()},
    )  # fmt: skip


def test_what_tasks_print_and_log_is_not_lost(program):
    for number in range(1, 5):
        for told in ("printed by", "no newline after", "logged by"):
            assert program.stdout.count(f"{told} {number}") == 1
        assert program.stderr.count(f"wrong in {number}") == 1


def test_a_program_whose_job_failed_fails_and_says_which(program):
    assert program.returncode == 1
    assert "['+x=3']" in program.stderr
    assert "ValueError: of job 3" in program.stderr
