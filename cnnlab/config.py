"""The configs: what may be set, of which type, in which unit, within which limits.

`compose` lets Hydra put a config together from conf/ and sweeps/; `validate` refuses what is not
allowed, all faults at once. A part's own keys are checked by its function, see `cnnlab.parts`.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from cnnlab.faults import Refused, nearest, unknown_key
from cnnlab.limits import CLOSED, Count, Seed
from cnnlab.parts import keys_of
from cnnlab.record import writable

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
SWEEPS = ROOT / "sweeps"

GROUPS = ("data", "model", "norm", "activation", "augment", "lr", "optimizer")
"""The config groups whose options are parts, in the order of a config."""


DEVICES = ("auto", "cpu", "cuda", "mps")


def _known_device(device: str) -> str:
    kind, colon, index = device.partition(":")
    if kind not in DEVICES or (colon and kind != "cuda"):
        raise ValueError(
            f"no such device; allowed: auto, cpu, cuda, cuda:N, mps.{nearest(kind, DEVICES)}"
        )
    if colon and not index.isdecimal():
        raise ValueError("the number after cuda: must be a whole number, as in cuda:0")
    if kind == "cuda":
        import torch  # 2 s; only who asks for a GPU pays

        count = torch.cuda.device_count()
        if count <= int(index or 0):
            found = f"only cuda:0 to cuda:{count - 1} are" if count else "no CUDA device is"
            raise ValueError(f"{found} visible here; use device=auto or device=cpu")
    if kind == "mps":
        import torch

        if not torch.backends.mps.is_available():
            raise ValueError("no Apple GPU is visible here; use device=auto or device=cpu")
    return device


def _writable_folder(folder: str) -> str:
    if not folder:
        raise ValueError("must name a folder")
    reason = writable(Path(folder).expanduser())
    if reason:
        raise ValueError(
            f"cannot write there: {reason}. Choose another folder, or change its rights"
        )
    return folder


@dataclass(kw_only=True, config=CLOSED)
class Variant:
    """One variant of a sweep that is no full grid."""

    overrides: str
    """What is set, as on the command line: `norm=bn lr=0.02`."""
    published: dict[
        Literal["best_val_accuracy", "final_train_loss", "final_train_accuracy"], float
    ] = Field(default_factory=dict)
    """What somebody else measured, by the name of our metric."""


@dataclass(kw_only=True, config=CLOSED)
class Sweep:
    """How a sweep's variants are listed, beyond the grid of `hydra.sweeper.params`."""

    variants: list[Variant] = Field(default_factory=list)
    """Explicit variants; each is crossed with the grid, if there is one."""


@dataclass(kw_only=True, config=CLOSED)
class Config:
    """Everything that is set for one run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None
    """The sweep's name: letters, digits, . _ and -; null: adhoc-<hash>."""
    epochs: Count
    """Passes over the training images."""
    batch_size: Count
    """Images a step."""
    seed: Seed
    """Of weights, order and augmentation."""
    device: Annotated[str, AfterValidator(_known_device)]
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["fp32", "tf32", "bf16"]
    """Arithmetic: fp32, tf32 (CUDA) or bf16 (mixed)."""
    evaluate_test: Annotated[bool, Strict()]
    """Test accuracy, once, at the end, of the best weights."""
    outputs: Annotated[str, AfterValidator(_writable_folder)]
    """Folder of all records."""
    sweep: Sweep
    """The sweep's design."""
    data: dict[str, Any]
    """The images."""
    model: dict[str, Any]
    """The network."""
    norm: dict[str, Any]
    """Normalisation after each convolution."""
    activation: dict[str, Any]
    """Activation function."""
    augment: dict[str, dict[str, Any]]
    """Operations on training images, in their order."""
    lr: dict[str, Any]
    """Learning-rate schedule; a number is its base."""
    optimizer: dict[str, Any]
    """How a gradient becomes a step."""


def described() -> dict[str, str]:
    """Each top-level key that is no group, with its description."""
    keys = Config.__pydantic_fields__
    return {key: keys[key].description for key in keys if key not in (*GROUPS, "sweep")}


# --- putting together


def options(group: str) -> list[str]:
    """The names of a group's options: its yaml files."""
    folder = SWEEPS if group == "sweeps" else CONF / group
    return sorted(path.stem for path in folder.glob("*.yaml"))


def hydra_options(**of_14: Any) -> dict[str, Any]:
    """What Hydra's entry points are told besides the config, by its version.

    Hydra 1.3 asks which version's defaults one wants; 1.4 warns of that, and has `of_14` instead.
    """
    import hydra

    major, minor = hydra.__version__.split(".")[:2]
    return {"version_base": "1.3"} if (int(major), int(minor)) < (1, 4) else of_14


@cache
def register_sweeps() -> None:
    """Tells Hydra of sweeps/, which lies beside conf/, as its config group `sweeps`.

    A group's option may stand at the top of a sweep file as on the command line: `norm: bn`.

    Raises:
        Refused: if a file there is no YAML mapping
    """
    from hydra.core.config_store import ConfigStore

    for option in options("sweeps"):
        path = SWEEPS / f"{option}.yaml"
        try:
            node = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise Refused(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(node, dict):
            raise Refused(f"{path}: must hold keys and values, as the other sweeps do.")
        for group in GROUPS:
            chosen = node.get(group)
            if isinstance(chosen, str):
                node.setdefault("defaults", []).append({f"override /{group}": node.pop(group)})
            elif group == "lr" and isinstance(chosen, int | float):
                node["lr"] = {"base": chosen}
        ConfigStore.instance().store(
            group="sweeps", name=option, node=node, package="_global_", provider="cnnlab"
        )


def compose(overrides: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config that Hydra composes, and Hydra's own node, as plain dicts.

    Args:
        overrides: as Hydra reads them, without sweeps

    Raises:
        Refused: whatever Hydra objects to
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    register_sweeps()
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_dir(str(CONF), **hydra_options()):
        try:
            config = hydra_compose("config", list(overrides), return_hydra_config=True)
            hydra = OmegaConf.to_container(config.hydra, resolve=False)
            with open_dict(config):
                del config.hydra
            return OmegaConf.to_container(config, resolve=True), hydra
        except (HydraException, OmegaConfBaseException) as error:
            raise Refused(" ".join(str(error).split())) from error


# --- checking


def validate(config: Mapping[str, Any]) -> Config:
    """A composed config as `Config`, numbers in their types.

    Raises:
        Refused: with every key that is unknown, missing, of a wrong type or outside its limits
    """
    faults, checked = [], dict(config)
    for group in GROUPS:
        parts = config.get(group)
        if not isinstance(parts, Mapping):
            faults.append(f"{group}={parts}: must be one of {', '.join(options(group))}.")
            checked.pop(group, None)
        elif group == "augment":
            checked[group] = {
                name: _checked_part(f"{group}.{name}", part, faults) for name, part in parts.items()
            }
        else:
            checked[group] = _checked_part(group, parts, faults)
    try:
        valid = TypeAdapter(Config).validate_python(checked)
    except ValidationError as error:
        told = [e for e in error.errors() if e["loc"][0] not in GROUPS]
        faults += [_sentence("", e, [f.name for f in fields(Config)]) for e in told]
    if faults:
        raise Refused(faults)
    return valid


def _checked_part(where: str, part: Any, faults: list[str]) -> dict[str, Any]:
    """A part's config with numbers in their types; faults are appended."""
    if not isinstance(part, Mapping):
        faults.append(f"{where}={part}: must be a part with a _target_.")
        return {}
    target = part.get("_target_")
    try:
        model = keys_of(str(target))
    except Refused as refused:
        faults += [f"{where}._target_={target}: {fault}" for fault in refused.faults]
        return dict(part)
    numbers = {key: value for key, value in part.items() if key != "_target_"}
    try:
        return {"_target_": target, **model.model_validate(numbers).model_dump()}
    except ValidationError as error:
        known = list(model.model_fields)
        faults += [_sentence(f"{where}.", fault, known) for fault in error.errors()]
        return dict(part)


def shown(key: str) -> str:
    """A key as people type it: the base of the learning rate is `lr`."""
    return "lr" if key == "lr.base" else key


def _sentence(prefix: str, fault: Mapping[str, Any], known: list[str]) -> str:
    """One of pydantic's errors in our words."""
    key = prefix + ".".join(
        str(part) for part in fault["loc"] if not str(part).startswith("function-")
    )
    kind, given = fault["type"], fault["input"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return unknown_key(key, [prefix + name for name in known])
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{key}: is missing."
    if given == "???":
        return f"{key}: must be given; it has no default."
    if key == "name":
        return f"name={given}: must be letters, digits, '.', '_' and '-' only, at most 64."
    reason = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind == "literal_error":
        allowed = fault["ctx"]["expected"].replace("'", "")
        reason = (
            f"must be {allowed}.{nearest(str(given), allowed.replace(' or ', ', ').split(', '))}"
        )
    return f"{shown(key)}={_typed(given)}: {reason}{'' if reason.endswith('.') else '.'}"


def _typed(value: Any) -> str:
    """A value as it would be typed on a command line."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
