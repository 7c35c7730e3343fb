"""`python -m cnnlab.report`: a page, tables and pictures of every sweep below outputs/."""

from collections.abc import Sequence

from cnnlab.core import interrupt

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Reports the sweeps that are asked for; see `cnnlab.report.command.main`."""
    with interrupt.importing():
        from cnnlab.core.console import meanwhile

        meanwhile("Reading the records ...")
        from cnnlab.report import command
    command.main(arguments)
