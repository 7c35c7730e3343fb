"""From what a person types to configs: one job for each cell of the grid.

Hydra composes the groups; what is here crosses the grid with a sweep file's variants, and says all
that is wrong at once.
"""

import copy
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from cnnlab.config import (
    GROUPS,
    Config,
    Sweep,
    Variant,
    compose,
    validate,
)
from cnnlab.faults import Refused, unknown_key
from cnnlab.grammar import is_hydras, parsed, read, top_level


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


OURS = ("hydra.mode", "hydra/sweeper", "hydra.sweeper._target_", "hydra.sweep.", "hydra.run.")
"""Hydra's settings that the plan decides."""


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
    typed = read(arguments, found.faults)
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
    grid = {**read(params, found.faults), **typed}
    for variant in variants or [Variant(overrides="")]:
        try:
            own = read(shlex.split(variant.overrides), found.faults)
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
        fault = _set(config, key, parsed(texts[key]).value())
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
