"""What a run needs to go on where it was stopped: one file, whole or not there.

All of a run's state is in it, the rows of its tables included, so that no kill can leave two files
that disagree. It is a safetensors file; nothing is unpickled.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cnnlab.core.files import whole

NAME = "checkpoint"
_KEY = "cnnlab"
_YOUNGER = {"own_seconds", "stack_size", "stack"}
"""What the first checkpoints do not have."""


@dataclass(kw_only=True)
class Checkpoint:
    """A run between two epochs.

    Attributes:
        run_id: whose
        made_with: what the numbers depend on besides the config: versions, kind of device, sources
        epoch: the last finished one; 0 before the first
        metrics, timing: the rows of metrics.csv and timing.csv so far
        outcome: what training found so far
        seconds, own_seconds: of training so far, as in `records.schema.Result`
        stack_size, stack: as there; size 0: not known
        tensors: arrays by name; those of the best weights begin with `best/`
    """

    run_id: str
    made_with: Mapping[str, Any]
    epoch: int = 0
    metrics: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)
    outcome: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    own_seconds: float = 0.0
    stack_size: int = 0
    stack: str | None = None
    tensors: dict[str, np.ndarray] = field(default_factory=dict)


def write(directory: Path, checkpoint: Checkpoint) -> None:
    """Replaces a directory's checkpoint."""
    meta = {name: value for name, value in vars(checkpoint).items() if name != "tensors"}
    with whole(directory / NAME) as file:
        file.write(save(checkpoint.tensors, metadata={_KEY: json.dumps(meta)}))


def read(directory: Path, *, tensors: bool = True) -> Checkpoint | None:
    """A directory's checkpoint; None if there is none that can be used.

    Args:
        directory: of the record
        tensors: also read the arrays
    """
    try:
        with safe_open(directory / NAME, framework="numpy") as file:
            meta = json.loads((file.metadata() or {})[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
        found = Checkpoint(**meta, tensors=arrays)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    return found if asdict(found).keys() == meta.keys() | _YOUNGER | {"tensors"} else None
