"""The settings of our launcher and sweeper, as Hydra's configs: `hydra.launcher.<key>=...`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnnlab.config.compat import store
from cnnlab.core.errors import Refused

LAUNCHER = "hydra_plugins.cnnlab.launcher.CnnlabLauncher"


@dataclass
class SweeperConf:
    """The config of `hydra/sweeper=cnnlab`."""

    _target_: str = "hydra_plugins.cnnlab.sweeper.CnnlabSweeper"
    params: dict[str, Any] | None = None
    """The grid of a sweep file: `norm: bn,none`."""


@dataclass
class LauncherConf:
    """The config of `hydra/launcher=cnnlab`."""

    _target_: str = LAUNCHER
    workers: int | None = None
    devices: list[int] | None = None
    per_device: int = 1
    stack: int | None = None
    timeout: float | None = None
    tries: int = 2


SETTINGS = {
    "workers": "Worker processes; without it, one for each CPU core, or GPU.",
    "devices": "Which of the visible GPUs: [0,1].",
    "per_device": "Workers of each GPU.",
    "stack": "Runs that a worker trains as one model, at most; without it, what is quickest "
    "by measurement.",
    "timeout": "Seconds that one run may take before it counts as hanging.",
    "tries": "How often a run is begun whose process dies; 2.",
}
"""What the help says of each key of `LauncherConf`."""


@dataclass(frozen=True)
class Limits:
    """What a job may take.

    Attributes:
        seconds: before a job counts as hanging; None: any time
        tries: how often a job is begun whose process dies
        stack: how many jobs a worker may be given at once; None: what is quickest

    Raises:
        Refused: with each limit that is none
    """

    seconds: float | None = None
    tries: int = 2
    stack: int | None = None

    def __post_init__(self) -> None:
        faults = []
        if self.seconds is not None and not self.seconds > 0:
            faults.append(f"hydra.launcher.timeout={self.seconds}: must be seconds above 0.")
        if self.tries < 1:
            faults.append(f"hydra.launcher.tries={self.tries}: must be 1 or more.")
        if self.stack is not None and self.stack < 1:
            faults.append(f"hydra.launcher.stack={self.stack}: must be 1 or more.")
        if faults:
            raise Refused(faults)


def is_ours(settings: Mapping[str, Any]) -> bool:
    """Whether a launcher's settings are those of our launcher."""
    return settings["_target_"] == LAUNCHER


def register() -> None:
    """Tells Hydra of both; called by the plugins, whose files Hydra executes each time it searches,
    for its store may have been emptied since."""
    for group, node in (("sweeper", SweeperConf), ("launcher", LauncherConf)):
        store(group=f"hydra/{group}", name="cnnlab", node=node)
