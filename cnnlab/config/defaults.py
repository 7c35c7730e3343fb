"""What Hydra begins with: the config of all defaults, and the named sweeps."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from cnnlab.config.compat import store
from cnnlab.config.options import file_of, groups, options, own_groups
from cnnlab.core import project
from cnnlab.core.errors import Refused, nearest

PRIMARY = "_cnnlab"
"""The config that Hydra begins with: config.yaml as it ships, with the project's own over it."""


def register() -> None:
    """Tells Hydra of the primary config, and of the sweeps as its config group `sweeps`.

    Raises:
        Refused: if the project's config.yaml cannot be used
    """
    _register(project.conf())


@lru_cache(maxsize=1)
def _register(conf: Path) -> None:
    for folder in project.folders("conf"):
        if folder != project.shipped("conf") and (folder / "hydra").exists():
            raise Refused(f"{folder / 'hydra'}: a project cannot change Hydra's own options.")
    store(name=PRIMARY, node=_primary())
    for option in options("sweeps"):
        try:
            node = sweep(option)
        except Refused:
            continue  # said by the command that names it
        group, _, name = f"sweeps/{option}".rpartition("/")
        store(group=group, name=name, node=node, package="_global_")


def sweep(option: str) -> dict[str, Any]:
    """A named sweep, as Hydra has it.

    Raises:
        Refused: if its file is no YAML mapping
    """
    return _on_top(read_yaml(file_of("sweeps", option)), "override /")


def _on_top(node: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A file's keys, of which a group's may be its option, as on the command line: `norm: bn`."""
    for group in groups():
        chosen = node.get(group)
        if isinstance(chosen, str):
            node.setdefault("defaults", []).append({f"{prefix}{group}": node.pop(group)})
        elif group == "lr" and isinstance(chosen, int | float):
            node["lr"] = {"base": chosen}
    return node


def _primary() -> dict[str, Any]:
    """The config of all defaults.

    A project's conf/config.yaml may choose the default of any group, its own too, and of any key. A
    group of its own of which nothing is said has the option `none`, or is not there.
    """
    from omegaconf import OmegaConf

    node = read_yaml(project.shipped("conf") / "config.yaml")
    listed = node.pop("defaults")
    chosen: dict[str, Any] = {
        group: "none" if "none" in options(group) else None for group in own_groups()
    }
    for folder in reversed(project.folders("conf")):
        path = folder / "config.yaml"
        if path == project.shipped("conf") / "config.yaml" or not path.exists():
            continue
        own = _on_top(read_yaml(path), "")
        chosen.update(_defaults(own.pop("defaults", []), path))
        node = OmegaConf.to_container(OmegaConf.merge(node, own), resolve=False)
    ours = {group for entry in listed if entry != "_self_" for group in entry}
    given = [
        entry if entry == "_self_" else {group: chosen.get(group, entry[group]) for group in entry}
        for entry in listed
    ]
    more = [{group: option} for group, option in chosen.items() if group not in ours]
    place = given.index("_self_")
    return {"defaults": [*given[:place], *more, *given[place:]], **node}


def _defaults(listed: Any, path: Path) -> dict[str, Any]:
    """What a project's config.yaml chooses, by group."""
    known = [*groups(), "override hydra/launcher", "override hydra/sweeper"]
    chosen: dict[str, Any] = {}
    for entry in listed if isinstance(listed, list) else [listed]:
        if entry == "_self_":
            continue
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise Refused(
                f"{path}: defaults: {entry}: write a list of groups with an option each, as in "
                "`- model: simplenn`."
            )
        ((group, option),) = entry.items()
        if not isinstance(option, str | list | None):
            raise Refused(
                f"{path}: defaults: {group}: {option}: an option is a text; write one of "
                f"{', '.join(options(str(group)))}."
            )
        if group not in known:
            raise Refused(
                f"{path}: defaults: {group}: no such group.{nearest(str(group), known)} "
                f"Allowed: {', '.join(known)}."
            )
        chosen[group] = option
    return chosen


def read_yaml(path: Path) -> dict[str, Any]:
    """A yaml file's keys and values; interpolations as they are written.

    Raises:
        Refused: if it is no YAML mapping, or has a key twice
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (yaml.YAMLError, UnicodeDecodeError, OSError, OmegaConfBaseException) as error:
        raise Refused(f"{path}: no valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(node, dict):
        raise Refused(f"{path}: must hold keys and values.")
    return node
