"""The launcher: runs jobs in worker processes, one for each CPU core or GPU."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from cnnlab.config.launcher import register

register()


class CnnlabLauncher(Launcher):
    """Runs jobs in worker processes.

    Attributes:
        crew: a `cnnlab.execution.launching.Crew`, where a sweeper has one to give
    """

    def __init__(self, **settings: Any):
        self.settings = settings
        self.crew: Any = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from cnnlab.execution.launching import Crew, launch

        return launch(
            self.crew or Crew(), self.settings, self.context, self.task_function, self.config,
            job_overrides, initial_job_idx,
        )  # fmt: skip
