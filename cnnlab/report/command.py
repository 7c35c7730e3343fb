"""The command `python -m cnnlab.report`."""

import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnnlab.core.console import console, ending, say
from cnnlab.core.errors import FAILED, Refused, nearest
from cnnlab.records.reading import sweeps
from cnnlab.records.reading.sweeps import Sweep
from cnnlab.report.settings import Settings, help_text, settings
from cnnlab.report.terminal import show
from cnnlab.report.write import analysed, write, write_list

INTERVAL = 2.0
"""Seconds between two looks for changed records."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Reports the sweeps that are asked for; exits with 2 where there are none."""
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
    elif not _report_all(asked):
        raise SystemExit(FAILED)


def _report_all(asked: Settings) -> bool:
    """Reports once; whether every sweep could be."""
    outputs = Path(asked.outputs).expanduser()
    folders = _chosen(outputs, asked)
    if asked.name is not None and len(folders) > 1:
        names = [folder.name for folder in folders]
        together = sweeps.read_many(outputs, names)
        return _report(together, asked, outputs / "+".join(names) / "report", outputs)
    done = [_report(sweeps.read(each), asked, each / "report", outputs) for each in folders]
    return all(done)


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


def _report(sweep: Sweep, asked: Settings, out: Path, outputs: Path) -> bool:
    """Reports a sweep; whether it could be. The others are reported all the same."""
    try:
        analysis = analysed(sweep, asked)
        show(analysis)
        write(analysis, asked, out)
        write_list(outputs)
    except (Refused, OSError) as error:
        faults = error.faults if isinstance(error, Refused) else [str(error)]
        for fault in faults:
            say(f"{sweep.name}: cannot be reported: {fault}\n")
        return False
    console.print(f"Page, tables and pictures: {out / 'index.html'}\n", markup=False)
    return True


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
