"""Config groups and their options: which there are, and in which files."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from cnnlab.core import project

GROUPS = ("data", "model", "norm", "activation", "augment", "lr", "optimizer", "loss")
"""The config groups whose options are parts, in the order of a config."""


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
