"""What makes a run the run that it is: its id, and its settings as one flat row."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from cnnlab.config.schema import BEFORE, DRAWS, KEYS
from cnnlab.core.errors import MOVED
from cnnlab.core.formats import as_typed
from cnnlab.records.schema import SCHEMA_VERSION, setting

IRRELEVANT = tuple(name for name, key in KEYS.items() if not key.result)
"""Keys that cannot change a run's result. Of the data, the fingerprint tells all."""


def run_id(config: Mapping[str, Any], fingerprint: str) -> str:
    """A hash of what is given for a run: its config and its images.

    Its result also depends on the code of its parts, which its record keeps as `sources`, and on
    the versions and the kind of device beside them.

    Args:
        config: a `Config` as a mapping
        fingerprint: of the images
    """
    relevant = named({key: value for key, value in config.items() if key not in IRRELEVANT})
    relevant["augment"] = list(relevant["augment"].items())  # here the order matters
    # So that older records are found: cross-entropy's number was a key at the top.
    if relevant["loss"]["_target_"] == "cnnlab.loss.cross_entropy.cross_entropy":
        smoothing = relevant.pop("loss")["label_smoothing"]
        relevant.update({"label_smoothing": smoothing} if smoothing else {})
    if relevant.get("vary"):  # the cut is in the fingerprint
        drawn = [draw for draw in DRAWS if draw in relevant["vary"]]
        relevant["vary"] = None if drawn == list(DRAWS) else drawn
    for key, value in BEFORE.items():
        *path, last = key.split(".")
        node = relevant
        for name in path:
            node = node.get(name, {})
        if last in node and node[last] == value:
            del node[last]
    return digest([SCHEMA_VERSION, fingerprint, relevant])


def named(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which a part has its group and name, wherever its file lies: files may move, ids
    may not."""
    augment = {name: _named(part) for name, part in config["augment"].items()}
    parts = {key: _named(part) for key, part in config.items() if isinstance(part, Mapping)}
    return {**config, **parts, "augment": augment}


def _named(part: Mapping[str, Any]) -> dict[str, Any]:
    target = part.get("_target_", "")
    return {**part, "_target_": re.sub(r"^cnnlab\.parts\.", "cnnlab.", target)}


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
            if key == "_target_" and not value.startswith("cnnlab."):
                flat[prefix + key] = value  # an option's name may come to mean other code
            if key in ("path", "root") or key.startswith("_"):
                continue
            if isinstance(value, Mapping):
                walk(f"{prefix}{key}.", value)
            else:
                flat[prefix + key] = value if setting(value) else json.dumps(value)

    for key, value in config.items():
        if key in choices:
            flat[key] = choices[key]
            walk(f"{key}.", value)
            if key == "data":
                flat["data.fingerprint"] = fingerprint[:8]
        elif key not in IRRELEVANT and not isinstance(value, Mapping):
            flat[MOVED.get(key, key)] = value if setting(value) else as_typed(value)
    return flat
