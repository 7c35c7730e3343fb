"""The project: the folder that a person works in, with conf/, sweeps/ and parts of their own.

What it has counts before what installed packages offer, and that before what comes with cnnlab.
"""

import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

CONF_VARIABLE = "CNNLAB_CONF"
"""Names the folder of the project's options, for this process and those that it starts."""

OFFERED = "cnnlab.parts"
"""Entry points of installed packages: each names a package that has parts, and may have conf/ and
sweeps/."""

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(name: str) -> Path:
    """conf/ or sweeps/ as they come with cnnlab: inside the package, or in a clone beside it."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def conf() -> Path:
    """The folder of the project's own options; it need not exist."""
    return _resolved(os.environ.get(CONF_VARIABLE) or os.path.join(os.getcwd(), "conf"))


@cache
def _resolved(path: str) -> Path:
    return Path(path).resolve()


def choose(folder: str | None) -> None:
    """Settles where the project is, for this process and all that it starts.

    Args:
        folder: of its options; None: conf/ in the current folder
    """
    os.environ[CONF_VARIABLE] = str(Path(folder or "conf").expanduser().resolve())
    # Processes that are started have the current folder first on their path, where a person's
    # json.py would be taken for Python's. (Python 3.10 does not know of it.)
    os.environ.setdefault("PYTHONSAFEPATH", "1")


def home() -> Path:
    """The project's folder, with sweeps/ and the modules of its parts."""
    return conf().parent


def shadowing() -> list[str]:
    """What is wrong with the names of the project's files, where they would be imported instead.

    That is where the folder is first on the path: `python -m cnnlab.run`, or any with Python 3.10.
    """
    first = Path(sys.path[0] or ".").resolve()
    if first != home() and hasattr(sys.flags, "safe_path"):
        return []
    named = [path.stem for path in home().glob("*.py")]
    named += [path.parent.name for path in home().glob("*/__init__.py")]
    ours = _PACKAGE.parent == home()
    return [
        f"{home() / name}: a project's file cannot have the name of a module that Python, or what "
        f"cnnlab is built on, comes with. Rename {name}."
        for name in sorted(set(named) & {*sys.stdlib_module_names, *_BUILT_ON})
        if not (ours and name == "cnnlab")
    ]


_BUILT_ON = (
    "cnnlab", "cloudpickle", "hydra", "jinja2", "joblib", "matplotlib", "numpy", "omegaconf",
    "pandas", "PIL", "pydantic", "rich", "safetensors", "scipy", "seaborn", "sklearn", "torch",
    "torchvision", "yaml",
)  # fmt: skip


@cache
def packages() -> Mapping[str, Path]:
    """The installed packages that offer parts, each with its folder."""
    found = {}
    for point in entry_points(group=OFFERED):
        spec = find_spec(point.module)
        if spec is not None and spec.submodule_search_locations:
            found[point.module] = Path(spec.submodule_search_locations[0])
    return found


def folders(name: str) -> list[Path]:
    """All folders of options (conf) or of sweeps that there are, the first of which counts most."""
    own = conf() if name == "conf" else home() / name
    found = [own, *(package / name for package in packages().values()), shipped(name)]
    return [path for path in dict.fromkeys(path.resolve() for path in found) if path.is_dir()]
