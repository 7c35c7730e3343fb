"""One comparison in words. Accuracies differ in points (percentage points), losses in nats."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnlab.core.formats import amount, difference, interval, number
from cnnlab.core.metrics import METRICS
from cnnlab.statistics.matrix import level_text
from cnnlab.statistics.paired import ALPHA, POWER
from cnnlab.statistics.verdicts import EQUAL, LOST

MANY = 1000
"""Seeds: more than this are a way to say no."""

LISTED = 4
"""Levels that a sentence lists; of more, it tells how many, or the two ends."""

Row = Mapping[str, Any]
"""Of `cnnlab.statistics.effects.effects`."""


def answer(row: Row, smallest: float) -> str:
    """What changed, by how much, how sure.

    Args:
        row: an average
        smallest: the smallest difference that would matter, in the metric's unit
    """
    forms = {"equivalent": _equivalent, "no evidence": _no_evidence, "no verdict": _no_verdict}
    return forms.get(row["verdict"], _real)(row, smallest)


def _real(row: Row, _: float) -> str:
    ours, theirs = _sides(row)
    size = row if row["difference"] > 0 else _turned(row)
    metric = METRICS[row["metric"]]
    return (
        f"With {ours}, {metric.label} is {difference(size, '-')} {metric.unit} {_direction(row)}"
        f"{_on_average(row)} than with {theirs} (95% CI {interval(size)}), and {_agreeing(row)}."
    )


def _equivalent(row: Row, smallest: float) -> str:
    ours, theirs = _sides(row)
    real = ": real, but too small to matter" if row["p_holm"] < ALPHA else ""
    within = f"{amount(smallest, METRICS[row['metric']])}{_on_average(row)}"
    return f"{ours} and {theirs} are equivalent within {within}: {_size(row)}{real}."


def _no_evidence(row: Row, _: float) -> str:
    ours, _theirs = _sides(row)
    over = level_text(row["baseline"])
    if row["driver"]:
        why = f", because {row['driver']} varies by {_spread(row)} between seeds"
    elif row["p"] < ALPHA:  # its own interval is on one side of 0
        why = f": it may be chance among {row['comparisons']} comparisons"
    elif row["agree"] < row["n_pairs"]:
        return f"No evidence that {ours} differs from {over}{_on_average(row)}: {_size(row)}."
    else:
        why = ": there may be no difference"
    return f"{ours} over {over}{_on_average(row)}: {_size(row)}, but uncertain{why}."


def _no_verdict(row: Row, _: float) -> str:
    ours, _theirs = _sides(row)
    pair = f"{ours} over {level_text(row['baseline'])}"
    if row["why"] == EQUAL:
        same = f"{difference(row)} {METRICS[row['metric']].unit} in each of {row['n_pairs']} seeds"
        return f"No verdict on {pair}: {same}, so that nothing tells what is chance."
    return f"No verdict on {pair}: {row['why']}."


def without(row: Row) -> str:
    """The effect without the combination that makes it uncertain."""
    size = f"{difference(row)} {METRICS[row['metric']].unit} (95% CI {interval(row)})"
    return f"Without {row['at']}, left out after looking: {size}."


def still_possible(row: Row, smallest: float) -> str:
    """What the family's interval allows where it shows nothing, and how many seeds would tell."""
    metric = METRICS[row["metric"]]
    low, high = interval({**row, "ci_low": row["all_low"], "ci_high": row["all_high"]}).split(
        " to "
    )
    size, unit = high.lstrip("-"), metric.unit
    if low.startswith("-") and not high.startswith("-"):
        ends = f"from {low[1:]} {unit} lower to {size} higher"
    else:  # 0 is one of them, but for rounding
        ends = f"from {low.lstrip('-')} to {size} {unit} {_direction(row)}"
    together = ", all comparisons at once" if row["comparisons"] > 1 else ""
    text = f"With {_sides(row)[0]}, anything {ends} is possible{together}"
    seeds = seeds_needed(row)
    if seeds is None or row["more_seeds_high"] == 0:
        return f"{text}."
    size = amount(smallest, metric)
    return f"{text}; a new sweep finds {size} with {seeds} seeds (power {100 * POWER:.0f}%)."


def seeds_needed(row: Row) -> str | None:
    """How many seeds a new sweep needs: `8 to 46`; None where that is not known."""
    low, high = (row["n_pairs"] + row[f"more_seeds_{end}"] for end in ("low", "high"))
    if not low <= high:
        return None
    if low > MANY or low == high:
        return _many(low)
    return f"{low:.0f} to {_many(high)}"


def _many(count: float) -> str:
    return f"more than {MANY:,}" if count > MANY else f"{count:.0f}"


def depends(name: str, other: str, simple: Sequence[Row], lead: Row | None) -> str:
    """How a factor's effect depends on another: its simple effects of one level.

    Args:
        name: the factor
        other: that it depends on
        simple: the effects of one level at the levels of the other
        lead: the average that is told before it; None: it stands alone
    """
    if len(simple) > LISTED:  # the two ends tell how far apart they are
        ends = sorted(simple, key=lambda each: each["difference"])
        at = "from " + " to ".join(map(_at, (ends[0], ends[-1])))
    else:
        at = ", ".join(map(_at, simple))
    level = level_text(simple[0]["level"])
    if lead is None or level != level_text(lead["level"]):
        return f"What {name}={level} changes depends on {other}: {at}."
    if lead["verdict"] == "equivalent":
        return f"That is so on average only, and depends on {other}: {at}."
    return f"{'The gain' if lead['verdict'] == 'helps' else 'It'} depends on {other}: {at}."


def levels(rows: Sequence[Row]) -> str:
    """The further levels of a factor: `Other levels of norm: gn helps (+0.8), ln hurts (-1.2).`"""
    words = []
    for row in rows[:LISTED]:
        missing = f" in {row['n_pairs']} seeds, {counts}" if (counts := _counts(row)) else ""
        signed = f" ({difference(row)}{missing})" if row["verdict"] != "no verdict" else ""
        colon = "" if row["verdict"] in ("helps", "hurts") else ":"
        words.append(f"{level_text(row['level'])}{colon} {row['verdict']}{signed}")
    more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
    return f"Other levels of {rows[0]['factor']}: {', '.join(words)}{more}."


def lost(row: Row) -> list[str]:
    """What the numbers of a comparison leave out."""
    counts = _counts(row)
    pair = f"{_sides(row)[0]} over {level_text(row['baseline'])}"
    found = [f"Missing pairs for {pair}: {counts}."] * bool(counts)
    if row["left_out"]:
        found.append(
            f"The mean for {pair} leaves out {row['left_out']}, where too few seeds can be "
            "compared."
        )
    return found


# --- parts


def _counts(row: Row) -> str:
    """How many pairs are missing, and why: `2 diverged, 1 failed`."""
    words = zip(LOST, ("failed", "diverged", "pending", "without it"), strict=True)
    return ", ".join(f"{row[name]} {word}" for name, word in words if row[name])


def _sides(row: Row) -> tuple[str, str]:
    ours, theirs = (f"{row['factor']}={level_text(row[key])}" for key in ("level", "baseline"))
    return ours, theirs


def _size(row: Row) -> str:
    """`+1.9 points (95% CI 1.2 to 2.6), higher in 5 of 5 seeds`."""
    unit = METRICS[row["metric"]].unit
    agreeing = f", {_direction(row)} {_agreeing(row)}" if row["agree"] else ""  # of exactly 0
    return f"{difference(row)} {unit} (95% CI {interval(row)}){agreeing}"


def _direction(row: Row) -> str:
    return "higher" if row["difference"] > 0 else "lower"


def _agreeing(row: Row) -> str:
    return f"in {row['agree']} of {row['n_pairs']} seeds"


def _on_average(row: Row) -> str:
    return " on average" if row["combinations"] > 1 else ""


def _turned(row: Row) -> dict[str, Any]:
    """The same difference from the other side."""
    ends = {"ci_low": -row["ci_high"], "ci_high": -row["ci_low"]}
    return {**row, "difference": -row["difference"], **ends}


def _spread(row: Row) -> str:
    metric = METRICS[row["metric"]]
    return f"{_short(metric.scale * row['driver_sd'])} {metric.unit}"


def _short(value: float) -> str:
    """With as many digits as such a number needs: 18, 1.8, 0.18."""
    return number(value, 0 if value >= 10 else 1 if value >= 1 else 2)


def _at(row: Row) -> str:
    return f"{difference(row)} at {row['at'].partition('=')[2]}"
