"""`cnnlab new`: a small working project, to be changed into one's own."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from cnnlab.core.errors import Refused
from cnnlab.core.files import writable

FILES = Path(__file__).parent / "project"


def new(arguments: Sequence[str]) -> str:
    """Writes a project into a new folder.

    Args:
        arguments: the folder's name alone

    Returns:
        what to do next

    Raises:
        Refused: if there is something of that name, or it cannot be written
    """
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise Refused("cnnlab new takes the name of a folder: cnnlab new myproject.")
    folder = Path(arguments[0]).expanduser()
    if not re.fullmatch(r"[^\s\x00-\x1f]+", folder.name) or "=" in folder.name:
        raise Refused(f"cnnlab new {arguments[0]}: write a name without spaces and '='.")
    if folder.exists():
        raise Refused(f"cnnlab new {folder}: there is {folder} already. Choose another name.")
    if reason := writable(folder.absolute()):
        raise Refused(f"cnnlab new {folder}: cannot write there: {reason}.")
    shutil.copytree(FILES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "gitignore").rename(folder / ".gitignore")
    return "\n".join(
        [
            f"{folder} has a network, a config group and a sweep of its own; README.md says which "
            "file is what. Try:",
            "",
            f"    cd {folder}",
            "    cnnlab sweeps=question",
            "    cnnlab-report",
        ]
    )
