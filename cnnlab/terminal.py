"""The one console that everything is printed on, so that lines and progress bars do not collide."""

import logging

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Prints a record's message; a traceback is left to run.log."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "bold red" if record.levelno >= logging.ERROR else None
        style = "yellow" if record.levelno == logging.WARNING else style
        console.print(record.getMessage(), markup=False, style=style)
