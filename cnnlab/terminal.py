"""The one console that everything is printed on, so that lines and progress bars do not collide."""

import logging
import textwrap

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Prints a record's message; a traceback is left to run.log."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "bold red" if record.levelno >= logging.ERROR else None
        style = "yellow" if record.levelno == logging.WARNING else style
        console.print(record.getMessage(), markup=False, style=style)


def labelled(label: str, text: str) -> list[str]:
    """A label and a text beside it, in lines of 79 characters at most."""
    indent = " " * len(label)
    return textwrap.wrap(
        text, 79, initial_indent=label, subsequent_indent=indent, break_on_hyphens=False
    )
