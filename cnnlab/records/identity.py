"""What makes a run the run that it is: its id, and its settings as one flat row."""

import hashlib
import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from cnnlab.config.compose import GROUPS
from cnnlab.config.schema import BEFORE, KEYS
from cnnlab.records.writer import SCHEMA_VERSION

IRRELEVANT = tuple(name for name, key in KEYS.items() if not key.result)
"""Keys that cannot change a run's result. Of the data, the fingerprint tells all."""


def run_id(config: Mapping[str, Any], fingerprint: str) -> str:
    """A hash of everything in a run's config and its images that determines its result.

    A part counts by its group and name, wherever its file lies: files may move, ids may not.

    Args:
        config: a `Config` as a mapping
        fingerprint: of the images
    """
    relevant = deepcopy({key: value for key, value in config.items() if key not in IRRELEVANT})
    parts = [relevant[group] for group in GROUPS if group in relevant]
    for part in (*parts, *relevant["augment"].values()):
        if "_target_" in part:
            part["_target_"] = re.sub(r"^cnnlab\.parts\.", "cnnlab.", part["_target_"])
    relevant["augment"] = list(relevant["augment"].items())  # here the order matters
    for key, value in BEFORE.items():  # so that older records are found
        *path, last = key.split(".")
        node = relevant
        for name in path:
            node = node[name]
        if last in node and node[last] == value:
            del node[last]
    return digest([SCHEMA_VERSION, fingerprint, relevant])


def digest(content: Any) -> str:
    """32 hexadecimal digits that stand for what can be written as JSON."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def settings(
    config: Mapping[str, Any], choices: Mapping[str, str], fingerprint: str
) -> dict[str, Any]:
    """A config as one flat table row: a group's choice at its name, its numbers at dotted keys.

    Runs on different images differ in `data.fingerprint`, so they are never taken for seeds of one
    variant.
    """
    flat: dict[str, Any] = dict(BEFORE)

    def walk(prefix: str, node: Mapping[str, Any]) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping):
                walk(f"{prefix}{key}.", value)
            elif key not in ("_target_", "path", "root"):
                flat[prefix + key] = value

    for key, value in config.items():
        if key in GROUPS:
            flat[key] = choices[key]
            walk(f"{key}.", value)
            if key == "data":
                flat["data.fingerprint"] = fingerprint[:8]
        elif key not in IRRELEVANT and not isinstance(value, Mapping):
            flat[key] = value
    return flat
