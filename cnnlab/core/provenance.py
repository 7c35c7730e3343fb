"""What a result may depend on besides its config: versions, and the state of the source."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from cnnlab import __version__
from cnnlab.core import project


@cache
def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    found = {"python": platform.python_version(), "cnnlab": __version__}
    for package in ("torch", "torchvision", "numpy", "hydra-core", "omegaconf"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


@cache
def git() -> tuple[str | None, bool | None]:
    """The commit of the project, and whether its code or its options were changed since.

    Returns:
        None and None outside a repository
    """

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *words], cwd=project.home(), capture_output=True, text=True
            )
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    changes = ask("status", "--porcelain", "--", ":(glob)**/*.py", ":(glob)**/*.yaml")
    return commit, None if changes is None else bool(changes)
