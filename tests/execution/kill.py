"""Kills a sweep again and again, starts it again, and looks at what it leaves.

    python tests/execution/kill.py --kills 50 --seed 0

A sweep of short runs is trained once without interruption. Then the same command is started
elsewhere and its whole process group killed with SIGKILL: at random moments, and right when a file
is being written or has just taken its place. It is started again until all kills are spent, and
then left to finish. No kill may cost more than the epoch in hand, and nothing may tell afterwards
that there was one.

Exits with 1 if a claim does not hold. `tests/execution/test_kill.py` is the short form.
"""

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]

IMAGES = ("data=synthetic", "data.images=80", "data.size=12", "data.classes=4", "batch_size=32")
GRID = ("norm=bn,none", "lr=0.003,0.01", "seeds=3")

COLUMNS = {
    "metrics.csv": ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"],
    "timing.csv": ["epoch", "seconds", "memory_mb"],
}
WHOLE = {".hydra", "best.safetensors", "metrics.csv", "result.json", "run.log", "timing.csv"}
"""What a finished run's folder holds, and nothing else."""

AGAIN_DIFFERENT = ("seconds", "own_seconds", "git_commit", "git_dirty")
"""What two records of one run may differ in."""

KINDS = {
    "any moment": (5, lambda path: False),
    "a file half written": (5, lambda path: ".part-" in path and ".plan.json" not in path),
    "new best weights": (2, lambda path: path.endswith("/best.safetensors")),
    "a new checkpoint": (3, lambda path: path.endswith("/checkpoint")),
    "a new row": (2, lambda path: path.endswith("/metrics.csv")),
    "a new result": (4, lambda path: path.endswith("/result.json")),
    "the plan half written": (1, lambda path: ".plan.json.part-" in path),
    "the start": (1, lambda path: False),
}
"""The moments to kill at: how often each is drawn, and the change on the disk that it waits for."""

Stamp = tuple[int, int]
"""A file's number and when it was last written, in ns."""


@dataclass
class Sweep:
    """A command that can be started, looked at and killed.

    Attributes:
        place: the folder that it is typed in
        arguments: of `python -m cnnlab.run -m`
        name: of the sweep
        outputs: the folder of all records, seen from `place`
        environment: what it has besides that of this process
        output: the file in `place` that gets what it prints
        before: called in its process before it begins
    """

    place: Path
    arguments: Sequence[str]
    name: str = "k"
    outputs: str = "outputs"
    environment: Mapping[str, str] = field(default_factory=dict)
    output: str = "printed"
    before: Callable[[], None] | None = None

    @property
    def folder(self) -> Path:
        return self.place / self.outputs / self.name

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen]:
        """The command in a process group of its own, which is gone when the block ends."""
        self.place.mkdir(parents=True, exist_ok=True)
        inherited = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
        environment = {
            "PYTHONPATH": os.pathsep.join(inherited),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "80",
            **self.environment,
        }

        def prepare() -> None:
            # A shell's background jobs ignore the signal, and hand that on.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if self.before is not None:
                self.before()

        typed = ("-m", *self.arguments, f"name={self.name}", f"outputs={self.outputs}")
        with open(self.place / self.output, "wb") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "cnnlab.run", *typed],
                cwd=self.place, env={**os.environ, **environment}, preexec_fn=prepare,
                stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            while alive(process.pid):
                time.sleep(0.005)

    def run(self, timeout: float = 300) -> int:
        """Starts it and waits; gives its exit code."""
        with self.started() as process:
            return process.wait(timeout)

    def printed(self) -> str:
        return (self.place / self.output).read_text(encoding="utf-8", errors="replace")

    def stamps(self) -> dict[str, Stamp]:
        """Each file of the sweep that is there right now, Hydra's own left out."""
        found = {}
        for folder in [self.folder, *subfolders(self.folder)]:
            for entry in entries(folder):
                with suppress(FileNotFoundError):  # moved while we looked
                    if entry.is_file():
                        stat = entry.stat()
                        found[entry.path] = stat.st_ino, stat.st_mtime_ns
        return found

    def finished(self) -> list[Path]:
        return sorted(self.folder.glob("*/result.json"))


def entries(folder: Path | str) -> list[os.DirEntry]:
    """What lies in a folder; nothing if it is not there."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def subfolders(folder: Path) -> list[str]:
    return [entry.path for entry in entries(folder) if entry.is_dir()]


def alive(session: int) -> dict[int, int]:
    """The processes of a session, zombies aside; by number, the number of the parent."""
    found = {}
    for entry in entries("/proc"):
        if entry.name.isdecimal():
            try:
                text = Path(entry.path, "stat").read_text()
            except OSError:  # it ended meanwhile
                continue
            state, parent, group, of = text.rpartition(")")[2].split()[:4]
            if session in (int(group), int(of)) and state != "Z":
                found[int(entry.name)] = int(parent)
    return found


@dataclass
class Pace:
    """How fast the reference was, in seconds.

    Attributes:
        start: from its start to its first record
        training: from there to its end
    """

    start: float
    training: float


def reference(sweep: Sweep) -> Pace:
    """Trains a sweep without interruption."""
    began, first = time.monotonic(), 0.0
    with sweep.started() as process:
        while process.poll() is None:
            if not first and any(path.endswith("/checkpoint") for path in sweep.stamps()):
                first = time.monotonic()
            time.sleep(0.01)
    if process.returncode:
        raise RuntimeError(f"the reference ended with {process.returncode}: {sweep.printed()}")
    return Pace(first - began, time.monotonic() - first)


class Victim:
    """Kills a sweep, and notes what a finished run's folder must not do.

    Attributes:
        faults: what did not hold, a sentence each
        hits: by kind, how many kills found what they waited for
    """

    def __init__(self, sweep: Sweep, pace: Pace, kills: int, seed: int):
        self.sweep, self.pace, self.kills = sweep, pace, kills
        self.random = random.Random(seed)
        self.life = 0.3 * pace.training / kills  # so that there is something left for the last kill
        self.results: dict[str, Stamp] = {}
        self.frozen: dict[Path, dict[str, tuple[int, ...]]] = {}
        self.faults: list[str] = []
        self.hits: Counter[str] = Counter()

    def kill(self) -> str | None:
        """Starts the command and kills it; gives how that went, None if it ended before."""
        weights = [weight for weight, _ in KINDS.values()]
        (kind,) = self.random.choices(list(KINDS), weights)
        with self.sweep.started() as process:
            moment = self._await(kind, process)
            if moment is None:
                return None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != -signal.SIGKILL:  # it ended in the same moment
            return None
        halves = sum(".part-" in path for path in self.sweep.stamps())
        self._freeze()
        self._read_printed()
        left = f", {halves} half written" if halves else ""
        return f"{moment}{left}; {len(self.sweep.finished())} runs finished"

    def finish(self) -> int:
        """Lets the command come to its end; gives its exit code."""
        with self.sweep.started() as process:
            while process.poll() is None:
                self._look_at_results(self.sweep.stamps())
                time.sleep(0.01)
        self._freeze()
        self._read_printed()
        return process.returncode

    def _await(self, kind: str, process: subprocess.Popen) -> str | None:
        """Waits for a moment of a kind; gives it in words, None if the command ended before."""
        fits = KINDS[kind][1]
        began = time.monotonic()
        wait = self.random.uniform(0, self.pace.start if kind == "the start" else 2 * self.life)
        patience = wait + (6 if kind == "a new result" else 2) * self.life
        training = began if kind == "the start" else None
        armed_from_the_start = kind == "the plan half written"
        before = self.sweep.stamps()
        while process.poll() is None:
            stamps = self.sweep.stamps()
            self._look_at_results(stamps)
            changed = [path for path, stamp in stamps.items() if before.get(path) != stamp]
            before = stamps
            now = time.monotonic()
            if training is None and any(map(KINDS["a new checkpoint"][1], changed)):
                training = now
            ripe = training is not None and now - training >= wait
            told = f"{now - began:.1f} s after its start, {kind}"
            hit = next(filter(fits, changed), None) if ripe or armed_from_the_start else None
            if hit is not None:
                self.hits[kind] += 1
                return f"{told} ({Path(hit).parent.name[-8:]}/{Path(hit).name})"
            if ripe and kind in ("any moment", "the start"):
                self.hits[kind] += 1
                return told
            if training is not None and now - training >= patience:
                return f"{told} (did not come)"
            near = training is not None or armed_from_the_start
            time.sleep(0.0005 if near else 0.01)  # looking takes time from the sweep
        return None

    def _look_at_results(self, stamps: dict[str, Stamp]) -> None:
        for path, stamp in stamps.items():
            if path.endswith("/result.json") and self.results.setdefault(path, stamp) != stamp:
                self._fault(f"{path}: written again")
                self.results[path] = stamp
        for path in self.results.keys() - stamps.keys():
            if not Path(path).exists():
                self._fault(f"{path}: gone")

    def _freeze(self) -> None:
        """Now that nothing runs: a folder that was finished before is as it was, but for what the
        kill had kept from being taken away."""
        for path in self.sweep.finished():
            now = {}
            for file in sorted(path.parent.rglob("*")):
                stat = file.stat()
                now[str(file.relative_to(path.parent))] = (
                    stat.st_ino, *((stat.st_mtime_ns, stat.st_size) if file.is_file() else ()),
                )  # fmt: skip
            then = self.frozen.get(path.parent, now)
            for name in then.keys() | now.keys():
                if then.get(name) != now.get(name) and not (name == "checkpoint" and name in then):
                    self._fault(f"{path.parent}: {name} changed although the run was finished")
            self.frozen[path.parent] = now

    def _read_printed(self) -> None:
        printed = self.sweep.printed()
        for word in ("Traceback", "Failed", "Left alone", "diverged\n", "tried again"):
            if word in printed:
                self._fault(f"a start printed {word!r}:\n{printed}")

    def _fault(self, told: str) -> None:
        if told not in self.faults:
            self.faults.append(told)


def differences(sweep: Sweep, undisturbed: Sweep, epochs: int) -> list[str]:
    """What tells a sweep that was killed from one that was not; a sentence each."""
    faults = []
    mine, theirs = _by_run_id(sweep, faults), _by_run_id(undisturbed, faults)
    if mine.keys() != theirs.keys():
        faults.append(f"runs: {sorted(mine)} instead of {sorted(theirs)}")
    folders = sorted(path.name for path in map(Path, subfolders(sweep.folder)))
    if folders != sorted(folder.name for folder in theirs.values()):
        faults.append(f"folders: {folders}")
    for identity in mine.keys() & theirs.keys():
        faults += [
            f"{mine[identity]}: {fault}"
            for fault in _record_faults(mine[identity], theirs[identity], epochs)
        ]
    if _plan(sweep) != _plan(undisturbed):
        faults.append("plan.json: not that of the reference")
    faults += [f"{path}: left behind" for path in sorted(sweep.folder.parent.rglob("*.part-*"))]
    return faults


def _plan(sweep: Sweep) -> dict:
    """plan.json without the times in it."""
    plan = _json(sweep.folder / "plan.json") or {"history": []}
    return {**plan, "history": [{**each, "when": None} for each in plan["history"]]}


def _by_run_id(sweep: Sweep, faults: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sweep.finished():
        identity = (_json(path) or {}).get("run_id", f"unreadable: {path}")
        if identity in found:
            faults.append(f"{identity}: in {found[identity]} and in {path.parent}")
        found[identity] = path.parent
    return found


def _record_faults(mine: Path, theirs: Path, epochs: int) -> Iterator[str]:
    names = {path.name for path in mine.iterdir()}
    if names != WHOLE:
        yield f"has {sorted(names - WHOLE)} too much, {sorted(WHOLE - names)} too little"
    for name in ("metrics.csv", "best.safetensors"):
        if (mine / name).read_bytes() != (theirs / name).read_bytes():
            yield f"{name}: not that of the reference"
    for name, columns in COLUMNS.items():
        with open(mine / name, encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        if header != columns or any(len(row) != len(columns) for row in rows):
            yield f"{name}: its columns"
        if [row[0] for row in rows] != [str(epoch + 1) for epoch in range(epochs)]:
            yield f"{name}: its epochs"
    if not load_file(mine / "best.safetensors"):
        yield "best.safetensors: empty"
    both = _json(mine / "result.json"), _json(theirs / "result.json")
    for key in both[1]:
        if both[0].get(key) != both[1][key] and key not in AGAIN_DIFFERENT:
            yield f"result.json: {key} is {both[0].get(key)!r} instead of {both[1][key]!r}"
    if both[0]["status"] != "done":
        yield f"result.json: {both[0]['status']}"


def _json(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def torture(
    place: Path,
    kills: int,
    seed: int = 0,
    grid: Sequence[str] = GRID,
    epochs: int | None = None,
    tell: Callable[[str], None] = print,
) -> list[str]:
    """Kills a sweep a number of times, and compares what it leaves with an undisturbed one.

    Args:
        place: an empty folder
        kills: how often
        seed: of the moments
        grid: the factors and seeds
        epochs: of each run; None: as many as the kills need
        tell: gets a line for each thing that happens

    Returns:
        what did not hold; empty if all did
    """
    epochs = epochs or max(40, 4 * kills)
    arguments = (*grid, *IMAGES, f"epochs={epochs}")
    undisturbed, sweep = (Sweep(place / name, arguments) for name in ("reference", "killed"))
    pace = reference(undisturbed)
    count = len(undisturbed.finished())
    tell(
        f"reference: {count} runs of {epochs} epochs, {pace.start:.1f} s to its first record, "
        f"{pace.training:.1f} s from there"
    )
    victim = Victim(sweep, pace, kills, seed)
    for number in range(1, kills + 1):
        told = victim.kill()
        if told is None:
            code = f"The sweep ended before its kill {number} of {kills}"
            return [*victim.faults, f"{code}: take more epochs than {epochs}.\n{sweep.printed()}"]
        tell(f"kill {number:3}/{kills}: {told}")
    code = victim.finish()
    if code:
        victim.faults.append(f"the last start ended with {code}: {sweep.printed()}")
    faults = [*victim.faults, *differences(sweep, undisturbed, epochs)]
    tell(f"killed {kills} times: " + ", ".join(f"{n} at {k}" for k, n in victim.hits.items()))
    continued = sum(
        path.read_text(encoding="utf-8").count("Continued after epoch")
        for path in sweep.folder.glob("*/run.log")
    )
    tell(f"runs were continued {continued} times; {len(sweep.finished())} of {count} finished")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="how often to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--epochs", type=int, help="of each run; default: 4 a kill")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which is kept")
    given = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory(prefix="cnnlab-kill-") as temporary:
        place = given.keep or Path(temporary)
        faults = torture(place.resolve(), given.kills, given.seed, epochs=given.epochs)
    for fault in faults:
        print(f"FAILED: {fault}")
    print(f"{len(faults)} faults" if faults else "All as if nobody had killed it.")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
