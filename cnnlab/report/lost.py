"""Levels at which every run diverged: the design of the grid explains them, once for all runs."""

from collections.abc import Sequence

import pandas as pd

from cnnlab.core.formats import count, few
from cnnlab.statistics.matrix import level_text


def lost_levels(runs: pd.DataFrame, factors: Sequence[str]) -> dict[tuple[str, str], int]:
    """Levels that only have runs that diverged, where other levels of the factor have other runs.

    Args:
        runs: as in `cnnlab.records.reading.sweeps.Sweep`
        factors: its columns that tell variants apart

    Returns:
        how many runs, by factor and level as it is typed
    """
    diverged, found = runs["status"] == "diverged", {}
    for name in factors:
        groups = diverged.groupby(runs[name].map(level_text), sort=False).agg(["all", "size"])
        if not groups["all"].all():
            of_level = groups.loc[groups["all"], "size"]
            found |= {(name, level): int(size) for level, size in of_level.items()}
    return found


def at_lost(table: pd.DataFrame, lost: Sequence[tuple[str, str]]) -> pd.Series:
    """Whether each row, of a table with a column a factor, is of one of these levels."""
    parts = [table[name].map(level_text) == level for name, level in lost]
    return pd.concat([pd.Series(False, table.index), *parts], axis=1).any(axis=1)


def told(lost: dict[tuple[str, str], int]) -> str:
    """`lr=1e6: all 15 runs diverged`; empty where there is none."""
    return few([
        f"{name}={level}: {'all ' * (runs > 1)}{count(runs, 'run')} diverged"
        for (name, level), runs in lost.items()
    ])  # fmt: skip
