"""What stands beside the declaration of a key: all that the program must know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Key:
    """What the program must know of a key of a run's config, besides its type and its limits.

    Attributes:
        result: whether it can change a run's result; if not, it is no part of the run id
        shared: whether all runs of a sweep share it, so that it is no factor
        stack: what runs must have in common to be trained as one model: `equal` values; nothing,
            because training holds it for `each` of them; all but its `numbers`, which training
            holds for each; or the `model` that is built of it
        speed: whether the time of a training step depends on it
        before: of a key that is younger than the first records, or has such keys below it: by
            dotted name, the value that means what was done before
    """

    result: bool = True
    shared: bool = False
    stack: Literal["equal", "each", "numbers", "model"] = "equal"
    speed: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)
