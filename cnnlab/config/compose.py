"""Putting configs together: the folders of options, and Hydra's composition of them."""

from contextlib import nullcontext
from typing import Any

import yaml

from cnnlab.config.compat import hydra_options
from cnnlab.config.defaults import PRIMARY, register
from cnnlab.config.guard import check_hydra
from cnnlab.core import project
from cnnlab.core.errors import Refused


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

    register()
    running = GlobalHydra.instance().is_initialized()
    shipped = str(project.shipped("conf"))
    with nullcontext() if running else initialize_config_dir(shipped, **hydra_options()):
        try:
            config = hydra_compose(PRIMARY, list(overrides), return_hydra_config=True)
            hydra = OmegaConf.to_container(config.hydra, resolve=False, enum_to_str=True)
            check_hydra(hydra, overrides)
            with open_dict(config):
                del config.hydra
            return OmegaConf.to_container(config, resolve=False), hydra
        except yaml.YAMLError as error:
            raise Refused(f"No valid YAML: {' '.join(str(error).split())}.") from error
        except (HydraException, OmegaConfBaseException) as error:
            cause = error.__cause__  # Hydra's own text often says less than that
            reason = f": {str(cause).splitlines()[0]}" if isinstance(cause, ValueError) else ""
            raise Refused(" ".join(str(error).split()) + reason) from error
