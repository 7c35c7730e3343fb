"""Nested keys of a composed config: `optimizer.momentum`."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnlab.core.errors import unknown_key
from cnnlab.core.formats import as_typed
from cnnlab.planning.grammar import same, top_level


def has(
    config: Mapping[str, Any], choices: Mapping[str, str], when: Mapping[str, Sequence[str]]
) -> bool:
    """Whether a config has one of the values given for each key."""
    for key, texts in when.items():
        if missing(config, key) is not None:
            return False
        node: Any = choices if key in choices else config
        for name in [key] if key in choices else key.split("."):
            node = node[name]
        if not any(same(as_typed(node), text) for text in texts):
            return False
    return True


def put(config: dict[str, Any], key: str, value: Any) -> str | None:
    """Sets a nested key that exists; gives the fault where it does not."""
    fault = missing(config, key)
    if fault is None:
        *path, last = key.split(".")
        node = config
        for name in path:
            node = node[name]
        node[last] = value
    return fault


def missing(config: Mapping[str, Any], key: str) -> str | None:
    """What to say of a nested key that a config does not have; None if it has it."""
    *path, last = key.split(".")
    node = config
    for depth, name in enumerate(path):
        if not isinstance(node.get(name), dict):
            return unknown_key(key, _keys_below(config, path[:depth]))
        node = node[name]
    if last not in node or last.startswith("_"):
        return unknown_key(key, _keys_below(config, path))
    return None


def _keys_below(config: Mapping[str, Any], path: Sequence[str]) -> list[str]:
    """The dotted keys that can be set below a path."""
    if not path:
        return top_level()
    node = config
    for name in path:
        node = node[name]
    return [".".join((*path, name)) for name in node if not name.startswith("_")]
