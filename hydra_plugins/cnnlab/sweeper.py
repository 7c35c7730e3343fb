"""The sweeper: plans a command, launches the runs that are missing, and says how it went."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class CnnlabSweeperConf:
    """The config of `hydra/sweeper=cnnlab`."""

    _target_: str = "hydra_plugins.cnnlab.sweeper.CnnlabSweeper"
    params: dict[str, Any] | None = None
    """The grid of a sweep file: `norm: bn,none`."""


ConfigStore.instance().store(
    group="hydra/sweeper", name="cnnlab", node=CnnlabSweeperConf, provider="cnnlab"
)


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
        """
        from cnnlab import plan
        from cnnlab.record import tell
        from cnnlab.terminal import console

        hydras = [
            text for text in self.config.hydra.overrides.hydra if not text.startswith("hydra.mode=")
        ]
        planned = plan.make(tuple(hydras), tuple(arguments))
        pending = planned.pending
        count = len(planned.runs)
        runs = "1 run" if count == 1 else f"{count} runs"
        console.print(f"Sweep {planned.name}: {runs}, {len(pending)} to train.", style="bold")
        plan.write(planned)
        returns = self.launcher.launch([overrides(planned, run) for run in pending], 0)
        plan.make.cache_clear()  # it knew which runs were missing
        outcomes = [_outcome(*pair) for pair in zip(returns, pending, strict=True)]
        failed = [found for found in outcomes if found["status"] == "failed"]
        earlier = [run.result["status"] for run in planned.runs if run.finished]
        diverged = [*earlier, *(found["status"] for found in outcomes)].count("diverged")
        for found in failed:
            line = f"Failed: {found['error']}\n  see {found['directory']}/run.log"
            console.print(line, style="bold red", markup=False)
        for run in planned.runs if count == 1 and not pending else ():
            tell(run.result, run.directory)
        if count > 1:
            done = count - len(failed) - diverged
            console.print(f"{done} done, {diverged} diverged, {len(failed)} failed.", end=" ")
            console.print(f"Compare: python -m cnnlab.report name={planned.name}")
        if failed or diverged:
            raise SystemExit(1)
        return returns


def overrides(planned, run) -> list[str]:
    """A run's overrides for the launcher, which composes the config again."""
    return [
        *run.job.overrides,
        f"hydra.sweep.dir={_quoted(str(planned.folder))}",
        f"hydra.sweep.subdir={_quoted(run.directory.name)}",
    ]


def _quoted(text: str) -> str:
    """As one value in Hydra's grammar."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _outcome(returned: JobReturn, run) -> dict[str, Any]:
    """What a run's task returned; an error that it could not record itself counts as failed."""
    if returned.status == JobStatus.COMPLETED:
        return returned.return_value
    try:
        error = returned.return_value  # raises what the task raised
    except Exception as raised:
        error = raised
    found = f"{type(error).__name__}: {error}"
    return {"status": "failed", "error": found, "directory": str(run.directory)}
