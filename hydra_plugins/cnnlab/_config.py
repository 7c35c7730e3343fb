"""The configs of the sweeper and the launcher.

The underscore keeps Hydra's search for plugins from executing this file again each time it
searches: a class that exists twice cannot be sent to another process.
"""

from dataclasses import dataclass
from typing import Any

from cnnlab.config.compose import store


@dataclass
class CnnlabSweeperConf:
    """The config of `hydra/sweeper=cnnlab`."""

    _target_: str = "hydra_plugins.cnnlab.sweeper.CnnlabSweeper"
    params: dict[str, Any] | None = None
    """The grid of a sweep file: `norm: bn,none`."""


@dataclass
class CnnlabLauncherConf:
    """The config of `hydra/launcher=cnnlab`."""

    _target_: str = "hydra_plugins.cnnlab.launcher.CnnlabLauncher"
    workers: int | None = None
    """Worker processes; null: one for each CPU core, or GPU."""
    devices: list[int] | None = None
    """Which of the visible GPUs; null: all."""
    per_device: int = 1
    """Workers of each GPU."""
    stack: int | None = None
    """Runs that one worker trains as one model, at most; null: what is quickest, measured."""
    timeout: float | None = None
    """Seconds that one run may take; null: any time."""
    tries: int = 2
    """How often a run is begun whose process dies."""


def register() -> None:
    """Tells Hydra of both; called by the plugins, whose files Hydra executes each time it searches,
    for its store may have been emptied since."""
    for group, node in (("sweeper", CnnlabSweeperConf), ("launcher", CnnlabLauncherConf)):
        store(group=f"hydra/{group}", name="cnnlab", node=node)
