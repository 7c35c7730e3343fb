"""Parts: a norm, a schedule, a dataset, each a function named by the `_target_` of its config.

What the program gives comes first, by position; what the config gives is keyword-only, and its
annotations are the types and limits that the config is checked against.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from cnnlab.config.compose import GROUPS
from cnnlab.core.errors import Refused
from cnnlab.core.limits import CLOSED

MOVED = {
    "cnnlab.limits": "cnnlab.core.limits",
    "cnnlab.data.split": "cnnlab.data.dataset",
    "cnnlab.augment": "cnnlab.data.augmentation",
    "cnnlab.dropout": "cnnlab.parts.layers.dropout",
}
"""Modules that parts were told to import, where they were before 0.3, and where they are."""


def build(part: Mapping[str, Any], *given: Any) -> Any:
    """Calls a part's function with what the program gives and what its config says."""
    return configured(part)(*given)


def configured(part: Mapping[str, Any]) -> partial[Any]:
    """A part's function with its config filled in."""
    keys = {key: value for key, value in part.items() if key != "_target_"}
    return partial(_located(part["_target_"]), **keys)


@cache
def keys_of(target: str) -> type[BaseModel]:
    """The keyword-only arguments of a part's function, as something that checks a config.

    Raises:
        Refused: if there is no such function, or it is not one of cnnlab's
    """
    function = _located(target)
    if not callable(function):
        raise Refused("is no function.")
    maker = function.__init__ if inspect.isclass(function) else function
    hints = get_type_hints(maker, include_extras=True)
    bare = [
        name
        for name, p in inspect.signature(maker).parameters.items()
        if p.kind is inspect.Parameter.KEYWORD_ONLY and name not in hints
    ]
    if bare:
        raise Refused(f"annotate {', '.join(bare)} with a type, e.g. one of cnnlab.core.limits.")
    keys = {
        name: (hints[name], ... if p.default is inspect.Parameter.empty else p.default)
        for name, p in inspect.signature(maker).parameters.items()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return create_model(target, __config__=ConfigDict(CLOSED, strict=True), **keys)


def _located(target: str) -> Callable[..., Any]:
    if not target.startswith("cnnlab."):
        raise Refused("must name a function below cnnlab.")
    if target.split(".")[1] in GROUPS:
        raise Refused(f"has moved; write _target_: cnnlab.parts.{target.removeprefix('cnnlab.')}.")
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        now = MOVED.get(error.name or "")
        instead = f" What it had is in {now} now." if now else ""
        raise Refused(f"cannot be imported: {error}.{instead}") from error
    except AttributeError as error:
        raise Refused(f"cannot be imported: {error}.") from error
