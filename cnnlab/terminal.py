"""The one console that everything is printed on, so that lines and progress bars do not collide."""

import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from cnnlab import channel

console = Console(highlight=False, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Prints a record's message; a traceback is left to run.log.

    In a worker process, which shares the terminal with others, the launcher is told instead.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(channel.listener, channel.Nobody):
            say(record.getMessage(), record.levelno)
        else:
            channel.listener.hear({"line": record.getMessage(), "level": record.levelno})


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """While it lasts, log lines go to the console, and to a file with times and tracebacks."""
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    shown = ConsoleHandler(logging.INFO)
    root, ours = logging.getLogger(), logging.getLogger("cnnlab")
    levels = root.level, ours.level
    root.setLevel(min(root.level, logging.INFO))
    ours.setLevel(logging.DEBUG)
    for handler in (file, shown):
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in (file, shown):
            root.removeHandler(handler)
        file.close()
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


def say(line: str, level: int = logging.INFO) -> None:
    """Prints one line; warnings are yellow, errors red."""
    style = "bold red" if level >= logging.ERROR else None
    style = "yellow" if level == logging.WARNING else style
    console.print(line, markup=False, style=style)


def labelled(label: str, text: str) -> list[str]:
    """A label and a text beside it, in lines of 79 characters at most."""
    indent = " " * len(label)
    return textwrap.wrap(
        text, 79, initial_indent=label, subsequent_indent=indent, break_on_hyphens=False
    )
