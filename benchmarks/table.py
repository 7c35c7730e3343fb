"""What every benchmark prints and keeps: a table, and a CSV that says where and when."""

import csv
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from cnnlab.core.provenance import versions

RESULTS = Path(__file__).resolve().parent / "results"

WIDTH = 200
"""Characters that a table may take."""


def keep(name: str, rows: Sequence[Mapping[str, Any]], results: Path = RESULTS) -> None:
    """Prints rows as a table, and writes them to <results>/<name>.csv.

    Args:
        name: of the benchmark
        rows: alike in their keys
        results: a folder
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    keys = [key for key in rows[0] if not key.endswith((", min", ", max"))]
    for key in keys:
        texts = all(isinstance(row[key], str) for row in rows)
        table.add_column(key, justify="left" if texts else "right")
    for row in rows:
        table.add_row(*(_shown(row, key) for key in keys))
    Console(width=WIDTH).print(table)
    known = versions()
    where = {
        "device": device(),
        "date": date.today().isoformat(),
        "versions": " ".join(f"{key} {known[key]}" for key in ("python", "hydra-core", "torch")),
    }
    results.mkdir(parents=True, exist_ok=True)
    with open(results / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *where], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **where} for row in rows)


def _shown(row: Mapping[str, Any], key: str) -> str:
    """With its spread, where it has one."""
    value = row[key]
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    if f"{key}, min" not in row:
        return text
    return f"{text} ({row[f'{key}, min']:.4g} to {row[f'{key}, max']:.4g})"


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Three columns: the median under its name, the least and the largest value beside it."""
    return {
        name: statistics.median(values),
        f"{name}, min": min(values),
        f"{name}, max": max(values),
    }


def device() -> str:
    """The GPU's name, or the CPU's, and the number of cores."""
    import torch

    cores = f"{os.cpu_count()} cores"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, {cores}"
    return f"{_cpu()}, {cores}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
