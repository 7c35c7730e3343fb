"""Simulates sweeps whose truth is known, and counts how often their verdicts are wrong.

    python tests/statistics/calibration.py --sweeps 2000 --seed 0

Each simulated sweep goes through `effects.effects`, as a report's would. Without any effect,
at most 5% of the families may hold a "helps" or "hurts"; with effects on some levels, at most 5%
may hold one on another level. 95% of the intervals hold the truth, and all of a family's wider ones
do in 95% of the sweeps. Tests find what they are said to find as often as they are said to, and the
number of further seeds is the one that it takes.

Noise is normal, skewed or heavy-tailed, equal in all variants or not, and runs are lost. Where a
claim breaks, STATED has what docs/statistics.md says instead.

Exits with 1 if a claim does not hold. `tests/statistics/test_verdicts.py` has the short form.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.statistics.effects import effects
from cnnlab.statistics.interactions import interactions
from cnnlab.statistics.matrix import spread
from cnnlab.statistics.paired import ALPHA, LEVEL, POWER, power, seeds_needed

METRIC = "best_val_accuracy"
SMALLEST = 0.005
NOISE = 0.005
"""Of a run, beside what its seed shares: the standard deviation of CIFAR-10 accuracies of a small
CNN is about that, half a point."""

SHARED = 0.01
"""Of what all runs of a seed share; pairing takes it out."""

SIGMAS = 3.0
"""Monte-Carlo errors by which a share may miss its claim: 1 of 700 claims that hold is refused."""

DESIGNS: dict[str, Mapping[str, Sequence[Any]]] = {
    "1 factor, 6 comparisons": {"a": range(7)},
    "1 factor, 12 comparisons": {"a": range(13)},
    "3 x 3 x 3 grid, 6 comparisons": {"a": range(3), "b": range(3), "c": range(3)},
}

Noise = Callable[[np.random.Generator, int], np.ndarray]

NOISES: dict[str, Noise] = {
    "normal": lambda random, size: random.normal(size=size),
    "skewed": lambda random, size: random.exponential(size=size) - 1,
    "heavy-tailed": lambda random, size: random.standard_t(3, size) / 3**0.5,
}
"""With mean 0 and standard deviation 1."""

UNEQUAL = 3.0
"""Times that every second level's noise is that of the others, where it is unequal."""

STATED = {("skewed", True): 0.11}
"""False families that the documentation admits, by noise and whether it is unequal; else ALPHA."""

ALL_BUT_ONE = 0.09
"""Families whose intervals do not all hold, at most, where all comparisons but one have an effect:
Holm tests the last one at 0.05, and the intervals of the others take their part too."""

LOST = (0.0, 0.05, 0.1)
"""Shares of runs that fail."""

CONDITIONS = [
    *itertools.product(NOISES, (False, True), [0.0], (3, 6, 12), (3, 5, 10)),
    *itertools.product(["normal"], [False], LOST[1:], (3, 6, 12), (3, 5, 10)),
]
"""Noise, whether it is unequal, share of lost runs, comparisons, seeds."""

SHORT = [("normal", False, 0.1, 3, 3), ("skewed", True, 0.0, 3, 3)]
"""Those of the short form."""

Row = dict[str, Any]
"""Of the printed table: claim, what, found, wanted, error (Monte-Carlo), holds."""


def sweep(design: Mapping[str, Sequence[Any]], seeds: int) -> pd.DataFrame:
    """The runs of a full grid, without their metric."""
    rows = [
        {**dict(zip(design, cell, strict=True)), "variant": variant, "seed": seed}
        for variant, cell in enumerate(itertools.product(*design.values()))
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(status="done")


def simulated(
    runs: pd.DataFrame,
    random: np.random.Generator,
    truth: np.ndarray | float = 0,
    noise: str = "normal",
    times: np.ndarray | float = 1,
    lost: float = 0,
) -> pd.DataFrame:
    """Accuracies: 0.7 + truth (one a run) + what the seed shares + noise; some runs fail."""
    shared = random.normal(0, SHARED, runs["seed"].max() + 1)[runs["seed"]]
    own = NOISE * times * NOISES[noise](random, len(runs))
    failed = random.random(len(runs)) < lost
    status = np.where(failed, "failed", "done")
    return runs.assign(
        **{METRIC: np.where(failed, np.nan, 0.7 + truth + shared + own)}, status=status
    )


def under(
    noise: str, unequal: bool, lost: float, comparisons: int, seeds: int, sweeps: int,
    random: np.random.Generator,
) -> list[Row]:  # fmt: skip
    """What becomes of a family of one factor in which nothing has an effect."""
    design = {"a": range(comparisons + 1)}
    runs = sweep(design, seeds)
    times = 1 + (UNEQUAL - 1) * (runs["a"] % 2).to_numpy() * unequal
    false, held, covered, decided = 0, 0, 0, 0
    for _ in range(sweeps):
        table = tested(simulated(runs, random, 0, noise, times, lost), design)
        table = table[table["p"].notna()]
        decided += len(table)
        false += (table["p_holm"] < ALPHA).any()
        covered += int(((table["ci_low"] <= 0) & (table["ci_high"] >= 0)).sum())
        held += bool(((table["all_low"] <= 0) & (table["all_high"] >= 0)).all())
    what = f"{noise}{', unequal' * unequal}, {100 * lost:.0f}% lost, {comparisons} x {seeds} seeds"
    most = STATED.get((noise, unequal), ALPHA)
    return [
        _share("false families", what, false / sweeps, most, sweeps, most=True),
        _share("families not all held", what, 1 - held / sweeps, most, sweeps, most=True),
        _shown("intervals with the truth", what, covered / decided),
        _shown("comparisons with a test", what, decided / sweeps / comparisons),
    ]


def _shown(claim: str, what: str, found: float) -> Row:
    """A number of which nothing is claimed."""
    return {
        "claim": claim, "what": what, "found": found, "wanted": np.nan, "error": np.nan,
        "holds": True,
    }  # fmt: skip


def lost_in_a_grid(lost: float, seeds: int, sweeps: int, random: np.random.Generator) -> list[Row]:
    """A 3 x 3 x 3 grid of which runs are lost: false verdicts, coverage, averages with a test."""
    name = "3 x 3 x 3 grid, 6 comparisons"
    runs = sweep(DESIGNS[name], seeds)
    false, covered, decided = 0, 0, 0
    for _ in range(sweeps):
        table = tested(simulated(runs, random, lost=lost), DESIGNS[name])
        false += (table["p_holm"] < ALPHA).any()
        covered += int(((table["ci_low"] <= 0) & (table["ci_high"] >= 0)).sum())
        decided += int(table["p"].notna().sum())
    what = f"{name}, {100 * lost:.0f}% lost, {seeds} seeds"
    return [
        _share("false families", what, false / sweeps, ALPHA, sweeps, most=True),
        _share("intervals with the truth", what, covered / decided, LEVEL, sweeps),
        _shown("averages with a test", what, decided / sweeps / 6),
    ]


def all_but_one(seeds: int, sweeps: int, random: np.random.Generator) -> list[Row]:
    """The worst for intervals that hold all at once: all levels but one have a large effect."""
    design = DESIGNS["1 factor, 6 comparisons"]
    runs = sweep(design, seeds)
    truth = 0.05 * (runs["a"] > 1).to_numpy()
    held = 0
    for _ in range(sweeps):
        table = tested(simulated(runs, random, truth), design)
        effect = 0.05 * (table["level"] > 1)
        held += bool(((table["all_low"] <= effect) & (table["all_high"] >= effect)).all())
    what = f"6 comparisons, 5 with an effect, {seeds} seeds"
    return [
        _share("families not all held", what, 1 - held / sweeps, ALL_BUT_ONE, sweeps, most=True)
    ]  # fmt: skip


def tested(runs: pd.DataFrame, design: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Average effects, as a report has them."""
    table = effects(spread(runs, list(design), METRIC), smallest=SMALLEST)[0]
    return table[table["kind"] == "average"]


def no_effect(name: str, seeds: int, sweeps: int, random: np.random.Generator) -> list[Row]:
    """Families with a false verdict, and intervals that hold 0, where nothing has an effect."""
    design = DESIGNS[name]
    runs = sweep(design, seeds)
    false, significant, covered, total = 0, 0, 0, 0
    for _ in range(sweeps):
        table = tested(simulated(runs, random), design)
        significant += (table["p_holm"] < ALPHA).any()
        false += table["verdict"].isin(["helps", "hurts"]).any()
        covered += int(((table["ci_low"] <= 0) & (table["ci_high"] >= 0)).sum())
        total += len(table)
    what = f"{name}, {seeds} seeds"
    return [
        _share("false families, no effect", what, false / sweeps, ALPHA, sweeps, most=True),
        # In large grids most of those few are called equivalent: they are far below SMALLEST.
        _share("families with p_holm < 0.05", what, significant / sweeps, ALPHA, sweeps, most=True),
        # Comparisons with one baseline are not independent: the error is that of whole sweeps.
        _share("intervals with the truth", what, covered / total, LEVEL, sweeps),
    ]


def no_interaction(seeds: int, sweeps: int, random: np.random.Generator) -> list[Row]:
    """Families with a false interaction or simple effect in a grid in which the first factor has
    an effect, and the same one everywhere."""
    name = "3 x 3 x 3 grid, 6 comparisons"
    design = DESIGNS[name]
    runs = sweep(design, seeds)
    truth = 0.02 * (runs["a"] == 2).to_numpy()
    crossed, simple = 0, 0
    for _ in range(sweeps):
        drawn = simulated(runs, random, truth)
        cells = spread(drawn, list(design), METRIC)
        tests = interactions(cells)
        crossed += tests["verdict"].eq("interaction").any()
        table = effects(cells, smallest=SMALLEST)[0]
        others = table[
            (table["kind"] == "simple") & ~(table["factor"].eq("a") & table["level"].eq(2))
        ]
        simple += others["verdict"].isin(["helps", "hurts"]).any()
    what = f"{name}, one with an effect, {seeds} seeds"
    return [
        _share("false interactions", what, crossed / sweeps, ALPHA, sweeps, most=True),
        _share("false simple effects", what, simple / sweeps, ALPHA, sweeps, most=True),
    ]


def some_effects(seeds: int, sweeps: int, random: np.random.Generator) -> list[Row]:
    """Families with a false verdict where every second level has an effect of 2 points."""
    name = "1 factor, 12 comparisons"
    runs = sweep(DESIGNS[name], seeds)
    truth = 0.02 * (runs["a"] % 2).to_numpy()
    false, missed, covered, total = 0, 0, 0, 0
    for _ in range(sweeps):
        table = tested(simulated(runs, random, truth), DESIGNS[name])
        effect = (table["level"] % 2).astype(float) * 0.02
        false += (table["verdict"].isin(["helps", "hurts"]) & (effect == 0)).any()
        missed += int((table["verdict"].eq("hurts") & (effect > 0)).sum())
        covered += int(((table["ci_low"] <= effect) & (table["ci_high"] >= effect)).sum())
        total += len(table)
    what = f"{name}, half with one, {seeds} seeds"
    return [
        _share("false families, some effects", what, false / sweeps, ALPHA, sweeps, most=True),
        _share("verdicts of the wrong sign", what, missed / total, ALPHA, sweeps, most=True),
        _share("intervals with the truth", what, covered / total, LEVEL, sweeps),
    ]


def found_as_often(seeds: int, sweeps: int, random: np.random.Generator) -> list[Row]:
    """How often a difference of SMALLEST becomes significant, beside what `power` says, and how
    often it is called equivalent, which is the other way to be wrong."""
    design = {"a": range(2)}
    runs = sweep(design, seeds)
    truth = SMALLEST * runs["a"].to_numpy()
    found, equivalent = 0, 0
    for _ in range(sweeps):
        table = tested(simulated(runs, random, truth), design)
        found += int((table["p_holm"] < ALPHA).sum())
        equivalent += int((table["verdict"] == "equivalent").sum())
    ratio = SMALLEST / (NOISE * 2**0.5)
    claim = float(power(np.array([seeds]), np.array([ratio]), np.array([ALPHA]))[0])
    what = f"a difference of {SMALLEST}, {seeds} seeds"
    return [
        _share("power", what, found / sweeps, claim, sweeps, slack=0.15 * claim),
        _share("false equivalent", what, equivalent / sweeps, ALPHA, sweeps, most=True),
    ]


def enough_seeds(sweeps: int, random: np.random.Generator) -> list[Row]:
    """The number of seeds beside the one that simulated t tests take to reach 80%."""
    rows = []
    for noise, comparisons in itertools.product((0.002, 0.005, 0.01), (1, 6, 12)):
        sd, alpha = noise * 2**0.5, ALPHA / comparisons
        claim = float(seeds_needed(np.array([sd]), SMALLEST, alpha)[0])
        truth = _fewest(sd, alpha, sweeps, random)
        what = f"noise {noise}, {comparisons} comparisons"
        # One seed of 5 is more than 15%, so a number may also be one off.
        holds = abs(claim - truth) <= max(0.15 * truth, 1)
        rows.append(
            {"claim": "seeds for 80% power", "what": what, "found": truth, "wanted": claim,
             "error": np.nan, "holds": holds}
        )  # fmt: skip
    return rows


def _fewest(sd: float, alpha: float, sweeps: int, random: np.random.Generator) -> int:
    """By simulation alone: the fewest seeds at which a share of 80% is significant."""
    from scipy.stats import ttest_1samp

    low, high = 1, 400
    while high - low > 1:
        middle = (low + high) // 2
        draws = random.normal(SMALLEST, sd, (sweeps * 4, middle))
        significant = (ttest_1samp(draws, 0, axis=1).pvalue < alpha).mean()
        low, high = (low, middle) if significant >= POWER else (middle, high)
    return high


def more_seeds(pilot: int, sweeps: int, random: np.random.Generator) -> list[Row]:
    """The number of seeds that sweeps of `pilot` seeds ask for, on average, beside the true one.

    One sweep's own number varies as its variance does: with 5 seeds from a third to double.
    """
    design = {"a": range(7)}
    runs = sweep(design, pilot)
    asked = np.concatenate(
        [
            (table["n_pairs"] + table["more_seeds"]).to_numpy()
            for table in (tested(simulated(runs, random), design) for _ in range(sweeps))
        ]
    )
    truth = float(seeds_needed(np.array([NOISE * 2**0.5]), SMALLEST, ALPHA / 6)[0])
    low, high = np.quantile(asked, [0.1, 0.9])
    error = asked.std() / sweeps**0.5
    what = f"mean of sweeps of {pilot} seeds (80% of them: {low:.0f} to {high:.0f})"
    holds = bool(abs(asked.mean() - truth) <= 0.15 * truth + SIGMAS * error)
    return [
        {"claim": "seeds asked for", "what": what, "found": asked.mean(), "wanted": truth,
         "error": error, "holds": holds}
    ]  # fmt: skip


def _share(
    claim: str, what: str, found: float, wanted: float, count: int,
    most: bool = False, slack: float = 0,
) -> Row:  # fmt: skip
    error = (wanted * (1 - wanted) / count) ** 0.5
    off = found - wanted if most else abs(found - wanted)
    return {
        "claim": claim, "what": what, "found": found, "wanted": wanted, "error": error,
        "holds": bool(off <= SIGMAS * error + slack),
    }  # fmt: skip


def calibration(
    sweeps: int,
    seed: int = 0,
    designs: Sequence[str] = tuple(DESIGNS),
    tell: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """All claims, a row each; `tell` gets each row as soon as it is there."""
    random = np.random.default_rng(seed)
    parts = [lambda n=n, d=d: no_effect(d, n, sweeps, random) for d in designs for n in (3, 5, 10)]
    conditions = SHORT
    if len(designs) > 1:
        conditions = CONDITIONS
        parts += [lambda n=n: no_interaction(n, sweeps, random) for n in (3, 5, 10)]
        parts += [
            lambda n=n, lost=lost: lost_in_a_grid(lost, n, sweeps, random)
            for n in (3, 5) for lost in LOST[1:]
        ]  # fmt: skip
        parts += [lambda n=n: all_but_one(n, sweeps, random) for n in (3, 5, 10)]
    parts += [lambda each=each: under(*each, sweeps, random) for each in conditions]
    parts += [lambda n=n: some_effects(n, sweeps, random) for n in (5, 10)]
    parts += [lambda n=n: found_as_often(n, sweeps, random) for n in (5, 10, 18)]
    parts += [lambda: enough_seeds(max(sweeps, 1000), random)]
    parts += [lambda n=n: more_seeds(n, sweeps, random) for n in (5, 10)]
    rows = []
    for part in parts:
        for row in part():
            rows.append(row)
            tell(line(row))
    return pd.DataFrame(rows)


def line(row: Row) -> str:
    """A row for the terminal."""
    error = "" if row["error"] != row["error"] else f" -+ {row['error']:.3f}"
    mark = "" if row["holds"] else "  DOES NOT HOLD"
    found = f"{row['found']:7.3f}{error:10} wanted {row['wanted']:7.3f}"
    return f"{row['claim']:29} {row['what']:61} {found}{mark}"


def main() -> None:
    """Prints the table; exits with 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sweeps", type=int, default=2000, help="simulated for each row")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    asked = parser.parse_args()
    table = calibration(asked.sweeps, asked.seed, tell=lambda text: print(text, flush=True))
    missed = int((~table["holds"]).sum())
    print(f"{len(table)} claims, {missed} do not hold; {asked.sweeps} sweeps a row")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
