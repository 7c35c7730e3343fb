"""Datasets by their configs, each read once a process, or taken from another process."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cnnlab.config.targets import build
from cnnlab.core import project
from cnnlab.core.errors import Refused, one_line, written_in
from cnnlab.data.dataset import Data
from cnnlab.data.download import no_download

_loaded: dict[str, Data] = {}


def load(part: Mapping[str, Any]) -> Data:
    """The dataset of a config's `data`.

    Raises:
        Refused: if the data cannot be used
    """
    key = _key(part)
    if key not in _loaded or _loaded[key].blank:
        _loaded[key] = _read(part)
    return _loaded[key]


def described(part: Mapping[str, Any]) -> Data:
    """The same for a plan, which downloads nothing: blank images where `load` would.

    Raises:
        Refused: if the data cannot be used
    """
    key = _key(part)
    if key not in _loaded:
        with no_download():
            _loaded[key] = _read(part)
    return _loaded[key]


def _read(part: Mapping[str, Any]) -> Data:
    try:
        found = build(part)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # whatever a part's own code raises
        place = written_in(error, project.home())
        raise Refused(f"data: {part['_target_']} fails{place}: {one_line(error)}.") from error
    if not isinstance(found, Data):
        raise Refused(
            f"data: {part['_target_']} gives a {type(found).__name__}; it must give what "
            "cnnlab.data.dataset.finish gives."
        )
    return found


def datasets(parts: Iterable[Mapping[str, Any]]) -> dict[str, Data]:
    """The datasets of several configs, each once, by a key: what `adopt` takes elsewhere."""
    return {_key(part): load(part) for part in parts}


def adopt(others: Mapping[str, Data]) -> None:
    """Takes datasets that another process has read for what `load` would read."""
    _loaded.update(others)


def _key(part: Mapping[str, Any]) -> str:
    return json.dumps(part, sort_keys=True)
