"""The runs of a sweep as a matrix: a row a variant, a column a seed.

It is made once for an analysis; tests, tables and pictures take all that they compare from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.core.errors import Refused, no_such, unknown_key
from cnnlab.core.formats import as_typed
from cnnlab.core.metrics import METRICS, Metric

ABSENT, THERE, PENDING, UNMEASURED, FAILED, DIVERGED = range(-1, 5)
"""What is in a cell. The larger one of two tells why a pair is lost."""

NO_SETTING = "-"
"""Of a factor that a variant does not have: AdamW has no momentum. It is no level to compare."""

STATES = {
    "done": UNMEASURED,  # until its value is seen
    "pending": PENDING,
    "failed": FAILED,
    "unreadable": FAILED,
    "diverged": DIVERGED,
}


@dataclass(frozen=True)
class Factor:
    """A factor of V variants.

    Attributes:
        name: its column
        levels: its values, in the sweep's order
        codes: (V,), each variant's place in `levels`
    """

    name: str
    levels: list[Any]
    codes: np.ndarray


@dataclass(frozen=True)
class Matrix:
    """What is compared: a metric of the runs of V variants with S seeds.

    Attributes:
        metric: of the runs
        factors: what tells the variants apart
        variants: (V,), their numbers in the table of runs
        seeds: (S,), ascending
        values: (V, S), the metric; NaN where there is none
        states: (V, S), THERE or why there is none
    """

    metric: Metric
    factors: list[Factor]
    variants: np.ndarray
    seeds: np.ndarray
    values: np.ndarray
    states: np.ndarray


def spread(runs: pd.DataFrame, factors: Sequence[str], metric: str) -> Matrix:
    """The table of runs as a matrix.

    Two runs of one variant and seed are one observation, their mean: they share all that is drawn.
    A value that is not finite is none. A run without a seed (its record cannot be read, and no plan
    names it) belongs to no variant.

    Args:
        runs: as in `cnnlab.records.reading.sweeps.Sweep`
        factors: its columns that tell variants apart
        metric: the column that is compared, one of `cnnlab.core.metrics.METRICS`
    """
    runs = runs[runs["seed"].notna()]
    first = runs.drop_duplicates("variant").sort_values("variant")
    variants = first["variant"].to_numpy()
    seed, seeds = pd.factorize(runs["seed"].astype(float), sort=True)
    shape = (len(variants), len(seeds))
    cell = np.searchsorted(variants, runs["variant"]) * shape[1] + seed
    value = pd.to_numeric(runs[metric], errors="coerce").to_numpy(float)
    measured = ((runs["status"] == "done").to_numpy()) & np.isfinite(value)
    size = shape[0] * shape[1]
    count = np.bincount(cell[measured], minlength=size)
    total = np.bincount(cell[measured], weights=value[measured], minlength=size)
    states = np.full(size, ABSENT)
    np.maximum.at(states, cell, runs["status"].map(STATES).to_numpy(int))
    states[count > 0] = THERE
    values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Matrix(
        METRICS[metric], [_factor(name, first[name]) for name in factors], variants, seeds,
        values.reshape(shape), states.reshape(shape),
    )  # fmt: skip


def _factor(name: str, column: pd.Series) -> Factor:
    # A setting may be null (no clipping), which pandas holds as NaN: a level like any other.
    codes, levels = pd.factorize(column, use_na_sentinel=False)
    return Factor(name, list(levels), codes)


def combinations(factors: Sequence[Factor], count: int) -> np.ndarray:
    """(count,): the same whole number for variants that agree in all of `factors`."""
    codes = np.zeros(count, int)
    for factor in factors:
        codes = codes * len(factor.levels) + factor.codes
        codes = np.unique(codes, return_inverse=True)[1]  # so that products stay small
    return codes


def level_text(value: Any) -> str:
    """A level as a person would type it."""
    return as_typed(None if value != value else value)  # NaN differs from itself


def described(factors: Sequence[Factor], row: int) -> str:
    """A variant in words, by its row: `norm=bn, lr=0.01`."""
    return ", ".join(f"{each.name}={level_text(each.levels[each.codes[row]])}" for each in factors)


def baseline_levels(
    factors: Sequence[Factor], baseline: Mapping[str, Any] | None
) -> dict[str, int]:
    """Each factor's level that its others are compared with, as a place in its levels.

    It is the one of `baseline`, else `none`, else the first in the sweep's order.

    Args:
        factors: of the sweep
        baseline: levels, as the tables hold them or as they are typed, by the factor's name

    Raises:
        Refused: a name or a level that the sweep does not have
    """
    given = dict(baseline or {})
    names = [factor.name for factor in factors]
    faults = [f"baseline: {unknown_key(name, names)}" for name in given if name not in names]
    codes_of = {}
    for factor in factors:
        texts = [level_text(level) for level in factor.levels]
        if factor.name not in given:
            levels = [k for k, text in enumerate(texts) if text != NO_SETTING] or [0]
            codes_of[factor.name] = texts.index("none") if "none" in texts else levels[0]
            continue
        there = places(factor.levels, given[factor.name])
        if there:
            codes_of[factor.name] = there[0]
        else:
            faults.append(
                f"baseline: {no_such(factor.name, level_text(given[factor.name]), texts)}"
            )
    if faults:
        raise Refused(faults)
    return codes_of


def places(levels: Sequence[Any], wanted: Any) -> list[int]:
    """Where a level is among others: as the tables hold it, or as it is typed (2e-1 is 0.2)."""
    text = level_text(wanted)
    same = [place for place, level in enumerate(levels) if level_text(level) == text]
    try:
        number = float(text)
    except ValueError:
        return same or [
            k for k, level in enumerate(levels) if level_text(level).lower() == text.lower()
        ]
    numbers = [k for k, x in enumerate(levels) if isinstance(x, Real) and x == number]
    return same or numbers
