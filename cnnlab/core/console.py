"""The one console that everything is printed on, so that lines and progress bars do not collide."""

import errno
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from cnnlab.core import events, memory
from cnnlab.core.errors import FAILED, INTERRUPTED, REFUSED, Refused

GONE = (errno.EPIPE, errno.EIO)
"""What a pipe says whose reader ended (`| head -1`), and a terminal that was closed."""


class _Output:
    """Standard output for as long as somebody reads it; what is printed after that is dropped.

    A sweep goes on then: its records count, not its display.

    Attributes:
        when_gone: is told on standard error once nobody reads any more
    """

    when_gone = ""

    def write(self, text: str) -> None:
        self._tried(lambda: _stdout().write(text))

    def flush(self) -> None:
        self._tried(lambda: _stdout().flush())

    def _tried(self, output: Callable[[], Any]) -> None:
        try:
            output()
        except OSError as error:
            if error.errno not in GONE:
                raise
            drop_output()
            if self.when_gone:
                with suppress(OSError):  # the same terminal
                    print(self.when_gone, file=sys.stderr, flush=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(_stdout(), name)


def _stdout() -> TextIO:
    """Itself also while a live display stands in its place, which prints on the console."""
    return getattr(sys.stdout, "rich_proxied_file", sys.stdout)


def drop_output() -> None:
    """From now on what is printed goes nowhere; also what Python still holds back."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _stdout().fileno())
    os.close(nowhere)


output = _Output()

console = Console(file=output, highlight=False, soft_wrap=True)


@contextmanager
def ending(interrupted: str) -> Iterator[None]:
    """How a command ends that is refused, interrupted, or whose output nobody reads any more.

    Args:
        interrupted: what is said after Ctrl-C
    """
    try:
        yield
        sys.stdout.flush()
    except Refused as refused:
        print(refused, file=sys.stderr)
        raise SystemExit(REFUSED) from None
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        drop_output()
    except (MemoryError, ImportError, OSError) as error:
        if not (memory.limited() and memory.ran_out(error)):
            raise
        print(memory.limited(), file=sys.stderr)
        raise SystemExit(FAILED) from None


class ConsoleHandler(logging.Handler):
    """Prints a record's message; a traceback is left to run.log.

    In a worker process, which shares the terminal with others, the launcher is told instead.

    Args:
        level: of the lines that are printed
        run: of which of the runs that are trained together
    """

    def __init__(self, level: int = logging.NOTSET, run: int = 0):
        super().__init__(level)
        self.run = run

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(events.listener, events.Nobody):
            say(record.getMessage(), record.levelno)
        else:
            heard = {"line": record.getMessage(), "level": record.levelno}
            events.listener.hear({"run": self.run, **heard})


@contextmanager
def logged_to(path: Path, run: int = 0) -> Iterator[None]:
    """While it lasts, log lines go to the console, and to a file with times and tracebacks.

    Args:
        path: of the file
        run: of which of the runs that are trained together. A line that says of itself that it is
            another's (`extra={"run": 1}`) is left out
    """
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    shown = ConsoleHandler(logging.INFO, run)
    root, ours = logging.getLogger(), logging.getLogger("cnnlab")
    if not _levels:
        _levels.append((root.level, ours.level))
        root.setLevel(min(root.level, logging.INFO))
        ours.setLevel(logging.DEBUG)
    _open.append(file)
    for handler in (file, shown):
        handler.addFilter(lambda line: getattr(line, "run", run) == run)
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in (file, shown):
            root.removeHandler(handler)
        file.close()
        _open.remove(file)
        if not _open:
            before = _levels.pop()
            root.setLevel(before[0])
            ours.setLevel(before[1])


_open: list[logging.Handler] = []
"""The files that are logged to; runs that are trained together end in any order."""

_levels: list[tuple[int, int]] = []
"""What the loggers' levels were before the first of them."""


def say(line: str, level: int = logging.INFO) -> None:
    """Prints one line; warnings are yellow, errors red."""
    style = "bold red" if level >= logging.ERROR else None
    style = "yellow" if level == logging.WARNING else style
    console.print(line, markup=False, style=style)


def meanwhile(line: str) -> None:
    """Says on a terminal what goes on, where that takes seconds; a file is not told."""
    if console.is_terminal:
        console.print(line, markup=False, style="dim")


def labelled(label: str, text: str) -> list[str]:
    """A label and a text beside it, in lines of 79 characters at most."""
    indent = " " * len(label)
    return textwrap.wrap(
        text, 79, initial_indent=label, subsequent_indent=indent, break_on_hyphens=False
    )


def duration(seconds: float) -> str:
    """`3 s`, `2 min 5 s`, `1 h 20 min`, `3 d 4 h`."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    rest = round(seconds)
    for index, (name, size) in enumerate(units):
        if rest >= size or size == 1:
            text = f"{rest // size} {name}"
            if index + 1 < len(units) and rest % size >= units[index + 1][1]:
                text += f" {rest % size // units[index + 1][1]} {units[index + 1][0]}"
            return text
    raise AssertionError
