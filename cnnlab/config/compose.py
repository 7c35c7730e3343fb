"""Putting configs together: the folders of options, and Hydra's composition of them."""

from contextlib import nullcontext
from functools import cache
from typing import Any

import yaml

from cnnlab.config.compat import hydra_options, store
from cnnlab.core.errors import Refused
from cnnlab.core.provenance import ROOT

CONF = ROOT / "conf"
SWEEPS = ROOT / "sweeps"

GROUPS = ("data", "model", "norm", "activation", "augment", "lr", "optimizer")
"""The config groups whose options are parts, in the order of a config."""


def options(group: str) -> list[str]:
    """The names of a group's options: its yaml files; `folder/option` where it has folders."""
    folder = SWEEPS if group == "sweeps" else CONF / group
    found = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml"))
    return sorted(path.as_posix() for path in found)


@cache
def register_sweeps() -> None:
    """Tells Hydra of sweeps/, which lies beside conf/, as its config group `sweeps`.

    A group's option may stand at the top of a sweep file as on the command line: `norm: bn`.

    Raises:
        Refused: if a file there is no YAML mapping
    """
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
        group, _, name = f"sweeps/{option}".rpartition("/")
        store(group=group, name=name, node=node, package="_global_")


def compose(overrides: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config that Hydra composes, and Hydra's own node, as plain dicts.

    Interpolations are left as they are, for they may refer to what is set later.

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
            hydra = OmegaConf.to_container(config.hydra, resolve=False, enum_to_str=True)
            with open_dict(config):
                del config.hydra
            return OmegaConf.to_container(config, resolve=False), hydra
        except yaml.YAMLError as error:
            raise Refused(f"No valid YAML: {' '.join(str(error).split())}.") from error
        except (HydraException, OmegaConfBaseException) as error:
            cause = error.__cause__  # Hydra's own text often says less than that
            reason = f": {str(cause).splitlines()[0]}" if isinstance(cause, ValueError) else ""
            raise Refused(" ".join(str(error).split()) + reason) from error
