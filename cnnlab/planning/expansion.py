"""From what a person types to a sweep's jobs: what is said of the sweep, and what of its grid."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnlab.config.checking import command_of
from cnnlab.config.compose import compose
from cnnlab.config.defaults import sweep
from cnnlab.config.launcher import SETTINGS, check, is_ours
from cnnlab.config.options import faults_of_names
from cnnlab.config.schema import COMMAND, KEYS, Design
from cnnlab.core.errors import Refused, no_such, unknown_key
from cnnlab.core.formats import as_typed
from cnnlab.planning.grammar import parsed, read
from cnnlab.planning.grid import Expansion, Grid
from cnnlab.training import devices

OURS = ("hydra.mode", "hydra/sweeper", "hydra.sweeper._target_", "hydra.sweep.", "hydra.run.")
"""Hydra's settings that the plan decides."""

OF_HYDRAS_JOBS = (
    "hydra.job.chdir",
    "hydra.job.env_copy",
    "hydra.output_subdir",
    "hydra.callbacks",
    "hydra/callbacks",
    "hydra.job_logging",
    "hydra/job_logging",
)
"""Hydra's settings that only matter where Hydra itself runs the jobs."""


def expand(
    hydras: Sequence[str], arguments: Sequence[str], before_parts: Callable[[], None] | None = None
) -> Expansion:
    """The jobs of a command.

    A key that only some options have is set where it can be: with `activation=relu,silu
    activation.beta=1,2` there is one job for relu, planned twice, and two for silu.

    Args:
        hydras: overrides of Hydra's own settings
        arguments: all others, e.g. `["norm=bn,none", "lr=0.01,0.02"]`
        before_parts: called when all is right that can be checked without the code of parts
    """
    found = Expansion()
    hydras = [text for text in hydras if _usable(text, hydras, found.faults)]
    typed = read(arguments, found.faults)
    chosen = typed.pop("sweeps", [])
    if len(chosen) > 1:
        found.faults.append(f"sweeps={','.join(chosen)}: run one named sweep at a time.")
    found.faults += faults_of_names((*KEYS, *COMMAND))
    for name in chosen[:1]:
        try:
            sweep(name)
        except Refused as refused:
            found.faults += refused.faults
    known = [f"sweep.{name}" for name in Design.__dataclass_fields__]
    for key in [key for key in typed if key.startswith("sweep.") and key not in known]:
        found.faults.append(unknown_key(key, known))
        del typed[key]
    said = [f"{key}={each[0]}" for key, each in typed.items() if _is_commands(key)]
    typed = {key: each for key, each in typed.items() if not _is_commands(key)}
    fixed = (*hydras, *(f"sweeps={name}" for name in chosen[:1]))
    try:
        base, hydra = compose((*fixed, *said))
        found.command = command_of(base)
    except Refused as refused:
        found.faults += [_plainer(fault, hydras) for fault in refused.faults]
        return found
    found.hydra = hydra
    if is_ours(hydra["launcher"]):
        try:
            check(hydra["launcher"])
        except Refused as refused:
            found.faults += refused.faults
    listed = read(_listed(hydra["sweeper"].get("params"), found.faults), found.faults)
    typed_seeds, typed_said = typed.pop("seed", None), any(t.startswith("seeds=") for t in said)
    listed_seeds = listed.pop("seed", None)
    seeds = _seeds(found, base["seed"], typed_seeds, typed_said, listed_seeds)
    found.factors = tuple(listed)
    grid = Grid(found, fixed, {**listed, **typed}, seeds)
    grid.draft()
    found.faults += _absent(grid, hydra["launcher"])
    if not found.faults:
        if before_parts is not None:
            before_parts()
        grid.fill()
    found.faults = list(dict.fromkeys(found.faults))
    return found


def _absent(grid: Grid, launcher: Mapping[str, Any]) -> list[str]:
    """Which devices that are asked for are not here."""
    faults = []
    configs = [config for draft in grid.drafts for config in draft.configs[:1]]
    for device in dict.fromkeys(config["device"] for config in configs):
        fault = devices.absent(device)
        if fault is None and is_ours(launcher) and not grid.found.faults:
            try:
                devices.environments(**devices.chosen(launcher), device=device)
            except Refused as refused:
                faults += refused.faults
        faults += [fault] if fault else []
    if any(c["precision"] == "tf32" and not devices.cuda(c["device"]) for c in configs):
        faults.append("precision=tf32: needs a CUDA device; use precision=fp32 or bf16.")
    return faults


def _is_commands(key: str) -> bool:
    return key in COMMAND or key.startswith("sweep.")


def _listed(params: Any, faults: list[str]) -> list[str]:
    """The grid of a sweep file as overrides."""
    if not isinstance(params, dict | None):
        faults.append(
            f"hydra.sweeper.params={as_typed(params)}: write keys with their values, one a line: "
            "norm: bn,none."
        )
        return []
    return [
        f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in (params or {}).items()
    ]


def _plainer(fault: str, hydras: Sequence[str]) -> str:
    """What Hydra says of a setting of its own that there is not, in our words."""
    chosen = [text for text in hydras if text.startswith("hydra/launcher=")]
    if unknown := re.match(r"Could not override '(hydra\.[^']*)'", fault):
        text = next((text for text in hydras if text.startswith(unknown[1])), unknown[1])
        if chosen and unknown[1].startswith("hydra.launcher."):
            return f"{text}: {chosen[-1]} has no such setting; it is of our workers."
        return f"{text}: Hydra has no such setting; see --cfg hydra."
    if absent := re.search(r"Could not find '(hydra/\w+)/(\S+)'.* in '\1': (.*) Config", fault):
        return no_such(absent[1], absent[2], absent[3].split())
    return fault


def _usable(text: str, hydras: Sequence[str], faults: list[str]) -> bool:
    """Whether an override of Hydra's own settings can be used; what is wrong is appended."""
    if text.lstrip("+~").startswith(OURS) or text.partition("=")[0] == "hydra.launcher":
        faults.append(
            f"{text}: the plan decides this; choose the folder with outputs=... and name=..., the "
            "launcher with hydra/launcher=..."
        )
        return False
    try:
        override = parsed(text)
    except Refused as refused:
        faults += refused.faults
        return False
    if override.is_sweep_override():
        faults.append(
            f"{text}: a sweep varies what its runs train with; Hydra's own settings are the same "
            "for all. Give one value."
        )
        return False
    known = [f"hydra.launcher.{name}" for name in SETTINGS]
    ours = not any(other.startswith("hydra/launcher=") for other in hydras)
    key = override.key_or_group
    if ours and key.startswith(OF_HYDRAS_JOBS):
        faults.append(
            f"{text}: our workers train a planned run as it is, without Hydra. "
            "hydra/launcher=basic does what this asks for."
        )
        return False
    if ours and key.startswith("hydra.launcher.") and key not in known:
        faults.append(unknown_key(key, known))
        return False
    return True


def _seeds(
    found: Expansion,
    base: Any,
    typed: list[str] | None,
    typed_said: bool,
    listed: list[str] | None,
) -> Sequence[Any]:
    """The seeds that each variant is trained with; what is typed counts above a sweep file."""
    given = found.command.seeds
    typed_said = typed_said and given is not None
    if typed is not None and typed_said:
        found.faults.append(
            f"seed={','.join(typed)} and seeds={given}: they say the same thing; give one of them."
        )
    texts = typed if typed is not None else listed
    if given is not None and (typed is None or typed_said):
        if isinstance(given, int):
            return range(given)
        seeds = list(given)
    elif texts is not None:
        # Hydra's parser takes 0.2 ms for each; a range may list a million.
        seeds = [int(t) if t.isdecimal() else parsed(f"seed={t}").value() for t in texts]
    else:
        seeds = [base]
    keyed = "seeds" if given is not None and typed is None else "seed"
    if not seeds:
        found.faults.append(f"{keyed}=[]: give at least one seed.")
    times = Counter(map(_hashable, seeds))
    twice = [seed for seed, count in times.items() if count > 1]
    if twice:
        found.faults.append(
            f"{keyed}={','.join(map(str, seeds))}: {twice[0]} is given twice; a seed's run is the "
            "same each time."
        )
    return list(times)


def _hashable(seed: Any) -> Any:
    return seed if isinstance(seed, int | float | str) or seed is None else str(seed)
