"""Parts: a norm, a schedule, a dataset, each a function named by the `_target_` of its config.

What the program gives comes first, by position, or to a model by name; what the config gives is
checked against the annotations of the function's arguments.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model
from pydantic.errors import PydanticUserError

from cnnlab.config.options import GROUPS, own_groups
from cnnlab.core import memory, project
from cnnlab.core.errors import Refused, nearest, one_line, written_in
from cnnlab.core.limits import CLOSED, Pattern

GIVEN = {
    "data": (),
    "norm": ("channels",),
    "activation": (),
    "augment": ("images", "uniforms"),
    "lr": ("epochs", "steps"),
    "optimizer": ("parameter", "gradient", "state", "lr"),
    "loss": ("logits", "labels"),
}
"""What the program gives the parts of each group, by position; a model gets it by name."""

ALIASES = "_given_"
"""The key of a model's yaml that says under which names its code has what the program gives."""

MOVED = {
    "cnnlab.limits": "cnnlab.core.limits",
    "cnnlab.faults": "cnnlab.core.errors",
    "cnnlab.data.split": "cnnlab.data.dataset",
    "cnnlab.augment": "cnnlab.data.augmentation",
    "cnnlab.dropout": "cnnlab.parts.layers.dropout",
}
"""Modules that parts were told to import, where they were before 0.3, and where they are."""


def build(part: Mapping[str, Any], *given: Any) -> Any:
    """Calls a part's function with what the program gives and what its config says."""
    return configured(part)(*given)


def build_model(part: Mapping[str, Any], offered: Mapping[str, Any]) -> Any:
    """Calls a model's function with those of the things offered that it takes, by name."""
    given = {argument: offered[name] for argument, name in taken(part).items()}
    return configured(part)(**given)


def configured(part: Mapping[str, Any]) -> partial[Any]:
    """A part's function with its config filled in."""
    keys = {key: value for key, value in part.items() if not key.startswith("_")}
    return partial(located(part["_target_"]), **keys)


def offered() -> tuple[str, ...]:
    """What a model can be given: facts of the images, a norm, an activation, own groups."""
    return ("shape", "classes", "norm", "activation", *own_groups())


def taken(part: Mapping[str, Any]) -> dict[str, str]:
    """Which of its arguments a model is given, and what for each: `{"norm_layer": "norm"}`.

    Raises:
        Refused: if its yaml says that it is given what there is not
    """
    arguments = _arguments(located(str(part["_target_"])))
    aliases = part.get(ALIASES) or {}
    names = offered()
    if not isinstance(aliases, Mapping):
        raise Refused(f"{ALIASES}: write pairs, {{num_classes: classes, norm_layer: norm}}.")
    for argument, name in aliases.items():
        if name not in names or argument not in arguments:
            known, what = (names, name) if name not in names else (list(arguments), argument)
            raise Refused(
                f"{ALIASES}: {argument}: {name}: there is no {what!r}.{nearest(str(what), known)} "
                f"Write the name of an argument, and one of {', '.join(names)}."
            )
    plain = {name: name for name in arguments if name in names and name not in aliases.values()}
    return {**plain, **aliases}


def keys_of(group: str, part: Mapping[str, Any]) -> type[BaseModel]:
    """The keys that a part's config may have, as something that checks it.

    They are the keyword-only arguments of its function, and those others that its yaml names; of a
    model all that it is not given.

    Raises:
        Refused: if there is no such function, or it is none that a config may name
    """
    target = str(part.get("_target_"))
    located(target)
    given = frozenset(taken(part)) if group == "model" else frozenset()
    return _keys_of(group, target, given, frozenset(map(str, part)) - {"_target_", ALIASES})


@cache
def _keys_of(
    group: str, target: str, given: frozenset[str], named: frozenset[str]
) -> type[BaseModel]:
    function = located(target)
    arguments = _arguments(function)
    positional = [
        name for name, each in arguments.items() if each.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    if group in GIVEN:
        given = frozenset(positional[: len(GIVEN[group])])
        if len(given) < len(GIVEN[group]):
            raise Refused(
                f"takes {len(given)} arguments by position; it is given {len(GIVEN[group])}: "
                f"{', '.join(GIVEN[group])}."
            )
    hints = _hints(function)
    keys = {}
    for name, each in arguments.items():
        if name in given:
            continue
        required = each.default is inspect.Parameter.empty
        by_name = each.kind is inspect.Parameter.KEYWORD_ONLY
        if by_name or name in named or (required and (group == "model" or group in GIVEN)):
            keys[name] = (hints.get(name, Any), ... if required else each.default)
    if group == "optimizer" and "weight_decay" in keys:
        keys["exclude"] = (Pattern | None, None)  # of the training's, not of the function's
    return create_model(target, __config__=ConfigDict(CLOSED, strict=True), **keys)


@cache
def _arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A function's arguments that have a name of their own."""
    try:
        found = inspect.signature(function).parameters
    except ValueError as error:
        raise Refused(f"cannot be used as a part: {error}.") from error
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: each for name, each in found.items() if each.kind not in several}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations that can be checked; code that knows nothing of us may have any."""
    try:
        hints = get_type_hints(
            function.__init__ if inspect.isclass(function) else function, include_extras=True
        )
    except Exception:  # an annotation that only a type checker can read
        return {}
    found = {}
    for name, hint in hints.items():
        try:
            TypeAdapter(hint)
        except PydanticUserError:
            continue
        found[name] = hint
    return found


def located(target: str) -> Callable[..., Any]:
    """The function that a `_target_` names.

    Raises:
        Refused: if there is none, or if a config may not name it: only what is written in
            `cnnlab.parts`, in the project's folder, or in a package that offers parts
    """
    module, _, name = target.rpartition(".")
    if not module or not all(part.isidentifier() for part in target.split(".")):
        raise Refused("must name a function in a module, in Python's words: module.Name.")
    if target.split(".")[0] == "cnnlab" and target.split(".")[1] in GROUPS:
        raise Refused(f"has moved; write _target_: cnnlab.parts.{target.removeprefix('cnnlab.')}.")
    _check_trusted(module, project.home())
    here = os.getcwd()
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a file of the user's does
        if memory.ran_out(error):
            raise
        now = MOVED.get(getattr(error, "name", None) or "")
        instead = f" What it had is in {now} now." if now else ""
        place = written_in(error, project.home())
        raise Refused(f"cannot be imported{place}: {one_line(error)}.{instead}") from error
    finally:
        os.chdir(here)  # a file that goes elsewhere takes no record along
    names = [each for each in vars(imported) if not each.startswith("_")]
    if not hasattr(imported, name):
        raise Refused(f"cannot be imported: {module} has no {name}.{nearest(name, names)}")
    found = getattr(imported, name)
    if not callable(found):
        raise Refused("is no function.")
    home = getattr(found, "__module__", None) or module
    if home != module:
        try:
            _check_trusted(home, project.home())
        except Refused as refused:
            raise Refused(
                f"is written in {home}, and only imported by {module}. Write a function in "
                f"{module} that calls it."
            ) from refused
    return found


@cache
def _check_trusted(module: str, home: Path) -> None:
    """Whether a config may name what is in a module; makes the project's own importable.

    Args:
        module: by its name
        home: the project's folder

    Raises:
        Refused: if it may not
    """
    top, _, below = module.partition(".")
    if top == "cnnlab":
        if below.partition(".")[0] != "parts":
            raise Refused("names no part; what comes with cnnlab is below cnnlab.parts.")
        return
    if any(module == name or module.startswith(f"{name}.") for name in project.packages()):
        return
    if top in ("conf", "data", "outputs", "sweeps"):  # what lies there may come from elsewhere
        raise Refused(f"names what is in {top}/; parts are files beside that folder.")
    mine = PathFinder.find_spec(top, [str(home)])
    if mine is None or not _lies_in(mine, home):
        here = sorted(path.stem for path in home.glob("*.py"))
        raise Refused(
            f"there is no {top}.py in {home}.{nearest(top, here)} A config can name what is "
            "written in the project's folder, beside conf/, or in an installed package that offers "
            "parts (entry point group cnnlab.parts)."
        )
    if str(home) not in sys.path:
        sys.path.append(str(home))  # the last: nothing there can stand for what is installed
    first = find_spec(top) if top not in sys.modules else sys.modules[top].__spec__
    if first is None or not _lies_in(first, home):
        where = first.origin if first else "nowhere"
        raise Refused(f"{top} is also the name of {where}, which comes first. Rename {top}.py.")


def _lies_in(spec: ModuleSpec, folder: Path) -> bool:
    """Whether a module, or a package without an __init__.py, lies right in a folder."""
    places = list(spec.submodule_search_locations or ())
    paths = [spec.origin] if spec.has_location else places
    above = 1 if spec.has_location and places else 0  # mynet/__init__.py
    return any(Path(str(path)).parents[above].resolve() == folder.resolve() for path in paths)
