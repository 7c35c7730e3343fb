"""What differs between versions of Hydra, or is private there and cannot be done without.

Tried with hydra-core 1.3.8 and 1.4.0rc3; setup.cfg allows what is older than 1.5.
"""

import argparse
from inspect import signature
from multiprocessing.pool import ExceptionWithTraceback
from typing import Any


def hydra_options() -> dict[str, Any]:
    """What Hydra's entry points are told besides the config.

    Hydra 1.3 asks which version's defaults one wants; 1.4 warns of that.
    """
    import hydra

    major, minor = hydra.__version__.split(".")[:2]
    return {"version_base": "1.3"} if (int(major), int(minor)) < (1, 4) else {}


def store(**config: Any) -> None:
    """Puts a config into Hydra's store, in the place of what it may have had there.

    Hydra executes plugins' files again each time that it searches for plugins; 1.4 wants to be told
    that nothing is replaced by mistake.
    """
    from hydra.core.config_store import ConfigStore

    put = ConfigStore.instance().store
    again = {"replace": True} if "replace" in signature(put).parameters else {}
    put(provider="cnnlab", **config, **again)


def arguments_parser() -> argparse.ArgumentParser:
    """What Hydra reads its command line with, so that nobody else need know its flags."""
    from hydra._internal.utils import get_args_parser

    return get_args_parser()


def keep_traceback(returned: Any) -> None:
    """Sees to it that a failed job's exception says in another process where it was raised.

    Hydra does so itself since 1.4.

    Args:
        returned: the JobReturn of a job that failed; changed in place
    """
    if not hasattr(returned, "_remote_traceback"):
        error = returned._return_value  # the public property raises it
        returned.return_value = ExceptionWithTraceback(error, error.__traceback__)
