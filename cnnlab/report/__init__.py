"""`python -m cnnlab.report`: a page, tables and pictures of every sweep below outputs/."""

from cnnlab.report.command import main

__all__ = ["main"]
