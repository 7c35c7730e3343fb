"""The answer in words, from the tables of an analysis: a headline, then all else as a list."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from cnnlab.core.formats import count, number, span
from cnnlab.core.metrics import Metric
from cnnlab.statistics import phrases
from cnnlab.statistics.effects import AVERAGE, SIMPLE, WITHOUT
from cnnlab.statistics.interactions import OFF
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.summary import LACKING
from cnnlab.statistics.verdicts import ONE_SEED

ADD_SEEDS = "One seed: no verdict; add `seeds=5`."

CERTAINTY = {"helps": 0, "hurts": 0, "equivalent": 1, "no evidence": 2, "no verdict": 3}

FACTORS = 5
"""Factors that are told of, the most certain first."""

AGREEING = 3
"""Seeds that have to agree on a difference: of two, that is the toss of a coin."""

LOW_POWER = 0.5
"""A test of an interaction that finds less often what it should is told of."""

WORTH_TELLING = 0.2
"""Of the smallest difference that matters: so much the best variant has to lose when shrunk."""

Row = Mapping[str, Any]


def sentences(
    summary: pd.DataFrame,
    effects: pd.DataFrame,
    interactions: pd.DataFrame,
    *,
    metric: Metric,
    smallest: float,
) -> list[str]:
    """What was found.

    Plain text: whoever puts it into HTML escapes it.

    Args:
        summary: of `cnnlab.statistics.summary.summary`
        effects: of `cnnlab.statistics.effects.effects`
        interactions: of `cnnlab.statistics.interactions.interactions`
        metric: that was compared
        smallest: the smallest difference that would matter, in the metric's unit

    Returns:
        at least one text. The first is the headline, at most two short sentences on the most
        certain factor. Then, one a text: the other factors, what stays possible, other levels,
        what numbers leave out, what the tests cannot see, the best variant
    """
    if not summary["n"].sum():
        return [_unfinished(summary, metric)]
    averages = effects[effects["kind"] == AVERAGE]
    if averages.empty:
        return [_alone(summary.to_dict("records")[0], metric)]
    tested = averages.loc[averages["n_pairs"] > 0, "why"]
    if len(tested) and (tested == ONE_SEED).all():
        return [ADD_SEEDS]
    rank = partial(_certainty, smallest=smallest)
    ranked = [
        sorted(rows.to_dict("records"), key=rank)
        for _, rows in averages.groupby("factor", sort=False)
    ]
    ranked.sort(key=lambda rows: rank(rows[0]))
    answers, further = [], []
    for rows in ranked[:FACTORS]:
        first, *more = _answer(rows[0], effects, interactions, smallest)
        answers.append(first)
        further += [*more, *_further(rows, smallest)]
    if len(ranked) > FACTORS:
        more = count(len(ranked) - FACTORS, "more factor")
        further.append(f"{more}: see the table of effects.")
    return [*answers, *further, *_unseen(interactions), *_best(summary, metric, smallest)]


def _certainty(row: Row, smallest: float) -> tuple[float, ...]:
    """A large difference on which all seeds agree comes before a small one that is certain."""
    large = row["verdict"] == "no evidence" and abs(row["difference"]) > smallest
    if large and row["agree"] == row["n_pairs"] >= AGREEING:
        return (CERTAINTY["equivalent"] - 0.5, row["p"])
    tests = (row["p_equivalent"],) if row["verdict"] == "equivalent" else (row["p_holm"], row["p"])
    return (CERTAINTY[row["verdict"]], *(1.0 if p != p else p for p in tests))


def _unfinished(summary: pd.DataFrame, metric: Metric) -> str:
    sums = summary[list(LACKING)].sum()
    counts = ", ".join(f"{size} {state}" for state, size in sums.items() if size)
    if sums["pending"]:
        return f"No run has a result yet: {counts}."
    if counts:
        return f"No run has a result: {counts}."
    hint = "; evaluate_test=true measures it" if metric.name == "test_accuracy" else ""
    return f"No run has a {metric.label}{hint}."


def _alone(row: Row, metric: Metric) -> str:
    mean = number(row["mean"], metric.digits)
    text = f"One variant only, nothing to compare: its {metric.label} is {mean}"
    if row["n"] < 2:
        return f"{text} (one seed)."
    if row["ci_low"] == row["ci_high"]:
        return f"{text} (the same with {row['n']} seeds)."
    ends = span(row["ci_low"], row["ci_high"], metric.digits)
    return f"{text} (95% CI {ends}, {row['n']} seeds)."


def _answer(
    row: Row, effects: pd.DataFrame, interactions: pd.DataFrame, smallest: float
) -> list[str]:
    """A factor's most certain level, with what follows from it most directly; and, each a text of
    its own, what else it depends on."""
    second = [
        phrases.without(each)
        for each in effects[effects["kind"] == WITHOUT].to_dict("records")
        if _same(each, row) and each["n_pairs"] > 1
    ]
    tests = interactions[interactions["verdict"] == "interaction"].sort_values("p", kind="stable")
    for test in tests.to_dict("records"):
        for name, level, other in (
            (test["factor"], test["factor_level"], test["other"]),
            (test["other"], test["other_level"], test["factor"]),
        ):
            simple = _simple(effects, name, level, other) if name == row["factor"] else []
            if len(simple) > 1:
                second.append(phrases.depends(name, other, simple, None if second else row))
    return [" ".join([phrases.answer(row, smallest), *second[:1]]), *second[1:]]


def _same(one: Row, other: Row) -> bool:
    keys = ("factor", "level")
    return all(level_text(one[key]) == level_text(other[key]) for key in keys)


def _simple(effects: pd.DataFrame, name: str, level: str, other: str) -> list[dict[str, Any]]:
    """The effects of one level at each level of another factor."""
    rows = effects[
        (effects["kind"] == SIMPLE) & (effects["factor"] == name)
        & (effects["level"].map(level_text) == level)
        & effects["at"].str.startswith(f"{other}=") & (effects["n_pairs"] > 1)
    ]  # fmt: skip
    return rows.to_dict("records")


def _further(rows: list[dict[str, Any]], smallest: float) -> list[str]:
    """What is to be known of a factor besides."""
    first, *others = rows
    found = []
    if first["verdict"] == "no evidence":
        found.append(phrases.still_possible(first, smallest))
    if others:
        found.append(phrases.levels(others))
    return found + phrases.lost(first)


def _unseen(interactions: pd.DataFrame) -> list[str]:
    """Interactions that were not found, and would hardly have been."""
    blind = interactions[
        (interactions["verdict"] == "no evidence") & (interactions["power"] < LOW_POWER)
    ]
    if blind.empty:
        return []
    worst = blind.sort_values("power").iloc[0]
    more = f" (and {count(len(blind) - 1, 'more pair')})" if len(blind) > 1 else ""
    return [
        f"Whether {worst['factor']} and {worst['other']}{more} depend on one another can hardly be "
        f"told from {worst['n']} seeds: a cell that is off by {OFF:g} standard deviations is found "
        f"in {100 * worst['power']:.0f} of 100 sweeps."
    ]


def _best(summary: pd.DataFrame, metric: Metric, smallest: float) -> list[str]:
    """The best of many looks better than it is: by how much, where that is not next to nothing."""
    known = summary[summary["shrunk"].notna()]
    if known["n"].nunique() != 1:  # what lost seeds change is no luck
        return []
    place = known["mean"].idxmin() if metric.less_is_better else known["mean"].idxmax()
    best = known.loc[place]
    if abs(best["mean"] - best["shrunk"]) < smallest * WORTH_TELLING:
        return []
    factors = list(summary.columns[: summary.columns.get_loc("n")])
    name = ", ".join(f"{key}={level_text(best[key])}" for key in factors)
    mean, shrunk = (number(best[key], metric.digits) for key in ("mean", "shrunk"))
    again = (
        f"its test accuracy is {number(best['test_accuracy'], metric.digits)}"
        if best.get("test_accuracy", float("nan")) == best.get("test_accuracy")
        else "fresh seeds would tell"
    )
    return [
        f"The best of {len(known)} variants, {name}, has {mean}. Being chosen for that, it is "
        f"probably nearer to {shrunk} (shrunk towards the mean of all); {again}."
    ]
