"""What a file may set of Hydra's own settings, by which Hydra calls whatever it is told."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from cnnlab.config.defaults import read_yaml
from cnnlab.config.launcher import LAUNCHER, SWEEPER
from cnnlab.core import project
from cnnlab.core.errors import Refused


def check_hydra(hydra: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Whether files leave Hydra's own settings alone, by which it calls whatever it is told.

    Raises:
        Refused: if they do not: what is typed may set them, a yaml only the grid and the launcher's
            numbers
    """
    typed = tuple(
        each.lstrip("+~").partition("=")[0].replace("/", ".").removeprefix("hydra.")
        for each in overrides
        if each.lstrip("+~").startswith(("hydra.", "hydra/"))
    )
    expected = {"callbacks": {}, "env": {}, "job.env_set": {}, "job.env_copy": [], **_logging()}
    found = [
        key
        for key, value in expected.items()
        if _but(_at(hydra, key), key, typed) not in (_but(value, key, typed), None)
    ]
    found += [path for path in _targets(hydra) if path not in _LAUNCHING]
    found += [path for path, value in _LAUNCHING.items() if _at(hydra, path) != value]
    for key in found:
        if not any(key == each or key.startswith(f"{each}.") for each in typed):
            raise Refused(
                f"hydra.{key}: a file may not set this, for Hydra calls what it names. Of Hydra's "
                "own settings a yaml has hydra.sweeper.params and those of hydra.launcher only."
            )


_LAUNCHING = {"launcher._target_": LAUNCHER, "sweeper._target_": SWEEPER}
"""Where Hydra's own settings name something to be called, and what."""


@cache
def _logging() -> dict[str, Any]:
    """How Hydra's loggers are set up."""
    return {
        key: read_yaml(project.shipped("conf") / "hydra" / key / "cnnlab.yaml")
        for key in ("hydra_logging", "job_logging")
    }


def _at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _but(node: Any, path: str, typed: Sequence[str]) -> Any:
    """A node without what was typed of it."""
    if not isinstance(node, Mapping):
        return node
    below = {key: f"{path}.{key}" for key in node}
    return {
        key: _but(value, below[key], typed)
        for key, value in node.items()
        if below[key] not in typed
    }


def _targets(node: Any, path: str = "") -> Iterator[str]:
    """The paths at which a config names something to be called."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield f"{path}{key}"
            yield from _targets(value, f"{path}{key}.")
    elif isinstance(node, list):
        for each in node:
            yield from _targets(each, path)
