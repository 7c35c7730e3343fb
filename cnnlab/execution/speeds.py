"""What was measured of this machine, and chosen for it, in the user's cache folder.

A choice that was made once stays: timing is noise, and runs that are trained in other stacks are
rounded in another way.
"""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from cnnlab.core.files import write_json
from cnnlab.core.provenance import versions
from cnnlab.execution import grouping
from cnnlab.execution.measuring import Choice, Measured, Question
from cnnlab.records import locks
from cnnlab.training.throughput import kind

NAME = "speeds.json"


def caches() -> Path:
    """The folder that the user's programs may fill, and the user may empty.

    $CNNLAB_CACHE, or `cnnlab` below the platform's own; platformdirs has the same rule.
    """
    if own := os.environ.get("CNNLAB_CACHE"):
        return Path(own).expanduser()
    mac = sys.platform == "darwin"
    common = os.environ.get("XDG_CACHE_HOME") or ("~/Library/Caches" if mac else "~/.cache")
    return Path(common).expanduser() / "cnnlab"


class Speeds:
    """How fast structures trained here, and what was chosen.

    Args:
        environments: of the workers that train at the same time
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]):
        self.path = caches() / NAME
        self.here = [platform.node(), os.cpu_count(), list(map(dict, environments)), versions()]
        self.known = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            return {each: dict(found[each]) for each in ("measured", "chosen")}
        except (OSError, ValueError, TypeError, KeyError):  # none yet, or damaged: measured again
            return {"measured": {}, "chosen": {}}

    def _key(self, *parts: Any) -> str:
        return sha256(json.dumps([self.here, *parts]).encode()).hexdigest()[:16]

    def key(self, question: Question, fingerprint: str) -> str:
        """Of a structure on this device; stacks that see fewer different images are quicker."""
        first = question.configs[0]
        seen = len({grouping.images_of(each) for each in question.configs})
        return self._key(kind(first.plain(), fingerprint), len(question.configs) // seen)

    def chosen(self, key: str, question: Question, runs: int, workers: int) -> Choice | None:
        """What was chosen for a structure and as many runs."""
        with suppress(KeyError, TypeError):
            return Choice(**self.known["chosen"][self._exactly(key, question, runs, workers)])
        return None

    def measured(self, key: str, question: Question) -> list[Measured] | None:
        """What is known of a structure, unless it was measured for much smaller sweeps."""
        with suppress(KeyError, TypeError):
            entry = self.known["measured"][key]
            measured = [Measured(**each) for each in entry["measured"]]
            return measured if entry["work"] * 4 >= question.work else None
        return None

    def note(self, key: str, question: Question, measured: Sequence[Measured]) -> None:
        """Adds what was measured; `save` writes it."""
        found = [asdict(each) for each in measured]
        self.known["measured"][key] = {"work": question.work, "measured": found}

    def settle(self, key: str, question: Question, runs: int, workers: int, choice: Choice) -> None:
        """Adds what was chosen; `save` writes it."""
        self.known["chosen"][self._exactly(key, question, runs, workers)] = asdict(choice)

    def _exactly(self, key: str, question: Question, runs: int, workers: int) -> str:
        sizes = list(question.sizes)
        return self._key(key, question.steps, sizes, question.compiled, runs, workers)

    def save(self) -> None:
        """Writes what is new, beside what other commands wrote meanwhile; their choices stay."""
        # Where that cannot be, it is measured again the next time.
        with suppress(OSError), locks.held(self.path.parent, self.path.name):
            others = self._read()
            self.known = {
                "measured": {**others["measured"], **self.known["measured"]},
                "chosen": {**self.known["chosen"], **others["chosen"]},
            }
            write_json(self.path, self.known)
