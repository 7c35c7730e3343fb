"""What `hydra/launcher=cnnlab` does for any Hydra program: its jobs in a pool of workers.

Our own sweeps don't come here: their runs are planned and typed already
(`cnnlab.execution.planned_runs`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from cnnlab.config.compat import keep_traceback
from cnnlab.config.launcher import Limits, check
from cnnlab.execution.workers.fork_server import warm_up
from cnnlab.execution.workers.pool import Pool
from cnnlab.execution.workers.watcher import Watcher
from cnnlab.execution.workers.worker import Tell
from cnnlab.training import devices


@dataclass
class Jobs:
    """What all jobs of a program share.

    Attributes:
        context, task_function, config: as Hydra hands them to a launcher
        first_number: of the first job
    """

    context: HydraContext
    task_function: TaskFunction
    config: DictConfig
    first_number: int

    def __call__(self, payloads: Mapping[int, Sequence[str]], tell: Tell) -> None:
        """Does jobs, each a list of overrides; tells of each its whole JobReturn, pickled."""
        for number, overrides in payloads.items():
            tell("done", number, _pickled(overrides, self._run(number, overrides)))

    def _run(self, number: int, overrides: Sequence[str]) -> JobReturn:
        index = self.first_number + number
        try:
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = f"{config.hydra.job.name}_{index}"
                config.hydra.job.num = index
            return run_job(
                hydra_context=self.context,
                task_function=self.task_function,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except Exception as error:  # Hydra's own: the boundary that spares the other jobs
            return _failed(overrides, error)


class Setup:
    """What a worker needs to do Hydra's jobs.

    Hydra's plugins are searched anew in each worker, which defines their classes anew; only what is
    unpickled after that refers to the right ones. Hence two parts.
    """

    def __init__(self, jobs: Jobs):
        self.state = cloudpickle.dumps(Singleton.get_state())
        self.jobs = cloudpickle.dumps(jobs)

    def __call__(self, inherited: Any) -> Jobs:
        setup_globals()
        Singleton.set_state(cloudpickle.loads(self.state))
        return cloudpickle.loads(self.jobs)


class _Collector(Watcher):
    """Keeps what came of each job."""

    def __init__(self, jobs: Sequence[Sequence[str]]):
        self.returns = [
            _failed(overrides, RuntimeError("not begun: another job failed before"))
            for overrides in jobs
        ]

    def done(self, number: int, outcome: bytes) -> bool:
        self.returns[number] = cloudpickle.loads(outcome)
        return True

    def lost(self, number: int, reason: str) -> bool:
        self.returns[number] = _failed(self.returns[number].overrides, RuntimeError(reason))
        return True


def launch(
    settings: Mapping[str, Any], shared: Jobs, jobs: Sequence[Sequence[str]]
) -> list[JobReturn]:
    """Runs all jobs, several at a time.

    Args:
        settings: of the launcher; see its config
        shared: by all jobs
        jobs: the overrides of each

    Returns:
        one a job, in their order

    Raises:
        KeyboardInterrupt: if a person stopped them
        Refused: settings that cannot be met
    """
    check(settings)
    config = shared.config
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    Path(str(config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    if not jobs:
        return []
    device = OmegaConf.select(config, "device")
    environments = devices.environments(**devices.chosen(settings), device=device)
    limits = Limits(settings["timeout"], settings["tries"], settings["stack"])
    warm_up([])
    collector = _Collector(jobs)
    setup = cloudpickle.dumps(Setup(shared))
    Pool(setup, environments[: len(jobs)], limits, collector).run(list(map(list, jobs)))
    return collector.returns


def _pickled(overrides: Sequence[str], returned: JobReturn) -> bytes:
    if returned.status != JobStatus.COMPLETED:
        keep_traceback(returned)
    try:
        return cloudpickle.dumps(returned)
    except Exception as error:  # whatever a task's own __reduce__ raises
        return cloudpickle.dumps(_failed(overrides, TypeError(f"cannot be sent back: {error}")))


def _failed(overrides: Sequence[str], error: BaseException) -> JobReturn:
    """What Hydra returns of a job that failed before or after its task."""
    returned = JobReturn(overrides=list(overrides))
    returned.status = JobStatus.FAILED
    returned.return_value = error
    return returned
