"""The answer in words, from the tables of effects and interactions.

Accuracies differ in points (percentage points), losses in nats.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cnnlab.statistics.matrix import shown
from cnnlab.statistics.paired import ALPHA
from cnnlab.statistics.summary import LOSSES
from cnnlab.statistics.verdicts import EQUAL, ONE_SEED

ADD_SEEDS = "One seed: no verdict; add `seeds=5`."

CERTAINTY = {"helps": 0, "hurts": 0, "equivalent": 1, "no evidence": 2, "no verdict": 3}

LISTED = 4
"""Levels that a sentence lists; of more, it tells how many."""

MANY = 1000
"""More further seeds than this are a way to say no."""


class _Numbers:
    """Differences of one metric in words.

    Attributes:
        unit: points or nats
        scale: from the table's unit to this one
    """

    def __init__(self, metric: str):
        loss = metric in LOSSES
        self.unit, self.scale, self.plain = ("nats", 1, 3) if loss else ("points", 100, 1)

    def digits(self, row: Mapping[str, Any]) -> int:
        """So many that the interval's half width shows: 0.7 has one, 0.07 two.

        And so many that an interval beside 0 does not end in 0.0.
        """
        low, high = self.scale * row["ci_low"], self.scale * row["ci_high"]
        half = (high - low) / 2
        if not half > 0:  # NaN too
            return self.plain
        digits = min(max(-math.floor(math.log10(half)), 1), 6)
        nearer = min(abs(low), abs(high))
        if low * high > 0 and round(nearer, digits) == 0:
            digits = min(-math.floor(math.log10(nearer)), 6)
        return digits

    def __call__(self, value: float, digits: int, sign: str = "-") -> str:
        # + 0.0 turns -0.0 into 0.0
        return f"{round(self.scale * value, digits) + 0.0:{sign}.{digits}f}"

    def smallest(self, value: float) -> str:
        return f"{self.scale * value:.6g} {self.unit}"


def sentences(
    summary: pd.DataFrame,
    effects: pd.DataFrame,
    interactions: pd.DataFrame,
    *,
    metric: str,
    label: str,
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
        label: the metric in words, as in `cnnlab.core.metrics.LABELS`
        smallest: the smallest difference that would matter, in the metric's unit
        most: sentences

    Returns:
        at least one; the first is the headline
    """
    label = label.removesuffix(" (nats)")
    if not summary["n"].sum():
        return [_unfinished(summary)]
    averages = effects[effects["at"] == ""]
    if averages.empty:
        return [_alone(summary.to_dict("records")[0], label)]
    testable = averages["n_pairs"] > 0
    if summary["n"].max() == 1 and testable.any():
        return [ADD_SEEDS]
    told = []
    for name, rows in averages.groupby("factor", sort=False):
        ranked = sorted(rows.to_dict("records"), key=_certainty)
        depends = _depends(effects, interactions, name, ranked[0])
        told.append((_certainty(ranked[0]), _told(ranked, depends, label, metric, smallest)))
    return [text for _, text in sorted(told, key=lambda each: each[0])][:most]


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


def _alone(row: Mapping[str, Any], label: str) -> str:
    text = f"One variant only, nothing to compare: its {label} is {row['mean']:.4f}"
    if row["n"] < 2:
        return f"{text} (one seed)."
    if row["ci_low"] == row["ci_high"]:
        return f"{text} (the same with {row['n']} seeds)."
    return f"{text} (95% CI {row['ci_low']:.4f} to {row['ci_high']:.4f}, {row['n']} seeds)."


def _told(
    ranked: list[dict[str, Any]],
    depends: list[tuple[str, list[dict[str, Any]]]],
    label: str,
    metric: str,
    smallest: float,
) -> str:
    """One factor: its most certain level, what that depends on, its other levels, its losses."""
    row, numbers = ranked[0], _Numbers(metric)
    text = _lead(row, depends, label, numbers, smallest) + "".join(
        f"; {_which(row)} depends on {other}{_at(simple, numbers)}" for other, simple in depends
    )
    return f"{text}.{_others(ranked[1:], numbers)}{_lost(row)}"


def _lead(
    row: Mapping[str, Any],
    depends: list[tuple[str, list[dict[str, Any]]]],
    label: str,
    numbers: _Numbers,
    smallest: float,
) -> str:
    ours, theirs = (f"{row['factor']}={shown(row[key])}" for key in ("level", "baseline"))
    pair = f"{ours} over {shown(row['baseline'])}"
    digits = numbers.digits(row)
    signed = f"{numbers(row['difference'], digits, '+')} {numbers.unit}"
    if row["verdict"] == "no verdict":
        return f"No verdict on {pair}: {_missing(row, signed)}"
    if row["verdict"] in ("helps", "hurts"):
        more = "higher" if row["difference"] > 0 else "lower"
        size = numbers(abs(row["difference"]), digits)
        return (
            f"With {ours}, {label} is {size} {numbers.unit} {more} than with {theirs} "
            f"({_interval(row, numbers, flip=row['difference'] < 0)})"
        )
    found = f"{signed} ({_interval(row, numbers)})"
    if row["verdict"] == "equivalent":
        real = ", real but too small to matter" if row["p_holm"] < ALPHA else ""
        within = numbers.smallest(smallest)
        return f"{ours} and {theirs} are equivalent within {within}: {found}{real}"
    return f"No evidence either way for {pair}: {found}{_more(row, numbers, smallest)}"


def _missing(row: Mapping[str, Any], signed: str) -> str:
    if row["why"] == ONE_SEED:
        return "one seed; add `seeds=5`"
    if row["why"] == EQUAL:
        return f"the difference is {signed} in each of {row['n_pairs']} seeds: no sign of chance"
    return str(row["why"])


def _interval(row: Mapping[str, Any], numbers: _Numbers, flip: bool = False) -> str:
    low, high = (-row["ci_high"], -row["ci_low"]) if flip else (row["ci_low"], row["ci_high"])
    digits, count = numbers.digits(row), row["combinations"]
    mean = f", mean over {count} settings of the rest" if count > 1 else ""
    return (
        f"95% CI {numbers(low, digits)} to {numbers(high, digits)}, "
        f"{row['n_pairs']} seeds, paired{mean}"
    )


def _more(row: Mapping[str, Any], numbers: _Numbers, smallest: float) -> str:
    family = ""
    if row["p"] < ALPHA:  # the interval lies on one side of 0; say why this is no verdict
        family = f", which may be chance among {row['comparisons']} comparisons (Holm)"
    size, count = numbers.smallest(smallest), row["more_seeds"]
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
    found = []
    for test in interactions[interactions["verdict"] == "interaction"].to_dict("records"):
        if name not in (test["factor"], test["other"]):
            continue
        other = test["other"] if test["factor"] == name else test["factor"]
        at = effects["at"].str.startswith(f"{other}=")
        level = effects["level"].map(shown) == shown(row["level"])
        simple = effects[at & level & (effects["factor"] == name) & (effects["n_pairs"] > 0)]
        if len(simple) > 1:
            found.append((other, simple.to_dict("records")))
    return found


def _which(row: Mapping[str, Any]) -> str:
    return "the gain" if row["verdict"] == "helps" else "the difference"


def _at(simple: list[dict[str, Any]], numbers: _Numbers) -> str:
    if len(simple) > LISTED:  # the two ends tell how far apart they are
        ends = sorted(simple, key=lambda each: each["difference"])
        return ": from " + " to ".join(_one_at(each, numbers) for each in (ends[0], ends[-1]))
    return ": " + ", ".join(_one_at(each, numbers) for each in simple)


def _one_at(row: Mapping[str, Any], numbers: _Numbers) -> str:
    at = row["at"].partition("=")[2]
    return f"{numbers(row['difference'], numbers.digits(row), '+')} at {at}"


def _others(rows: list[dict[str, Any]], numbers: _Numbers) -> str:
    """The further levels of a factor: ` Also: elu helps (+0.8), tanh hurts (-1.2).`"""
    if not rows:
        return ""
    words = []
    for row in rows[:LISTED]:
        known = row["verdict"] != "no verdict"
        signed = f" ({numbers(row['difference'], numbers.digits(row), '+')})" if known else ""
        colon = "" if row["verdict"] in ("helps", "hurts") else ":"
        words.append(f"{shown(row['level'])}{colon} {row['verdict']}{signed}")
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
