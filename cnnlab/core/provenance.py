"""What a result may depend on besides its config: versions, and the state of the source."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cnnlab import __version__

ROOT = Path(__file__).resolve().parents[2]
"""Of the source: where cnnlab/, conf/ and sweeps/ lie side by side."""


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
    """The commit of the source and whether it was changed since; None outside a repository."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    source = ("cnnlab", "conf", "sweeps", "hydra_plugins")
    commit, changes = ask("rev-parse", "HEAD"), ask("status", "--porcelain", "--", *source)
    return commit, None if changes is None else bool(changes)
