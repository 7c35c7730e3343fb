"""The types that a part's numbers may have, with their limits.

A part's keyword-only arguments are its config; their annotations are checked before anything
trains (see `config.checking.validate`). Use these names, or any `annotated_types` constraint. All
are strict: the text "3" is no number.
"""

import re
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Interval
from pydantic import AfterValidator, ConfigDict, Strict

CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
"""Of every config: no unknown key, no number that is not finite."""


def _existing_file(path: str) -> str:
    if not Path(path).expanduser().is_file():
        raise ValueError("no such file")
    return path


def _existing_folder(path: str) -> str:
    if not Path(path).expanduser().is_dir():
        raise ValueError("no such folder")
    return path


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return pattern


Count = Annotated[int, Strict(), Ge(1)]
Positive = Annotated[float, Strict(), Gt(0)]
NonNegative = Annotated[float, Strict(), Ge(0)]
Probability = Annotated[float, Strict(), Interval(ge=0, le=1)]
Share = Annotated[float, Strict(), Interval(gt=0, lt=1)]
"""A part of a whole, neither none of it nor all."""
Decay = Annotated[float, Strict(), Interval(ge=0, lt=1)]
"""The factor by which a running average forgets at each step: momentum, beta."""
Seed = Annotated[int, Strict(), Interval(ge=0, lt=2**32)]
Pattern = Annotated[str, AfterValidator(_regular_expression)]
ExistingFile = Annotated[str, AfterValidator(_existing_file)]
ExistingFolder = Annotated[str, AfterValidator(_existing_folder)]
