"""From what a person types to configs: one job for each cell of the grid.

Hydra reads the grammar and composes the groups; what is here makes `lr=0.02` work although `lr` is
a group, crosses the grid with a sweep file's variants, and says all that is wrong at once.
"""

import copy
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from cnnlab.config import (
    GROUPS,
    Config,
    Sweep,
    Variant,
    compose,
    options,
    validate,
)
from cnnlab.faults import Refused, nearest, no_such, unknown_key


@dataclass(frozen=True)
class Job:
    """One cell of the grid with one seed.

    Attributes:
        config: checked
        choices: the option chosen in each group
        overrides: what sets it apart from conf/config.yaml, as Hydra reads it
        values: the value typed for each key that the job's options have, e.g.
            `{"norm": "bn", "lr.base": "0.01"}`
        published: what somebody else measured, by metric
    """

    config: Config
    choices: Mapping[str, str]
    overrides: tuple[str, ...]
    values: Mapping[str, str]
    published: Mapping[str, float]


@dataclass
class Expansion:
    """All jobs of a command, and all its faults.

    Attributes:
        jobs: in the order of the grid, the last key fastest; only those without a fault
        data: each data part that is right by itself, also of jobs with a fault elsewhere
        faults: what makes the command unusable
        used: the keys that at least one job's options have
        unknown: for each key that some job's options lack, what to say if all lack it
    """

    jobs: list[Job] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)


ONE_VALUE = ("name", "outputs", "device")
"""Keys that are the same for all runs of a sweep."""

OURS = ("hydra.mode", "hydra/sweeper", "hydra.sweeper._target_", "hydra.sweep.", "hydra.run.")
"""Hydra's settings that the plan decides."""


def is_hydras(argument: str) -> bool:
    """Whether an override is of Hydra's own settings."""
    return argument.lstrip("+~").startswith(("hydra.", "hydra/"))


def normalise(argument: str) -> str:
    """`lr=0.01,0.02` as `lr.base=0.01,0.02`: `lr` is a config group, which takes names only.

    Raises:
        Refused: if rates and schedules are mixed
    """
    if not argument.startswith("lr="):
        return argument
    try:
        values = _values(_parsed(argument), "lr")
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


def expand(hydras: Sequence[str], arguments: Sequence[str]) -> Expansion:
    """The jobs of a command.

    A key that only some options have is set where it can be: with `activation=relu,silu
    activation.beta=1,2` there is one job for relu, planned twice, and two for silu.

    Args:
        hydras: overrides of Hydra's own settings
        arguments: all others, e.g. `["norm=bn,none", "lr=0.01,0.02"]`
    """
    found = Expansion()
    found.faults += [
        f"{text}: the plan decides this; choose the folder with outputs=... and name=..."
        for text in hydras
        if text.lstrip("+~").startswith(OURS)
    ]
    typed = _read(arguments, found.faults)
    chosen = typed.pop("sweeps", [])
    if len(chosen) > 1:
        found.faults.append(f"sweeps={','.join(chosen)}: run one named sweep at a time.")
    design = typed.pop("sweep.variants", [])
    fixed = (
        *hydras,
        *(f"sweeps={name}" for name in chosen[:1]),
        *(f"sweep.variants={text}" for text in design),
    )
    try:
        base, hydra = compose(fixed)
        variants = TypeAdapter(Sweep).validate_python(base["sweep"]).variants
        params = [
            f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
            for key, value in (hydra["sweeper"].get("params") or {}).items()
        ]
    except Refused as refused:
        found.faults += refused.faults
        return found
    except ValidationError as error:
        found.faults += [
            f"sweep.{'.'.join(map(str, fault['loc']))}: {fault['msg']}. "
            "sweep.variants is a list; a variant has overrides, and published, a number a metric."
            for fault in error.errors()
        ]
        return found
    grid = {**_read(params, found.faults), **typed}
    for variant in variants or [Variant(overrides="")]:
        try:
            own = _read(shlex.split(variant.overrides), found.faults)
        except ValueError as error:  # of shlex
            found.faults.append(f"sweep.variants: '{variant.overrides}': {error}.")
            continue
        if several := [key for key, values in own.items() if len(values) > 1]:
            found.faults.append(
                f"sweep.variants: '{variant.overrides}' gives several values for "
                f"{', '.join(several)}; write one variant for each."
            )
        lists = {**own, **grid}
        changed = any(lists[key] != own[key] for key in own)
        published = {} if changed else variant.published  # those are numbers of something else
        for cell in product(*lists.values()):
            _add(dict(zip(lists, cell, strict=True)), fixed, published, found)
    found.faults += [fault for key, fault in found.unknown.items() if key not in found.used]
    found.faults = list(dict.fromkeys(found.faults))
    return found


def _add(
    values: dict[str, str], fixed: tuple[str, ...], published: Mapping[str, float], found: Expansion
) -> None:
    """Adds the job of one cell, or its faults."""
    texts = {key: f"{key}={value}" for key, value in values.items()}
    groups = tuple(texts[key] for key in values if key in GROUPS)
    try:
        config, choices = _composed(fixed + groups)
    except Refused as refused:
        found.faults += refused.faults
        return
    config, faults = copy.deepcopy(config), []
    for key in [key for key in values if key not in GROUPS]:
        fault = _set(config, key, _parsed(texts[key]).value())
        if fault is None:
            found.used.add(key)
        else:
            found.unknown.setdefault(key, fault)
            del texts[key]
    try:
        if any("${" in text for text in texts.values()):
            config = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
        checked = validate(config)
    except Refused as refused:
        faults += refused.faults
    except OmegaConfBaseException as error:
        faults.append(f"{' '.join(texts.values())}: {' '.join(str(error).split())}.")
    if not any(fault.startswith("data") for fault in faults) and config["data"] not in found.data:
        found.data.append(config["data"])
    if faults:
        found.faults += faults
        return
    overrides = tuple(text for text in fixed if not is_hydras(text)) + tuple(texts.values())
    typed = {key: values[key] for key in texts}
    found.jobs.append(Job(checked, choices, overrides, typed, published))


@cache
def _composed(overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """A config and its groups' choices; composed once for all jobs that share them."""
    config, hydra = compose(overrides)
    return config, {group: hydra["runtime"]["choices"][group] for group in GROUPS}


def _read(arguments: Sequence[str], faults: list[str]) -> dict[str, list[str]]:
    """The values given for each key; what cannot be used is left out, and said in `faults`."""
    read = {}
    for argument in arguments:
        try:
            override = _parsed(normalise(argument))
            key = override.key_or_group
            known = [*GROUPS, "sweeps"]
            if override.package is not None:
                raise Refused(f"{argument}: a package (@) cannot be chosen here.")
            if override.is_add() or override.is_force_add() or override.is_delete():
                sign = override.input_line[0]
                raise Refused(
                    f"{argument}: configs are closed, '{sign}' cannot change their keys."
                    f"{nearest(key, [*known, *top_level()])}"
                )
            if key in read and key in known:  # as Hydra has it; of other keys the last one counts
                raise Refused(f"{key}: given twice; write its values in one list: {key}=a,b.")
            values = _values(override, key)
            if key in ONE_VALUE and len(values) > 1:
                raise Refused(
                    f"{argument}: all runs of a sweep share {key}, so it takes one value."
                )
            if key in known:
                wrong = [value for value in values if value not in options(key)]
                besides = " or a positive number" if key == "lr" else ""
                faults += [no_such(key, value, options(key), besides) for value in wrong]
                values = [value for value in values if value not in wrong]
            if values:
                read[key] = values
        except Refused as refused:
            faults += refused.faults
    return read


def top_level() -> list[str]:
    """The keys that a config has at its top."""
    return list(Config.__dataclass_fields__)


@cache
def _parsed(argument: str) -> Override:
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException as error:
        reason = str(error).splitlines()[0]
        raise Refused(f"{argument}: cannot be read ({reason}). Write key=value.") from error


def _values(override: Override, key: str) -> list[str]:
    """Each value as text that Hydra reads as the same value again."""
    if not override.is_sweep_override():
        # As it was typed: Hydra's own way back to text would escape an interpolation.
        is_group = key in (*GROUPS, "sweeps")
        return [str(override.value()) if is_group else override.input_line.partition("=")[2]]
    if not override.is_discrete_sweep():
        raise Refused(
            f"{override.input_line}: an interval has no end of values; list them, or use range()."
        )
    if isinstance(override.value(), Glob):
        if key not in GROUPS:
            raise Refused(f"{override.input_line}: glob() chooses options of a group only.")
        return override.value().filter(options(key))
    return list(override.sweep_string_iterator())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _set(config: dict[str, Any], key: str, value: Any) -> str | None:
    """Sets a nested key that exists; gives the fault where it does not."""
    *path, last = key.split(".")
    node = config
    for depth, name in enumerate(path):
        if not isinstance(node.get(name), dict):
            return unknown_key(key, _keys_below(config, path[:depth]))
        node = node[name]
    if last not in node or last == "_target_":
        return unknown_key(key, _keys_below(config, path))
    node[last] = value
    return None


def _keys_below(config: dict[str, Any], path: Sequence[str]) -> list[str]:
    """The dotted keys that can be set below a path."""
    if not path:
        return top_level()
    node = config
    for name in path:
        node = node[name]
    return [".".join((*path, name)) for name in node if name != "_target_"]
