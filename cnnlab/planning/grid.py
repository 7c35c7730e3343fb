"""A sweep's jobs: the cells of its design as checked configs, without those that are excluded."""

import copy
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from cnnlab.config.checking import cut_by_seed, faults_of_keys, validate
from cnnlab.config.compose import compose
from cnnlab.config.options import groups
from cnnlab.config.schema import COMMAND, Command, Config, Variant, key_text
from cnnlab.config.targets import offered, taken
from cnnlab.core import project
from cnnlab.core.errors import Refused, nearest
from cnnlab.core.formats import as_typed
from cnnlab.planning import design
from cnnlab.planning.grammar import SHARED, is_hydras, parsed, read, top_level
from cnnlab.planning.nested import has, missing, put


@dataclass(frozen=True)
class Job:
    """One variant with one seed.

    Attributes:
        config: checked
        choices: the option chosen in each group
        overrides: what sets it apart from conf/config.yaml, as Hydra reads it
        values: the value typed for each key that the job's options have, e.g.
            `{"norm": "bn", "lr.base": "0.01"}`; the seed is no key of it
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
        jobs: each seed's variants together, in the order of the design, so that an interrupted
            sweep has compared every variant; only those without a fault
        command: what is said of the sweep as a whole; None where that has a fault
        factors: the keys that a sweep file varies
        hydra: Hydra's own settings
        baseline: the typed values of the baseline, by key
        data: each data part that is right by itself, also of jobs with a fault elsewhere
        faults: what makes the command unusable
    """

    jobs: list[Job] = field(default_factory=list)
    command: Command | None = None
    factors: tuple[str, ...] = ()
    hydra: Mapping[str, Any] = field(default_factory=dict)
    baseline: dict[str, str] = field(default_factory=dict)
    data: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Grid:
    """Fills an expansion with the jobs of its design.

    Args:
        found: to be filled
        fixed: the overrides that all jobs share, as Hydra reads them
        values: those given for each key, without the seed
        seeds: of each variant
    """

    def __init__(
        self,
        found: Expansion,
        fixed: tuple[str, ...],
        values: Mapping[str, list[str]],
        seeds: Sequence[Any],
    ):
        self.found, self.fixed, self.values, self.seeds = found, fixed, values, seeds
        self.drafts: list[_Draft] = []
        sweep = found.command.sweep
        self.design, self.limit = sweep.design, sweep.limit
        self.excluded = {text: self._settings("sweep.exclude", text) for text in sweep.exclude}
        self.excludes = dict.fromkeys(self.excluded, 0)
        baseline = self._settings("sweep.baseline", sweep.baseline or "")
        found.baseline = {key: each[0] for key, each in baseline.items()}
        if several := [key for key, each in baseline.items() if len(each) > 1]:
            found.faults.append(f"sweep.baseline: {several[0]} has several values; give one.")
        self.has_baseline = not baseline
        self.used: set[str] = set()
        self.unknown: dict[str, str] = {}
        for where, conditions in (
            ("sweep.exclude", self.excluded.values()),
            ("sweep.baseline", [baseline]),
        ):
            if any("seed" in condition for condition in conditions):
                found.faults.append(
                    f"{where}: the seed is no factor; choose seeds with seeds=[...]."
                )
        self.conditions = dict.fromkeys(
            key for condition in (baseline, *self.excluded.values()) for key in condition
        )

    def draft(self) -> None:
        """Lists the cells of the design, and whatever is wrong with them but for their parts' own
        keys: checking those takes the parts' code, and PyTorch, whose import takes 2 s."""
        found = self.found
        own = []
        for variant in found.command.sweep.variants or [Variant(overrides="")]:
            values = self._settings("sweep.variants", variant.overrides)
            for key in [key for key in values if key in (*SHARED, *COMMAND, "seed", "sweeps")]:
                del values[key]
                instead = ": seeds=5" if key == "seed" else ""
                found.faults.append(
                    f"sweep.variants: {key} belongs to the whole sweep{instead}, not to a variant."
                )
            own.append((variant, values))
        lists = [({**values, **self.values}, values, variant) for variant, values in own]
        count = len(self.seeds) * sum(design.count(each, self.design) for each, _, _ in lists)
        if count > self.limit:
            found.faults.append(
                f"The sweep has {count:,} runs or more; the limit is {self.limit:,}. Name fewer "
                f"values, use sweep.design=ofat, or allow as many with sweep.limit={count}."
            )
            return
        for values, own_values, variant in lists:
            changed = any(values[key] != own_values[key] for key in own_values)
            published = {} if changed else variant.published  # those are numbers of something else
            if published and any(len(each) > 1 for each in own_values.values()):
                found.faults.append(
                    f"sweep.variants: '{variant.overrides}' is several variants, with one set of "
                    "published numbers; write one for each."
                )
            try:
                for cell in design.cells(values, self.design, found.baseline):
                    if drafted := self._drafted(cell, published):
                        self.drafts.append(drafted)
            except Refused as refused:
                found.faults += refused.faults
        found.faults += [fault for key, fault in self.unknown.items() if key not in self.used]
        self._check_conditions()

    def fill(self) -> None:
        """Adds the jobs of what was drafted, and whatever is wrong with their parts."""
        rows = [self._jobs(each) for each in self.drafts]
        self.found.jobs += [row[index] for index in range(len(self.seeds)) for row in rows if row]

    def _check_conditions(self) -> None:
        """Whether the exclusions and the baseline meet the grid."""
        found = self.found
        if found.faults:
            return
        if self.excluded and not self.drafts:
            listed = ", ".join(f'"{text}"' for text in self.excluded)
            found.faults.append(
                f"sweep.exclude=[{listed}]: excludes every variant; nothing is left."
            )
            return
        for text, times in self.excludes.items():
            if not times:
                found.faults.append(
                    f'sweep.exclude=["{text}"]: excludes nothing: no variant has these values. The '
                    f"sweep's factors: {self._factors()}."
                )
        if not self.has_baseline:
            found.faults.append(
                f'sweep.baseline="{found.command.sweep.baseline}": no variant of the sweep has '
                f"these values. Its factors: {self._factors()}."
            )

    def _factors(self) -> str:
        several = {key: each for key, each in self.values.items() if len(each) > 1}
        return (
            "; ".join(f"{key_text(k)}={','.join(each[:8])}" for k, each in several.items())
            or "none"
        )

    def _settings(self, where: str, text: str) -> dict[str, list[str]]:
        """The keys and values of a text like `norm=bn lr=0.02`."""
        try:
            faults: list[str] = []
            values = read(shlex.split(text), faults)
        except ValueError as error:  # of shlex
            faults, values = [f"'{text}': {error}."], {}
        if where == "sweep.exclude" and not text.strip():
            faults = ["an empty text; write what to leave out: norm=none lr=0.1."]
        self.found.faults += [f"{where}: {fault}" for fault in faults]
        return values

    def _drafted(self, values: dict[str, str], published: Mapping[str, float]) -> "_Draft | None":
        """One cell; None if it is excluded or has a fault."""
        found = self.found
        texts = {key: f"{key}={value}" for key, value in values.items()}
        known = groups()
        chosen = tuple(texts[key] for key in values if key in known)
        try:
            composed, choices = _composed(project.conf(), self.fixed + chosen)
        except Refused as refused:
            found.faults += refused.faults
            return None
        config = copy.deepcopy(composed)
        for key in [key for key in values if key not in known]:
            fault = put(config, key, parsed(texts[key]).value())
            if fault is None:
                self.used.add(key)
            else:
                self.unknown.setdefault(key, fault)
                del texts[key]
        for key in self.conditions:
            fault = missing(config, key)
            if fault is None:
                self.used.add(key)
            else:
                self.unknown.setdefault(key, fault)
        hit = [text for text, when in self.excluded.items() if has(config, choices, when)]
        for text in hit:
            self.excludes[text] += 1
        if hit:
            return None
        self.has_baseline = self.has_baseline or has(
            config, choices, {key: [text] for key, text in found.baseline.items()}
        )
        configs, faults = [], []
        refers = "${" in repr(config)
        several = refers or cut_by_seed(config)
        for seed in self.seeds:
            if configs and not several and isinstance(seed, int) and 0 <= seed < 2**32:
                continue  # as valid as the first
            config["seed"] = seed
            try:
                resolved = dict(config)
                if refers:
                    resolved = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
                faults += faults_of_keys(resolved)
                configs.append(resolved)
            except OmegaConfBaseException as error:
                faults.append(_unresolved(error, config))
        if faults:
            found.faults += faults
            return None
        typed = {key: values[key] for key in texts}
        kept = configs if several else configs[:1]
        return _Draft(kept, choices, tuple(texts.values()), typed, published)

    def _jobs(self, draft: "_Draft") -> list[Job]:
        """The jobs of one cell, one a seed; none if it has a fault."""
        try:
            checked = [validate(config) for config in draft.configs]
        except Refused as refused:
            self.found.faults += refused.faults
            return []
        if ignored := _not_taken(checked[0], draft.values, draft.choices["model"]):
            self.found.faults += ignored
            return []
        for seed in self.seeds[len(checked) :]:
            checked.append(copy.copy(checked[0]))
            checked[-1].seed = seed
        for data in (each.data for each in checked[: len(draft.configs)]):
            if data not in self.found.data:
                self.found.data.append(data)
        ours = tuple(text for text in self.fixed if not is_hydras(text))
        return [
            Job(each, draft.choices, (*ours, *draft.overrides, f"seed={each.seed}"), draft.values,
                draft.published)
            for each in checked
        ]  # fmt: skip


@dataclass(frozen=True)
class _Draft:
    """A cell whose parts are not checked yet.

    Attributes:
        configs: of each seed, where a value refers to another one, which may be the seed, or each
            seed has its own cut of the images; else of the first seed
        choices, overrides, values, published: as in `Job`, overrides without the fixed ones
    """

    configs: Sequence[dict[str, Any]]
    choices: Mapping[str, str]
    overrides: tuple[str, ...]
    values: Mapping[str, str]
    published: Mapping[str, float]


def _not_taken(config: Config, typed: Mapping[str, str], model: str) -> list[str]:
    """What was typed of a group that the model takes nothing of: it would change nothing."""
    takes = taken(config.model).values()
    ignored = [group for group in offered() if group in groups() and group not in takes]
    return [
        f"{key}={value}: model={model} takes no {key.partition('.')[0]}, so this changes nothing. "
        f"Leave it out, or give {config.model['_target_']} an argument {key.partition('.')[0]}."
        for key, value in typed.items()
        if key.partition(".")[0] in ignored
    ]


@cache
def _composed(conf: Path, overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """A config and its groups' choices; composed once for all jobs that share them.

    Args:
        conf: the folder of the project's options
        overrides: what is chosen
    """
    config, hydra = compose(overrides)
    config = {key: value for key, value in config.items() if key not in COMMAND}
    return config, {group: hydra["runtime"]["choices"][group] for group in groups()}


def _unresolved(error: OmegaConfBaseException, config: Mapping[str, Any]) -> str:
    """What is wrong with a value that refers to another one."""
    key = error.full_key.partition("[")[0]
    node: Any = config
    for name in key.split("."):
        node = node[name]
    reason = str(error).splitlines()[0]
    if "Recursive" in reason:
        reason = "refers to itself; write a value, or ${another.key}"
    elif isinstance(error, InterpolationKeyError):
        name = reason.split("'")[1]
        reason = f"there is no key {name} to refer to.{nearest(name, top_level())}"
    return f"{key_text(key)}={as_typed(node)}: {reason.rstrip('.')}."
