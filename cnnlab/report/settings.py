"""What a report can be asked for: `key=value` on the command line."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from cnnlab.core.console import labelled
from cnnlab.core.errors import Refused, no_such, unknown_key
from cnnlab.core.limits import CLOSED
from cnnlab.core.metrics import METRICS

FAMILIES = ("table", "report")
"""What Holm's adjustment can be over."""

USAGE = """\
Usage: python -m cnnlab.report [key=value ...] [--watch]

Makes <outputs>/<sweep>/report/ for each sweep: index.html, a page for the
browser; tables as CSV, report.md and table.tex; pictures as PNG and SVG.

Keys:"""


@dataclass(kw_only=True, config=CLOSED)
class Settings:
    """What a report can be asked for."""

    name: str | None = None
    """One sweep, or several that are compared as one: a,b. Without it, each by itself."""
    metric: Annotated[str, Field(description=f"What is compared: {', '.join(METRICS)}.")] = next(
        iter(METRICS)
    )
    baseline: str | None = None
    """What the other levels are compared with: "norm=none lr=0.01". Without it, the sweep's
    own, else none where a factor has it, else its first."""
    smallest_effect: float = 0.5
    """The smallest difference that matters, in points of accuracy, or hundredths of a nat."""
    family: str = FAMILIES[0]
    """What may be wrong in 5% of sweeps, where nothing has an effect: a verdict in a table, or one
    in the whole report."""
    outputs: str = "outputs"
    """Folder of all records."""
    watch: bool = False
    """Report again whenever a record changes, until Ctrl-C; --watch is the same."""


def help_text() -> str:
    """What `--help` prints."""
    keys = Settings.__pydantic_fields__.items()
    width = max(len(key) for key, _ in keys)
    rows = (row for key, f in keys for row in labelled(f"  {key:{width}}  ", f.description))
    return "\n".join([USAGE, *rows])


def settings(arguments: Sequence[str]) -> Settings:
    """Reads the arguments; `report.` before a key may be there or not.

    Raises:
        Refused: with every argument that cannot be used
    """
    keys = [f.name for f in fields(Settings)]
    given: dict[str, object] = {}
    faults = []
    for argument in arguments:
        if argument == "--watch":
            given["watch"] = True
            continue
        key, equals, value = argument.removeprefix("report.").partition("=")
        if not equals:
            faults.append(f"{argument}: write key=value; the keys are {', '.join(keys)}.")
        elif key not in keys:
            faults.append(unknown_key(key, keys))
        elif not value:
            faults.append(f"{key}=: has no value.")
        elif key in given:
            faults.append(f"{key}: given twice.")
        else:
            given[key] = value
    faults += _converted(given)
    for key, allowed in (("metric", list(METRICS)), ("family", list(FAMILIES))):
        if key in given and given[key] not in allowed:
            faults.append(no_such(key, str(given[key]), allowed))
    if faults:
        raise Refused(faults)
    return Settings(**given)


def _converted(given: dict[str, object]) -> list[str]:
    """Turns texts into what they stand for, in place; gives the faults."""
    faults = []
    if isinstance(text := given.get("watch", True), str):
        given["watch"] = text.lower() == "true"
        if text.lower() not in ("true", "false"):
            faults.append(f"watch={text}: must be true or false.")
    if "smallest_effect" in given:
        try:
            number = float(str(given["smallest_effect"]))
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            text = given["smallest_effect"]
            faults.append(f"smallest_effect={text}: must be a number above 0, in points.")
        given["smallest_effect"] = number
    return faults


def command(asked: Settings) -> str:
    """The command that reports once what was asked for."""
    usual = asdict(Settings())
    words = [
        f"{key}={value}"
        for key, value in asdict(asked).items()
        if key == "metric" or (key != "watch" and value != usual[key])
    ]
    return shlex.join(["python", "-m", "cnnlab.report", *words])


def baseline(text: str | None) -> dict[str, str] | None:
    """The level of each factor that is named in a text like `norm=none lr=0.01`.

    Raises:
        Refused: if it is not written like that
    """
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split()]
    wrong = [key for key, equals, value in pairs if not (key and equals and value)]
    if wrong or not pairs:
        raise Refused(f'baseline={text}: write levels like baseline="norm=none lr=0.01".')
    return {key: value for key, _, value in pairs}
