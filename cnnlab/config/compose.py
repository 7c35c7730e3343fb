"""Putting configs together: the folders of options, and Hydra's composition of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from cnnlab.config.compat import hydra_options, store
from cnnlab.config.launcher import LAUNCHER, SWEEPER
from cnnlab.core import project
from cnnlab.core.errors import Refused, nearest

GROUPS = ("data", "model", "norm", "activation", "augment", "lr", "optimizer", "loss")
"""The config groups whose options are parts, in the order of a config."""

PRIMARY = "_cnnlab"
"""The config that Hydra begins with: config.yaml as it ships, with the project's own over it."""


def groups() -> tuple[str, ...]:
    """All config groups: those that cnnlab knows, then those of the project and of packages."""
    return (*GROUPS, *own_groups())


def own_groups() -> list[str]:
    """The groups that a project adds: folders of conf/ with options, for its models."""
    return list(_own_groups(project.conf()))


_TAKEN = {"shape", "classes", "own"}
"""Names that stand for something else where a model's arguments are, beside all keys."""


def faults_of_names(keys: Iterable[str]) -> list[str]:
    """Groups and options of a project whose names mean something else.

    Args:
        keys: of a config and of a command
    """
    taken = {*keys, *_TAKEN}
    faults = [
        f"conf/{group}/: {group} is the name of a key; call the group otherwise."
        for group in own_groups()
        if group in taken
    ]
    return faults + [
        f"conf/{group}/{option}.yaml: Hydra reads {option} as a value, not as a name; rename it, "
        f"e.g. with_{option}.yaml."
        for group in own_groups()
        for option in options(group)
        if _is_value(option)
    ]


def _is_value(option: str) -> bool:
    """Whether Hydra's grammar reads a text as a number, a truth or nothing."""
    try:
        float(option)
    except ValueError:
        return option.lower() in ("true", "false", "null")
    return True


@cache
def _own_groups(conf: Path) -> tuple[str, ...]:
    found = {
        path.name
        for folder in project.folders("conf")
        for path in folder.iterdir()
        if path.is_dir() and path.name.isidentifier() and next(path.rglob("*.yaml"), None)
    }
    return tuple(sorted(found - {*GROUPS, "hydra", "sweeps"}))


def options(group: str) -> list[str]:
    """The names of a group's options: its yaml files; `folder/option` where it has folders."""
    return sorted(_files(group))


def file_of(group: str, option: str) -> Path:
    """Where an option is written."""
    return _files(group)[option]


def _files(group: str) -> dict[str, Path]:
    """A group's options, each with its file."""
    name = "sweeps" if group == "sweeps" else "conf"
    places = [path if name == "sweeps" else path / group for path in project.folders(name)]
    return {
        path.relative_to(place).with_suffix("").as_posix(): path
        for place in reversed(places)
        for path in place.rglob("*.yaml")
    }


def replaced(group: str, option: str | None) -> bool:
    """Whether an option stands in the place of one that comes with cnnlab."""
    theirs = project.shipped("conf") / group / f"{option}.yaml"
    return theirs.exists() and file_of(group, option) != theirs


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
    return _on_top(_read(file_of("sweeps", option)), "override /")


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

    node = _read(project.shipped("conf") / "config.yaml")
    listed = node.pop("defaults")
    chosen: dict[str, Any] = {
        group: "none" if "none" in options(group) else None for group in own_groups()
    }
    for folder in reversed(project.folders("conf")):
        path = folder / "config.yaml"
        if path == project.shipped("conf") / "config.yaml" or not path.exists():
            continue
        own = _on_top(_read(path), "")
        chosen.update(_defaults(own.pop("defaults", []), path))
        node = OmegaConf.to_container(OmegaConf.merge(node, own), resolve=False)
    given = [_with(each, chosen) if isinstance(each, dict) else each for each in listed]
    place = given.index("_self_")
    more = [{group: option} for group, option in chosen.items()]
    return {"defaults": [*given[:place], *more, *given[place:]], **node}


def _with(entry: Mapping[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """An entry of a defaults list, with what is chosen instead, which is taken out of `chosen`."""
    return {group: chosen.pop(group, option) for group, option in entry.items()}


def _defaults(listed: Any, path: Path) -> dict[str, Any]:
    """What a project's config.yaml chooses, by group."""
    known = [*groups(), "override hydra/launcher", "override hydra/sweeper"]
    entries = (
        [each for each in listed if each != "_self_"] if isinstance(listed, list) else [listed]
    )
    chosen: dict[str, Any] = {}
    for entry in entries:
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


def _read(path: Path) -> dict[str, Any]:
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


def _check_hydra(hydra: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Whether files leave Hydra's own settings alone, by which it calls whatever it is told.

    Raises:
        Refused: if they do not: what is typed may set them, a yaml only the grid and the launcher's
            numbers
    """
    typed = tuple(
        each.lstrip("+~").partition("=")[0].replace("/", ".")
        for each in overrides
        if each.lstrip("+~").startswith(("hydra.", "hydra/"))
    )
    expected = {"callbacks": {}, "env": {}, "job.env_set": {}, "job.env_copy": [], **_logging()}
    found = [key for key, value in expected.items() if _at(hydra, key) not in (value, None)]
    found += [path for path in _targets(hydra) if path not in _LAUNCHING]
    found += [path for path, value in _LAUNCHING.items() if _at(hydra, path) != value]
    for key in found:
        if not any(f"hydra.{key}".startswith(each) for each in typed):
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
        key: _read(project.shipped("conf") / "hydra" / key / "cnnlab.yaml")
        for key in ("hydra_logging", "job_logging")
    }


def _at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


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


def compose(overrides: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config that Hydra composes, and Hydra's own node, as plain dicts.

    Interpolations are left as they are, for they may refer to what is set later.

    Args:
        overrides: as Hydra reads them, without sweeps

    Raises:
        Refused: whatever Hydra objects to
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    register()
    running = GlobalHydra.instance().is_initialized()
    shipped = str(project.shipped("conf"))
    with nullcontext() if running else initialize_config_dir(shipped, **hydra_options()):
        try:
            config = hydra_compose(PRIMARY, list(overrides), return_hydra_config=True)
            hydra = OmegaConf.to_container(config.hydra, resolve=False, enum_to_str=True)
            _check_hydra(hydra, overrides)
            with open_dict(config):
                del config.hydra
            return OmegaConf.to_container(config, resolve=False), hydra
        except yaml.YAMLError as error:
            raise Refused(f"No valid YAML: {' '.join(str(error).split())}.") from error
        except (HydraException, OmegaConfBaseException) as error:
            cause = error.__cause__  # Hydra's own text often says less than that
            reason = f": {str(cause).splitlines()[0]}" if isinstance(cause, ValueError) else ""
            raise Refused(" ".join(str(error).split()) + reason) from error
