"""What a user did wrong, said so that they can put it right."""

import difflib
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
"""Exit codes of a command; 0 is all done."""


class Refused(ValueError):
    """Input that cannot be used. Carries every fault that was found, not only the first.

    Attributes:
        faults: one sentence each: what was given, what is allowed, what to do
    """

    def __init__(self, faults: str | Iterable[str]):
        self.faults = [faults] if isinstance(faults, str) else list(dict.fromkeys(faults))
        super().__init__(self.message())

    def message(self) -> str:
        """All faults as one text for the terminal."""
        if len(self.faults) == 1:
            return f"Refused: {self.faults[0]}"
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        return f"Refused, {len(self.faults)} faults:\n{lines}"


def one_line(error: BaseException) -> str:
    """An error for a person, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]


_PACKAGE = Path(__file__).resolve().parents[1]


def written_in(error: BaseException, folder: Path) -> str:
    """` in mynet.py, line 12`: the last line of a person's own files that led to an error.

    Args:
        folder: of those files; cnnlab's own, and installed ones, do not count

    Returns:
        an empty text where none did
    """
    lines = [(each.filename, each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        lines.append((error.filename or "", error.lineno))
    for name, line in reversed(lines):
        path = Path(name)
        theirs = folder in path.parents and "site-packages" not in path.parts
        if theirs and _PACKAGE not in path.parents:
            return f" in {path.relative_to(folder)}, line {line}"
    return ""


# What people type for an option whose name is not similar in letters.
ALIASES = {
    "batchnorm": "bn", "batch_norm": "bn", "groupnorm": "gn", "group_norm": "gn",
    "layernorm": "ln", "layer_norm": "ln", "instancenorm": "in", "instance_norm": "in",
    "swish": "silu", "adam": "adamw", "cifar": "cifar10", "image_folder": "folder",
    "learning_rate": "lr", "batch": "batch_size", "transform": "augment",
}  # fmt: skip


MOVED = {"label_smoothing": "loss.label_smoothing"}
"""Keys that had another name before, each with the one that it has now."""


def nearest(name: str, allowed: Sequence[str]) -> str:
    """`" Nearest: bn."`, or an empty text where nothing allowed resembles `name`."""
    alias = ALIASES.get(name.lower())
    if alias in allowed:
        return f" Nearest: {alias}."
    tails = {option.rpartition(".")[2]: option for option in reversed(allowed)}
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6)
    close = close or [
        tails[tail]
        for tail in difflib.get_close_matches(name.rpartition(".")[2], tails, n=1, cutoff=0.75)
    ]
    return f" Nearest: {close[0]}." if close else ""


def unknown_key(key: str, known: Sequence[str]) -> str:
    """What to say of a key that no config has."""
    if key in MOVED:
        return f"{key}: is {MOVED[key]} now."
    return f"{key}: no such key.{nearest(key, known)} Allowed: {', '.join(known) or 'none'}."


def no_such(key: str, value: str, allowed: Sequence[str], besides: str = "") -> str:
    """What to say of a value that is not one of those allowed.

    Args:
        key: that it was given for
        value: that was given
        allowed: all names
        besides: what else is allowed, e.g. `" or a positive number"`
    """
    found = f"Allowed: {', '.join(allowed)}{besides}."
    return f"{key}={value}: no such option.{nearest(value, allowed)} {found}"
