"""What stands above tables: the metric, the family, what intervals cover, how sure verdicts are."""

import pandas as pd

from cnnlab.core.formats import capital, count
from cnnlab.core.metrics import Metric
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.effects import AVERAGE, SIMPLE
from cnnlab.statistics.paired import ALPHA


def chosen(metric: Metric) -> str:
    """`Best validation accuracy (each run counts with its best epoch)`."""
    return f"{capital(metric.title)} ({metric.chosen})"


def compared(metric: Metric) -> str:
    """Of what the differences are, and how they are paired."""
    return f"{chosen(metric)}; differences in {metric.unit}, paired by seed."


def family(table: pd.DataFrame, what: str) -> str:
    """`One family of 12 comparisons, p adjusted by Holm.`; of a table with `comparisons`."""
    tested = int(table["p_holm"].notna().sum())
    others = len(table) - tested
    if not tested:
        return f"{count(others, what)}, none of which can be tested."
    rest = f"; {others} more cannot be tested" if others else ""
    whole = int(table["comparisons"].max())
    if whole > tested:
        return f"{count(tested, what)} of the report's family of {whole}, p adjusted by Holm{rest}."
    return f"One family of {count(tested, what)}, p adjusted by Holm{rest}."


def risk(analysis: Analysis) -> str:
    """How often verdicts are wrong: the one statement of it."""
    said = f"a verdict is false in at most {100 * ALPHA:.0f} of 100 sweeps"
    if analysis.one_family:
        return f"Where nothing has an effect, {said}."
    effects = analysis.effects
    tables = [effects[effects["kind"] == kind] for kind in (AVERAGE, SIMPLE)]
    several = len(analysis.matrix.factors) > 1  # of one, `against` has the same comparisons
    tables += [analysis.against] * several + [analysis.interactions]
    families = sum(bool(table["p"].notna().any()) for table in tables)
    if families < 2:
        return f"Where nothing has an effect, {said}."
    return (
        f"Where nothing has an effect, {said} in one table, and in any of "
        f"{families} in {100 * ALPHA * families:.0f} at most (family=report: in "
        f"{100 * ALPHA:.0f})."
    )


def covers(analysis: Analysis) -> str:
    """What the intervals cover, and what not."""
    runs = analysis.sweep.runs
    compared = runs[runs["variant"].isin(analysis.matrix.variants)]
    cuts = compared.groupby("variant")["fingerprint"].nunique().max()
    split = "each seed has its own split" if cuts > 1 else "on this one split of the images"
    chosen_on = ", on which each run's best epoch was chosen" if analysis.metric.beside else ""
    return f"Intervals cover what varies with the seed, {split}{chosen_on}."
