"""The settings of our launcher and sweeper, as Hydra's configs: `hydra.launcher.<key>=...`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnnlab.config.compat import store
from cnnlab.core.errors import Refused
from cnnlab.core.formats import as_typed

LAUNCHER = "hydra_plugins.cnnlab.launcher.CnnlabLauncher"
SWEEPER = "hydra_plugins.cnnlab.sweeper.CnnlabSweeper"


@dataclass
class SweeperConf:
    """The config of `hydra/sweeper=cnnlab`."""

    _target_: str = SWEEPER
    params: Any = None
    """The grid of a sweep file, keys with their values: `norm: bn,none`."""


@dataclass
class LauncherConf:
    """The config of `hydra/launcher=cnnlab`.

    Types are checked by `check`, in our words; of a typed field OmegaConf refuses them in its own.
    """

    _target_: str = LAUNCHER
    workers: Any = None
    devices: Any = None
    per_device: Any = 1
    stack: Any = None
    timeout: Any = None
    tries: Any = 2


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


MOST_WORKERS = 1000
"""As many processes are started on one machine, or for one GPU."""


@dataclass(frozen=True)
class Limits:
    """What a job may take.

    Attributes:
        seconds: before a job counts as hanging; None: any time
        tries: how often a job is begun whose process dies
        stack: how many jobs a worker may be given at once; None: what is quickest
    """

    seconds: float | None = None
    tries: int = 2
    stack: int | None = None


def check(settings: Mapping[str, Any]) -> None:
    """Looks whether each setting of our launcher is of its type and within its limits.

    Raises:
        Refused: with each that is not
    """
    faults = []
    for key in SETTINGS:
        value = settings[key]
        if value is None and key not in ("per_device", "tries"):
            continue
        most = MOST_WORKERS if key in ("workers", "per_device") else math.inf
        if key == "devices":
            right = isinstance(value, list) and all(type(each) is int for each in value)
            wanted = "a list of the GPUs' numbers, as in [0,1]"
        elif key == "timeout":
            right = type(value) in (int, float) and value > 0
            wanted = "seconds above 0"
        else:
            right = type(value) is int and 1 <= value <= most
            wanted = "a whole number, 1 or more" + (f", {most:,} at most" * math.isfinite(most))
        if not right:
            faults.append(f"hydra.launcher.{key}={as_typed(value)}: must be {wanted}.")
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
