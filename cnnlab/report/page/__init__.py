"""A sweep's report as one HTML file that needs nothing else, and the list of all sweeps."""

from cnnlab.report.page.content import page
from cnnlab.report.page.index import Row, listing

__all__ = ["Row", "listing", "page"]
