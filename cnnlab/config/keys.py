"""What stands beside the declaration of a key: all that the program must know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Key:
    """What the program must know of a key of a run's config, besides its type and its limits.

    Attributes:
        result: whether it can change a run's result; if not, it is no part of the run id
        shared: whether all runs of a sweep share it, so that it is no factor
        stacked: whether it may differ between runs that are trained as one model: training holds it
            for each of them
        speed: whether the time of a training step depends on it
        before: of a key that is younger than the first records, or has such keys below it: by
            dotted name, the value that means what was done before
    """

    result: bool = True
    shared: bool = False
    stacked: bool = False
    speed: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)
