"""The sweeper: plans a command, launches the runs that are missing, and says how it went."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from cnnlab.config.launcher import register

register()


class CnnlabSweeper(Sweeper):
    """Trains each run of a plan that has no finished record yet."""

    def __init__(self, params: dict[str, Any] | None):
        self.params = params  # the plan reads it from the config, before Hydra makes this object
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Exits with 1 if a run of the sweep failed or diverged.

        Args:
            arguments: the overrides that are not Hydra's own

        Returns:
            nothing: the records say what came of each run
        """
        from cnnlab.execution.sweep import train_missing
        from cnnlab.planning import plan

        hydras = [
            text for text in self.config.hydra.overrides.hydra if not text.startswith("hydra.mode=")
        ]
        planned = plan.make(tuple(hydras), tuple(arguments))
        plan.forget()  # it knows which runs are missing, and soon they are not
        train_missing(planned, self.launcher)
        return []
