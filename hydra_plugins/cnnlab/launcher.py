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
    """Runs jobs in worker processes."""

    def __init__(self, **settings: Any):
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from cnnlab.execution.hydra_launcher import Jobs, launch

        shared = Jobs(self.context, self.task_function, self.config, initial_job_idx)
        return launch(self.settings, shared, job_overrides)
