"""What every benchmark prints and keeps: a table, and a CSV that says where and when."""

import csv
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from cnnlab.provenance import versions

RESULTS = Path(__file__).resolve().parent / "results"


def keep(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows as a table, and writes them to benchmarks/results/<name>.csv.

    Args:
        name: of the benchmark
        rows: alike in their keys
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key in rows[0]:
        table.add_column(key, justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)
    known = versions()
    where = {
        "device": f"{os.cpu_count()} cores {platform.machine()}",
        "date": date.today().isoformat(),
        "versions": " ".join(f"{key} {known[key]}" for key in ("python", "hydra-core", "torch")),
    }
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *where], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **where} for row in rows)
