"""Designs: which combinations of the factors' values a sweep has.

A cell is one value for each key, as text: `{"norm": "bn", "lr.base": "0.01"}`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from cnnlab.config.schema import key_text
from cnnlab.core.errors import Refused, nearest
from cnnlab.planning.grammar import held, same

Values = Mapping[str, Sequence[str]]
"""The values given for each key; a key with several is a factor."""


def count(values: Values, design: str) -> int:
    """How many cells `cells` gives."""
    lengths = [len(each) for each in values.values()]
    if design == "zip":
        return max(lengths, default=1)
    if design == "ofat":
        return 1 + sum(length - 1 for length in lengths)
    return math.prod(lengths)


def cells(values: Values, design: str, baseline: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The cells of a design, in its order.

    Args:
        values: of each key
        design: `grid`: all combinations, the last key fastest. `zip`: the first of each, then the
            second of each. `ofat`: one factor at a time: the baseline, then each factor's other
            values with all else as in the baseline (Daniel 1973, JASA 68:353)
        baseline: of `ofat`: a value for some keys; a factor that it leaves out has its first

    Raises:
        Refused: if the values do not fit the design
    """
    if design == "zip":
        yield from _zipped(values)
    elif design == "ofat":
        yield from _one_at_a_time(values, baseline)
    else:
        for cell in product(*values.values()):
            yield dict(zip(values, cell, strict=True))


def _zipped(values: Values) -> Iterator[dict[str, str]]:
    factors = {key: len(each) for key, each in values.items() if len(each) > 1}
    if len(set(factors.values())) > 1:
        counts = ", ".join(f"{key_text(key)} has {length}" for key, length in factors.items())
        raise Refused(
            f"sweep.design=zip: the factors go in step, so each needs as many values; {counts}."
        )
    for index in range(max(factors.values(), default=1)):
        yield {key: each[index] if len(each) > 1 else each[0] for key, each in values.items()}


def _one_at_a_time(values: Values, baseline: Mapping[str, str]) -> Iterator[dict[str, str]]:
    centre = {key: each[0] for key, each in values.items()}
    faults = []
    for key, text in baseline.items():
        found = held(values, key, text)
        if found is not None:
            centre[key] = found
        elif key in values:
            allowed = ", ".join(values[key])
            faults.append(
                f"sweep.baseline: {key_text(key)}={text} is not in the sweep. Allowed: {allowed}."
            )
        else:
            near = nearest(key_text(key), [key_text(known) for known in values])
            faults.append(
                f"sweep.baseline: {key_text(key)} is not in the sweep.{near} "
                f"Its factors: {', '.join(map(key_text, values))}."
            )
    if faults:
        raise Refused(faults)
    yield dict(centre)
    for key, each in values.items():
        for value in each:
            if not same(value, centre[key]):
                yield {**centre, key: value}
