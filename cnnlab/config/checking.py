"""Whether a composed config is right: what is not is refused, all faults at once."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cnnlab.config.options import GROUPS, options, own_groups
from cnnlab.config.schema import (
    BY_SEED,
    COMMAND,
    HELD,
    KEYS,
    SPLIT,
    Command,
    Config,
    Design,
    key_text,
)
from cnnlab.config.targets import ALIASES, keys_of, taken
from cnnlab.core.errors import Refused, nearest, unknown_key
from cnnlab.core.formats import as_typed

_CONFIG, _COMMAND = TypeAdapter(Config), TypeAdapter(Command)


def command_of(config: Mapping[str, Any]) -> Command:
    """What a composed config says of the sweep as a whole.

    Raises:
        Refused: as `validate`
    """
    try:
        return _COMMAND.validate_python({key: config.get(key) for key in COMMAND})
    except ValidationError as error:
        # Of `int | list | None` pydantic tells a fault for each; the first that fits is enough.
        told = {}
        for fault in error.errors():
            told.setdefault(fault["loc"][0] if fault["loc"][0] == "seeds" else fault["loc"], fault)
        raise Refused(_command_sentence(fault) for fault in told.values()) from error


def _command_sentence(fault: Mapping[str, Any]) -> str:
    where = ".".join(map(str, fault["loc"]))
    if where.startswith("sweep.variants"):
        reason = "a list; each variant has overrides, and may have published, a number a metric"
        return f"{where}: {fault['msg']}. sweep.variants is {reason}."
    if where.startswith("seeds"):
        given = as_typed(fault["input"])
        return f"seeds={given}: give a number from 1, or a list such as [3,4,11]."
    if where.startswith("sweep.exclude"):
        return f'{where}: write a list of texts: sweep.exclude=["norm=none lr=0.1"].'
    return _sentence("", fault, [f"sweep.{field.name}" for field in fields(Design)])


def validate(config: Mapping[str, Any]) -> Config:
    """A composed config as `Config`, numbers in their types; the command's keys are left out.

    Raises:
        Refused: with every key that is unknown, missing, of a wrong type or outside its limits
    """
    valid, faults = _checked(config, GROUPS)
    if faults:
        raise Refused(faults)
    return valid


def faults_of_keys(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with a composed config, but for the keys of parts whose code needs PyTorch."""
    return _checked(config, LIGHT)[1]


def _checked(config: Mapping[str, Any], asked: Sequence[str]) -> tuple[Config | None, list[str]]:
    """A composed config, and what is wrong with it.

    Args:
        config: as composed, or as `Config.plain` gives it
        asked: the groups whose parts are asked for their keys; with the model, a project's own too
    """
    every = own_groups()
    known = [key for key in KEYS if key != "own"]
    faults = [unknown_key("own", known)] if "own" in config else []
    if cut_by_seed(config):
        faults += _faults_of_cut(config)
        config = {**config, "data": {**config["data"], "split_seed": config.get("seed")}}
    checked = {key: value for key, value in config.items() if key not in (*COMMAND, *every)}
    own = _taken(config["model"], every) if "model" in asked else []
    for group in (*GROUPS, *own):
        part = config.get(group)
        if group in own and part is None:
            faults.append(
                f"{group}: {config['model']['_target_']} takes it, and none is chosen. Choose "
                f"{group}={','.join(options(group))}, or in conf/config.yaml its default."
            )
        elif not isinstance(part, Mapping):
            faults.append(f"{group}={part}: must be one of {', '.join(options(group))}.")
            checked.pop(group, None)
        elif group not in (*asked, *own):
            continue
        elif group == "augment":
            checked[group] = {
                name: _checked_part(group, f"{group}.{name}", each, faults)
                for name, each in part.items()
            }
        else:
            checked[group] = _checked_part(group, group, part, faults)
    checked["own"] = {group: checked.pop(group) for group in own if group in checked}
    try:
        return _CONFIG.validate_python(checked), faults
    except ValidationError as error:
        others = [each for each in error.errors() if each["loc"][0] not in GROUPS]
        return None, faults + [_sentence("", each, known) for each in others]


def cut_by_seed(config: Mapping[str, Any]) -> bool:
    """Whether each seed has its own cut into training and validation images, however that is
    said: `data.split_seed=seed`, or `split` in `vary`."""
    data, vary = config.get("data"), config.get("vary")
    named = isinstance(vary, list) and SPLIT in vary
    return isinstance(data, Mapping) and (named or data.get("split_seed") == BY_SEED)


def _faults_of_cut(config: Mapping[str, Any]) -> list[str]:
    """What contradicts a cut of each seed's own."""
    data, vary = config["data"], config.get("vary")
    told, listed = data.get("split_seed"), f"vary={as_typed(vary)}"
    if "split_seed" not in data:
        return [
            f"{listed}: {data.get('_target_')} has no key split_seed, so there is no cut to vary. "
            "Leave split out, or give the dataset that key."
        ]
    if told == BY_SEED and isinstance(vary, list) and SPLIT not in vary:
        both = as_typed([*vary, SPLIT])
        return [
            f"data.split_seed=seed and {listed}: the one varies the cut, the other holds it. Write "
            f"vary={both}, or a number for data.split_seed."
        ]
    if told not in (BY_SEED, HELD, config.get("seed")):
        return [
            f"data.split_seed={as_typed(told)} and {listed}: the one holds the cut, the other "
            "varies it with the seed. Leave data.split_seed out, or split."
        ]
    return []


def _taken(model: Any, groups: Sequence[str]) -> list[str]:
    """Those of a project's own groups that a model takes; others cannot change a result."""
    try:
        takes = taken(model).values()
    except (Refused, KeyError, TypeError):  # said with what else is wrong with the model
        return []
    return [group for group in groups if group in takes]


LIGHT = ("data", "lr")
"""The groups whose parts need no PyTorch until they are called: its import takes 2 s."""


def _checked_part(group: str, where: str, part: Any, faults: list[str]) -> dict[str, Any]:
    """A part's config with numbers in their types; faults are appended."""
    if not isinstance(part, Mapping):
        named = " Each operation has a name of its own above its _target_." * (group == "augment")
        faults.append(f"{where}={part}: must be a part with a _target_.{named}")
        return {}
    target = part.get("_target_")
    try:
        model = keys_of(group, part)
    except Refused as refused:
        faults += [f"{where}._target_={target}: {fault}" for fault in refused.faults]
        return dict(part)
    fixed = {key: value for key, value in part.items() if key in ("_target_", ALIASES)}
    numbers = {key: value for key, value in part.items() if key not in fixed}
    try:
        valid = model.model_validate(numbers).model_dump()
        # -0.0 is 0.0: equal numbers are one run.
        plain = {key: v + 0.0 if isinstance(v, float) else v for key, v in valid.items()}
        return {**fixed, **plain}
    except ValidationError as error:
        known = list(model.model_fields)
        faults += [_sentence(f"{where}.", fault, known) for fault in error.errors()]
        return dict(part)


PLAINER = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a text; in a sweep file, with quotes",
}
"""What is said in place of pydantic's words, by the type of its error."""


def _sentence(prefix: str, fault: Mapping[str, Any], known: list[str]) -> str:
    """One of pydantic's errors in our words."""
    key = prefix + ".".join(
        str(part) for part in fault["loc"] if not str(part).startswith("function-")
    )
    kind, given = fault["type"], fault["input"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return unknown_key(key, [prefix + name for name in known])
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        group, dot, _ = key.partition(".")
        where = f"; write it into the option's yaml below conf/{group}/" if dot else ""
        return f"{key}: is missing{where}."
    if given == "???":
        return f"{key}: must be given; it has no default."
    reason = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    reason = PLAINER.get(kind, reason)
    if kind == "int_type" and isinstance(given, float):  # 1e3 is one for Hydra, 1000 is none
        given = repr(given)
        reason += ", without a point or an exponent"
    if key == "data.split_seed" and kind == "int_type":
        reason += f", or {BY_SEED}: each seed its own cut"
    if kind == "literal_error":
        allowed = fault["ctx"]["expected"].replace("'", "")
        reason = (
            f"must be {allowed}.{nearest(str(given), allowed.replace(' or ', ', ').split(', '))}"
        )
    return f"{key_text(key)}={as_typed(given)}: {reason}{'' if reason.endswith('.') else '.'}"
