"""Each seed's difference between two levels of a factor, for the dots of a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.statistics.matrix import shown


def seed_differences(
    runs: pd.DataFrame, factors: Sequence[str], metric: str, rows: Sequence[Mapping[str, Any]]
) -> list[np.ndarray]:
    """The differences that each row of a table of effects is the mean of.

    Args:
        runs: as in `cnnlab.records.reading.sweeps.Sweep`
        factors: its columns that tell variants apart
        metric: the column that is compared
        rows: of `cnnlab.statistics.effects.effects`: factor, level, baseline, at

    Returns:
        one array a row, one number a seed that has all combinations
    """
    done = runs[(runs["status"] == "done") & runs["seed"].notna()]
    done = done.assign(value=pd.to_numeric(done[metric], errors="coerce").astype(float))
    done = done[np.isfinite(done["value"])]
    texts = done[list(factors)].map(shown).assign(seed=done["seed"], value=done["value"])
    wide = {}
    for name in dict.fromkeys(row["factor"] for row in rows):
        levels = {shown(row[key]) for row in rows if row["factor"] == name
                  for key in ("level", "baseline")}  # fmt: skip
        others = [other for other in factors if other != name]
        some = texts[texts[name].isin(levels)]
        # One more key, so that there is one to group by where there is no other factor.
        some = some.assign(every="")
        wide[name] = some.groupby(["every", *others, "seed", name])["value"].mean().unstack(name)
    return [_of(wide[row["factor"]], row) for row in rows]


def _of(wide: pd.DataFrame, row: Mapping[str, Any]) -> np.ndarray:
    level, baseline = shown(row["level"]), shown(row["baseline"])
    if level not in wide or baseline not in wide:
        return np.array([])
    found = (wide[level] - wide[baseline]).dropna()
    if row["at"]:
        other, _, value = row["at"].partition("=")
        found = found[found.index.get_level_values(other) == value]
    combination = [name for name in found.index.names if name != "seed"]
    alive = found.groupby(combination).ngroups if len(found) else 0
    of_seed = found.groupby("seed").agg(["mean", "count"])
    return of_seed.loc[of_seed["count"] == alive, "mean"].to_numpy()
