"""What a person types, one override at a time: its key, its values, and what is wrong with it.

Hydra reads the grammar; what is here makes `lr=0.02` work although `lr` is a group.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from cnnlab.config.options import groups, options, own_groups
from cnnlab.config.schema import BY_SEED, COMMAND, KEYS
from cnnlab.core.errors import Refused, nearest, no_such

SHARED = tuple(name for name, key in KEYS.items() if key.shared)
"""Keys of a run's config that are the same for all runs of a sweep."""

MOST_VALUES = 1_000_000
"""As many may be listed of one key; more would fill the memory before they are counted."""


def is_hydras(argument: str) -> bool:
    """Whether an override is of Hydra's own settings."""
    return argument.lstrip("+~").startswith(("hydra.", "hydra/"))


def normalise(argument: str) -> str:
    """What a person types, as Hydra reads it.

    `lr=0.01,0.02` becomes `lr.base=0.01,0.02`: `lr` is a config group, which takes names only. The
    quotes that a shell took from `sweep.exclude=["norm=none lr=0.1"]` are put back, and a name of
    digits gets some: it is no number. `seeds.vary` is `vary`.

    Raises:
        Refused: if rates and schedules are mixed
    """
    if argument.startswith(("sweep.baseline=", "sweep.exclude=")):
        return _requoted(argument)
    if argument.startswith("name="):
        return _named(argument)
    if argument.startswith("seeds.vary="):
        return argument.removeprefix("seeds.")
    if not argument.startswith("lr="):
        return argument
    try:
        values = _values(parsed(argument), "lr")
    except Refused:
        return argument  # said again, with everything else, by `expand`
    numeric = [_is_number(value) for value in values]
    if all(numeric) and values:
        return f"lr.base={argument[3:]}"
    if any(numeric):
        number = values[numeric.index(True)]
        name = values[numeric.index(False)]
        raise Refused(
            f"{argument}: mixes rates and schedules. Sweep the rate with lr={number},..., or the "
            f"schedule with lr=constant,{name} lr.base={number}."
        )
    return argument


def _named(argument: str) -> str:
    name = argument.removeprefix("name=")
    if name in ("", "null") or any(sign in name for sign in "'\",$"):
        return argument
    with suppress(Refused):
        if parsed(argument).value() == name:
            return argument
    return f"name='{name}'"


def _requoted(argument: str) -> str:
    key, _, text = argument.partition("=")
    if not text or text == "null" or "'" in text or '"' in text:
        return argument
    if not text.startswith("["):
        return f"{key}='{text}'"
    items: list[str] = []
    for part in text.removeprefix("[").removesuffix("]").split(","):
        if "=" in part or not items:
            items.append(part.strip())
        else:  # a comma between the values of one key
            items[-1] += f",{part}"
    return f"{key}=[{','.join(repr(item) for item in items if item)}]"


def read(arguments: Sequence[str], faults: list[str]) -> dict[str, list[str]]:
    """The values given for each key; what cannot be used is left out, and said in `faults`."""
    found = {}
    for argument in arguments:
        try:
            override = parsed(normalise(argument))
            key = override.key_or_group
            known = [*groups(), "sweeps"]
            if override.package is not None:
                raise Refused(f"{argument}: a package (@) cannot be chosen here.")
            if override.is_add() or override.is_force_add() or override.is_delete():
                sign = override.input_line[0]
                raise Refused(
                    f"{argument}: configs are closed, '{sign}' cannot change their keys."
                    f"{nearest(key, [*known, *top_level()])}"
                )
            if key in found and key in known:  # as Hydra has it; of other keys the last one counts
                raise Refused(f"{key}: given twice; write its values in one list: {key}=a,b.")
            values = _values(override, key)
            if not values:
                raise Refused(f"{argument}: lists no value.")
            if len(values) > 1:
                _refuse_several(argument, key, values)
            if key in known:
                wrong = [value for value in values if value not in options(key)]
                faults += [_no_option(key, value) for value in wrong]
                values = [value for value in values if value not in wrong]
            if values:
                found[key] = values
        except Refused as refused:
            faults += refused.faults
    return found


def top_level() -> list[str]:
    """The keys that a config has at its top."""
    return [*(key for key in KEYS if key != "own"), *own_groups(), *COMMAND]


@cache
def parsed(argument: str) -> Override:
    """An override as Hydra's parser reads it.

    Raises:
        Refused: if it is none
    """
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException as error:
        raise Refused(_unreadable(argument, str(error))) from error
    if not override.key_or_group:
        raise Refused(_unreadable(argument, ""))
    return override


def _no_option(key: str, value: str) -> str:
    besides = " or a positive number" if key == "lr" else ""
    return no_such(key, value, options(key), besides)


FUNCTIONS = "write the values, as in 0.1,0.2, or range(start,stop,step) of numbers, the step not 0."


def _unreadable(argument: str, reason: str) -> str:
    """What to say of an override that Hydra's parser objects to."""
    key, equals, value = argument.partition("=")
    if not equals or not re.match(r"[+~]*[A-Za-z]", key):
        return f"{argument}: cannot be read; write key=value, e.g. norm=bn."
    if "while evaluating" in reason:
        return f"{argument}: cannot be computed; {FUNCTIONS}"
    if value.startswith("="):
        return f"{argument}: has a = too many; write {key}={value.lstrip('=')}."
    tidy = re.sub(r"^,+|,+(?=[,\]]|$)|(?<=\[),+", "", value)
    if tidy != value:
        written = f"{key}={tidy or 'value'}"
        return f"{argument}: a comma stands between two values; write {written}."
    if key in (*groups(), "sweeps"):
        return _no_option(key, value)
    for opening, closing in ("[]", "{}", "()"):
        if value.count(opening) != value.count(closing):
            return f"{argument}: cannot be read: it has not as many {opening} as {closing}."
    quoted = f'\\"{value}\\"' if "'" in value else f"'{value}'"
    return f'{argument}: cannot be read; a text with such signs needs quotes: "{key}={quoted}".'


def _values(override: Override, key: str) -> list[str]:
    """Each value as text that Hydra reads as the same value again."""
    if not override.is_sweep_override():
        # As it was typed: Hydra's own way back to text would escape an interpolation.
        is_group = key in (*groups(), "sweeps")
        return [str(override.value()) if is_group else override.input_line.partition("=")[2]]
    if not override.is_discrete_sweep():
        raise Refused(
            f"{override.input_line}: an interval has no end of values; list them, or use range()."
        )
    if isinstance(override.value(), Glob):
        if key not in groups():
            raise Refused(f"{override.input_line}: glob() chooses options of a group only.")
        return override.value().filter(options(key))
    try:
        values = list(islice(override.sweep_string_iterator(), MOST_VALUES + 1))
    except (ValueError, ArithmeticError) as error:  # of a step that is 0 or no number
        raise Refused(f"{override.input_line}: cannot be computed; {FUNCTIONS}") from error
    if len(values) > MOST_VALUES:
        raise Refused(
            f"{override.input_line}: lists more than {MOST_VALUES:,} values; no sweep.limit allows "
            "as many."
        )
    return values


def _refuse_several(argument: str, key: str, values: Sequence[str]) -> None:
    """Whether a key can be a factor at all."""
    if key == "data.split_seed" and BY_SEED in values:
        raise Refused(
            f"{argument}: {BY_SEED} gives each seed its own cut, so it stands alone; give numbers "
            "to compare cuts."
        )
    if key == "device":
        raise Refused(
            f"{argument}: the device is no factor: a run's result should not depend on it. Give "
            "one; hydra.launcher.devices=[0,1] shares a sweep between GPUs."
        )
    if key in SHARED or key in COMMAND or key.startswith("sweep."):
        listed = " A list has brackets: seeds=[3,4,11]." if key == "seeds" else ""
        if key == "question":
            listed = f" A text with a comma needs quotes: \"{key}='...'\"."
        raise Refused(
            f"{argument}: all runs of a sweep share {key}, so it takes one value.{listed}"
        )


def same(one: str, other: str) -> bool:
    """Whether two texts are the same value: 0.01 and 1e-2."""
    return one == other or value_of(one) == value_of(other)


@cache
def value_of(text: str) -> Any:
    """A text as the value that Hydra reads."""
    try:
        value = parsed(f"x={text}").value()
    except Refused:
        return text
    return value if isinstance(value, int | float | str) else text


def held(values: Mapping[str, Sequence[str]], key: str, text: str) -> str | None:
    """The one of a key's values that is the same as `text`."""
    return next((value for value in values.get(key, ()) if same(value, text)), None)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
