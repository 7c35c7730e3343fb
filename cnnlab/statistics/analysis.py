"""All that a report says of a sweep, computed once: tables in, tables and sentences out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.config.schema import key_text
from cnnlab.core.metrics import Metric
from cnnlab.records.reading.sweeps import Sweep
from cnnlab.statistics import interactions as crossings
from cnnlab.statistics import summary as variants
from cnnlab.statistics.components import components
from cnnlab.statistics.effects import WITHOUT, against, effects
from cnnlab.statistics.matrix import Matrix, level_text, places, spread
from cnnlab.statistics.paired import holm
from cnnlab.statistics.sentences import sentences
from cnnlab.statistics.sequential import warnings
from cnnlab.statistics.verdicts import decided


@dataclass(frozen=True)
class Analysis:
    """What was found.

    Attributes:
        sweep: its runs and epochs
        matrix: what is compared: the sweep's runs, spread; of several levels of `vary`, those of
            the one by which most varies
        smallest: the smallest difference that would matter, in the metric's unit
        one_family: whether Holm's adjustment is over the whole report, or over each table
        summary: a row a variant, of `cnnlab.statistics.summary.summary`
        effects: a row a comparison of levels, of `cnnlab.statistics.effects.effects`
        differences: (rows of effects, S), those of each seed that a row is the mean of
        against: a row a variant but the baseline, of `cnnlab.statistics.effects.against`
        interactions: a row a pair of factors, of `cnnlab.statistics.interactions.interactions`
        components: where the spread comes from, of `cnnlab.statistics.components.components`
        published: a row a published number, of `cnnlab.statistics.summary.published`
        sentences: the answer in words; the first is the headline
    """

    sweep: Sweep
    matrix: Matrix
    smallest: float
    one_family: bool
    summary: pd.DataFrame
    effects: pd.DataFrame
    differences: np.ndarray
    against: pd.DataFrame
    interactions: pd.DataFrame
    components: pd.DataFrame
    published: pd.DataFrame
    sentences: list[str]

    @property
    def metric(self) -> Metric:
        """That is compared."""
        return self.matrix.metric

    @property
    def notices(self) -> list[str]:
        """What to know before anything of it is read."""
        looked = warnings(self.sweep.looks, self.effects, self.matrix.seeds)
        runs = self.sweep.runs
        if "vary" in self.sweep.factors:
            (level,) = (
                runs.loc[runs["variant"].isin(self.matrix.variants), "vary"]
                .map(level_text)
                .unique()
            )
            looked.append(
                f"Only the runs with vary={level} are compared; the table of spreads has all."
            )
        return [*looked, *self.sweep.notices]


def analyse(
    sweep: Sweep,
    metric: str,
    *,
    baseline: Mapping[str, Any] | None = None,
    smallest: float,
    one_family: bool = False,
) -> Analysis:
    """Compares the variants of a sweep.

    Args:
        sweep: as `cnnlab.records.reading.sweeps.read` gives it; has a run at least
        metric: that is compared, one of `cnnlab.core.metrics.METRICS`
        baseline: the level of some factors that the others are compared with; None: what the
            sweep's plan names
        smallest, one_family: as in Analysis

    Raises:
        Refused: a baseline that the sweep does not have
    """
    runs, factors = _compared(sweep)
    table = spread(runs, factors, metric)
    base = _planned(sweep) if baseline is None else baseline
    rows, differences = effects(table, baseline=base, smallest=smallest)
    others = against(table, baseline=base, smallest=smallest)
    crossed = crossings.interactions(table, baseline=base)
    if one_family:
        rows, others, crossed = _one_family(rows, others, crossed, table.metric, smallest)
    summary = variants.summary(sweep.runs, sweep.factors, table.metric)
    every, told = table, summary
    if factors != sweep.factors:
        every = spread(sweep.runs, sweep.factors, metric)
        told = variants.summary(runs, factors, table.metric)
    return Analysis(
        sweep=sweep,
        matrix=table,
        smallest=smallest,
        one_family=one_family,
        summary=summary,
        effects=rows,
        differences=differences,
        against=others,
        interactions=crossed,
        components=components(every),
        published=variants.published(sweep.runs, sweep.factors),
        sentences=sentences(told, rows, crossed, metric=table.metric, smallest=smallest),
    )


def _compared(sweep: Sweep) -> tuple[pd.DataFrame, list[str]]:
    """The runs and factors that are compared.

    Levels of `vary` say what a seed stands for, and change nothing else: of those, the one by which
    most varies.
    """
    if "vary" not in sweep.factors:
        return sweep.runs, sweep.factors
    levels = sweep.runs["vary"].map(level_text)
    widest = max(levels.unique(), key=lambda text: 4 if text == "null" else text.count(",") + 1)
    return sweep.runs[levels == widest], [name for name in sweep.factors if name != "vary"]


def _planned(sweep: Sweep) -> dict[str, Any]:
    """What the sweep's plan names as its baseline, of what still varies."""
    typed = {key_text(key): value for key, value in sweep.baseline.items()}
    return {
        name: typed[name]
        for name in sweep.factors
        if name != "vary" and name in typed and places(list(sweep.runs[name].unique()), typed[name])
    }


def _one_family(
    rows: pd.DataFrame, others: pd.DataFrame, crossed: pd.DataFrame, metric: Metric, smallest: float
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The tables, with all tests of the report as one family."""
    shown = rows["kind"] == WITHOUT  # and not tested
    of_pairs = crossed["p"].to_numpy(float)
    tables = [rows[~shown], others]
    if rows["factor"].nunique() == 1:  # then each of them is a row of the other table
        tables = tables[:1]
    tested, *more = decided(tables, metric, smallest, [of_pairs])
    others = more[0] if more else others
    p = np.concatenate([tested["p"], *(table["p"] for table in more), of_pairs])
    adjusted = holm(p)[len(p) - len(crossed) :]
    crossed = crossings.decided(crossed, adjusted, int((~np.isnan(p)).sum()))
    return pd.concat([tested, rows[shown]]).sort_index(), others, crossed
