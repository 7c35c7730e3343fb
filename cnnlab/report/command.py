"""The command `python -m cnnlab.report`."""

import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnnlab.core.console import console, ending, say
from cnnlab.core.errors import FAILED, REFUSED, Refused, nearest
from cnnlab.records.reading import sweeps
from cnnlab.records.reading.sweeps import Sweep
from cnnlab.records.schema import Damaged
from cnnlab.report.settings import Settings, help_text, settings
from cnnlab.report.terminal import show
from cnnlab.report.write import analysed, write, write_list

INTERVAL = 2.0
"""Seconds between two looks for changed records."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Reports the sweeps that are asked for; exits with 1 where something is damaged, with 2 where
    there is none, or not what was asked for of it."""
    with ending("Interrupted. The same command reports what is missing."):
        _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> None:
    if {"-h", "--help"} & set(arguments):
        print(help_text())
        return
    asked = settings(arguments)
    if asked.watch:
        with suppress(KeyboardInterrupt):  # as a watch ends
            _watch(asked)
    elif code := _report_all(asked):
        raise SystemExit(code)


def _report_all(asked: Settings) -> int:
    """Reports once.

    Returns:
        the exit code: REFUSED if what was asked for is not in a sweep; else FAILED if something is
        damaged; else 0
    """
    outputs = Path(asked.outputs).expanduser()
    folders = _chosen(outputs, asked)
    if asked.name is not None and len(folders) > 1:
        names = [folder.name for folder in folders]
        together = sweeps.read_many(outputs, names)
        return _report(together, asked, outputs / "+".join(names) / "report", outputs)
    return max(_report(sweeps.read(each), asked, each / "report", outputs) for each in folders)


def _chosen(outputs: Path, asked: Settings) -> list[Path]:
    """The folders of the sweeps that are asked for.

    Raises:
        Refused: if there are none, or one of them is not there
    """
    found = {folder.name: folder for folder in sweeps.folders(outputs)}
    if not found:
        raise Refused(
            f"No sweep below {outputs}. Train one: python -m cnnlab.run -m norm=bn,none lr=0.01,0.1"
        )
    wanted = list(found) if asked.name is None else dict.fromkeys(asked.name.split(","))
    if absent := [name for name in wanted if name not in found]:
        there = f"There are: {', '.join(found)}."
        raise Refused(
            f"name={name}: no such sweep below {outputs}.{nearest(name, list(found))} {there}"
            for name in absent
        )
    return [found[name] for name in wanted]


def _report(sweep: Sweep, asked: Settings, out: Path, outputs: Path) -> int:
    """Reports a sweep, as `_report_all`. The others are reported all the same."""
    try:
        analysis = analysed(sweep, asked)
        show(analysis)
        write(analysis, asked, out)
        write_list(outputs)
    except Refused as refused:
        for fault in refused.faults:
            print(f"Refused: {sweep.name}: {fault}", file=sys.stderr)
        return REFUSED
    except (Damaged, OSError) as error:
        say(f"{sweep.name}: cannot be reported: {error}\n")
        return FAILED
    console.print(f"Page, tables and pictures: {out / 'index.html'}\n", markup=False)
    return FAILED if sweep.problems else 0


def _watch(asked: Settings) -> None:
    """Reports again whenever something has changed, until a person stops it: at the first Ctrl-C
    after the report in hand, at the second at once."""
    outputs = Path(asked.outputs).expanduser()
    seen: dict[Path, str] = {}
    stop = threading.Event()

    def stopping(*_: Any) -> None:
        # Raised just anywhere, a KeyboardInterrupt may be lost: in a finalizer Python ignores it.
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, stopping)
    try:
        while not stop.is_set():
            now = {folder: sweeps.signature(folder) for folder in _chosen(outputs, asked)}
            if now != seen:
                seen = now
                _report_all(asked)
                console.print("Watching for changes; Ctrl-C ends it.", style="dim")
            stop.wait(INTERVAL)
    finally:
        signal.signal(signal.SIGINT, before)
