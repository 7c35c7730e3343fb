"""The answer in words, from the tables of effects and interactions.

Accuracies differ in points (percentage points), losses in nats.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cnnlab.core.formats import amount, difference, interval, number, span
from cnnlab.core.metrics import METRICS, Metric
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.paired import ALPHA
from cnnlab.statistics.verdicts import EQUAL, ONE_SEED

ADD_SEEDS = "One seed: no verdict; add `seeds=5`."

CERTAINTY = {"helps": 0, "hurts": 0, "equivalent": 1, "no evidence": 2, "no verdict": 3}

LISTED = 4
"""Levels that a sentence lists; of more, it tells how many."""

MANY = 1000
"""More further seeds than this are a way to say no."""


def sentences(
    summary: pd.DataFrame,
    effects: pd.DataFrame,
    interactions: pd.DataFrame,
    *,
    metric: Metric,
    smallest: float,
    most: int = 5,
) -> list[str]:
    """What was found, a sentence or two a factor, the most certain first.

    Plain text: whoever puts it into HTML escapes it.

    Args:
        summary: of `cnnlab.statistics.summary.summary`
        effects: of `cnnlab.statistics.effects.effects`
        interactions: of `cnnlab.statistics.interactions.interactions`
        metric: that was compared
        smallest: the smallest difference that would matter, in the metric's unit
        most: sentences

    Returns:
        at least one; the first is the headline
    """
    if not summary["n"].sum():
        return [_unfinished(summary)]
    averages = effects[effects["at"] == ""]
    if averages.empty:
        return [_alone(summary.to_dict("records")[0], metric)]
    testable = averages["n_pairs"] > 0
    if summary["n"].max() == 1 and testable.any():
        return [ADD_SEEDS]
    answers = []
    for name, rows in averages.groupby("factor", sort=False):
        ranked = sorted(rows.to_dict("records"), key=_certainty)
        depends = _depends(effects, interactions, name, ranked[0])
        answers.append((_certainty(ranked[0]), _answer(ranked, depends, smallest)))
    return [text for _, text in sorted(answers, key=lambda each: each[0])][:most]


def _certainty(row: Mapping[str, Any]) -> tuple[float, ...]:
    tests = (row["p_equivalent"],) if row["verdict"] == "equivalent" else (row["p_holm"], row["p"])
    return (CERTAINTY[row["verdict"]], *(1.0 if p != p else p for p in tests))


def _unfinished(summary: pd.DataFrame) -> str:
    counts = _listed(
        f"{summary[state].sum()} {state}"
        for state in ("failed", "diverged", "pending")
        if summary[state].sum()
    )
    return f"No run has a result yet: {counts}." if counts else "No run has a result yet."


def _alone(row: Mapping[str, Any], metric: Metric) -> str:
    mean = number(row["mean"], metric.digits)
    text = f"One variant only, nothing to compare: its {metric.label} is {mean}"
    if row["n"] < 2:
        return f"{text} (one seed)."
    if row["ci_low"] == row["ci_high"]:
        return f"{text} (the same with {row['n']} seeds)."
    ends = span(row["ci_low"], row["ci_high"], metric.digits)
    return f"{text} (95% CI {ends}, {row['n']} seeds)."


def _answer(
    ranked: list[dict[str, Any]],
    depends: list[tuple[str, list[dict[str, Any]]]],
    smallest: float,
) -> str:
    """One factor: its most certain level, what that depends on, its other levels, its losses."""
    row = ranked[0]
    text = _lead(row, smallest) + "".join(
        f"; {_which(row)} depends on {other}{_at(simple)}" for other, simple in depends
    )
    return f"{text}.{_others(ranked[1:])}{_lost(row)}"


def _lead(row: Mapping[str, Any], smallest: float) -> str:
    metric = METRICS[row["metric"]]
    ours, theirs = (f"{row['factor']}={level_text(row[key])}" for key in ("level", "baseline"))
    pair = f"{ours} over {level_text(row['baseline'])}"
    signed = f"{difference(row)} {metric.unit}"
    if row["verdict"] == "no verdict":
        return f"No verdict on {pair}: {_missing(row, signed)}"
    if row["verdict"] in ("helps", "hurts"):
        more = "higher" if row["difference"] > 0 else "lower"
        size = row if row["difference"] > 0 else _turned(row)
        return (
            f"With {ours}, {metric.label} is {difference(size, '-')} {metric.unit} {more} than "
            f"with {theirs} ({_interval(size)})"
        )
    text = f"{signed} ({_interval(row)})"
    if row["verdict"] == "equivalent":
        real = ", real but too small to matter" if row["p_holm"] < ALPHA else ""
        within = amount(smallest, metric)
        return f"{ours} and {theirs} are equivalent within {within}: {text}{real}"
    return f"No evidence either way for {pair}: {text}{_more(row, amount(smallest, metric))}"


def _turned(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same difference from the other side."""
    ends = {"ci_low": -row["ci_high"], "ci_high": -row["ci_low"]}
    return {**row, "difference": -row["difference"], **ends}


def _missing(row: Mapping[str, Any], signed: str) -> str:
    if row["why"] == ONE_SEED:
        return "one seed; add `seeds=5`"
    if row["why"] == EQUAL:
        return f"the difference is {signed} in each of {row['n_pairs']} seeds: no sign of chance"
    return str(row["why"])


def _interval(row: Mapping[str, Any]) -> str:
    count = row["combinations"]
    mean = f", mean over {count} settings of the rest" if count > 1 else ""
    return f"95% CI {interval(row)}, {row['n_pairs']} seeds, paired{mean}"


def _more(row: Mapping[str, Any], size: str) -> str:
    family = ""
    if row["p"] < ALPHA:  # the interval lies on one side of 0; say why this is no verdict
        family = f", which may be chance among {row['comparisons']} comparisons (Holm)"
    count = row["more_seeds"]
    if count == 0:
        return f"{family}; a difference of {size} would probably have shown"
    if count > MANY:
        return f"{family}; more than {MANY} more seeds would be needed to show {size}"
    seeds = "seed" if count == 1 else "seeds"
    return f"{family}; about {count:.0f} more {seeds} would show a difference of {size}"


def _depends(
    effects: pd.DataFrame, interactions: pd.DataFrame, name: str, row: Mapping[str, Any]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The factors that this one interacts with, and its simple effects at their levels."""
    others = []
    for test in interactions[interactions["verdict"] == "interaction"].to_dict("records"):
        if name not in (test["factor"], test["other"]):
            continue
        other = test["other"] if test["factor"] == name else test["factor"]
        at = effects["at"].str.startswith(f"{other}=")
        level = effects["level"].map(level_text) == level_text(row["level"])
        simple = effects[at & level & (effects["factor"] == name) & (effects["n_pairs"] > 0)]
        if len(simple) > 1:
            others.append((other, simple.to_dict("records")))
    return others


def _which(row: Mapping[str, Any]) -> str:
    return "the gain" if row["verdict"] == "helps" else "the difference"


def _at(simple: list[dict[str, Any]]) -> str:
    if len(simple) > LISTED:  # the two ends tell how far apart they are
        ends = sorted(simple, key=lambda each: each["difference"])
        return ": from " + " to ".join(map(_one_at, (ends[0], ends[-1])))
    return ": " + ", ".join(map(_one_at, simple))


def _one_at(row: Mapping[str, Any]) -> str:
    return f"{difference(row)} at {row['at'].partition('=')[2]}"


def _others(rows: list[dict[str, Any]]) -> str:
    """The further levels of a factor: ` Also: elu helps (+0.8), tanh hurts (-1.2).`"""
    if not rows:
        return ""
    words = []
    for row in rows[:LISTED]:
        known = row["verdict"] != "no verdict"
        signed = f" ({difference(row)})" if known else ""
        colon = "" if row["verdict"] in ("helps", "hurts") else ":"
        words.append(f"{level_text(row['level'])}{colon} {row['verdict']}{signed}")
    more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
    return f" Also: {', '.join(words)}{more}."


def _lost(row: Mapping[str, Any]) -> str:
    """What the numbers leave out: ` Missing pairs: 2 diverged. Left out: lr=0.1.`"""
    counts = _listed(
        f"{row[f'lost_{state}']} {word}"
        for state, word in (
            ("diverged", "diverged"), ("failed", "failed"), ("pending", "pending"),
            ("unmeasured", "without this metric"),
        )
        if row[f"lost_{state}"]
    )  # fmt: skip
    text = f" Missing pairs: {counts}." if counts else ""
    if row["left_out"]:
        text += f" The mean leaves out {row['left_out']}, where no seed has both."
    return text


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
