"""Every run of a sweep, small: what runs share is told once, and what differs is coded."""

from typing import Any

import pandas as pd

from cnnlab.core.formats import count
from cnnlab.records.reading.sweeps import STATES
from cnnlab.report.captions import chosen
from cnnlab.report.columns import finite
from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import level_text

MOST = 20_000
"""Runs in the page; runs.csv beside it has all."""


def runs(analysis: Analysis) -> dict[str, Any]:
    """The runs as columns.

    Returns:
        caption, metric (in words), total, and for the browser `data`: factors; variants (the texts
        of the levels, V x factors); states, errors, devices (texts that the columns point into,
        -1: none); keys (name, texts and, for each run, a place in the texts: what differs between
        runs); common ([key, text] that all share); and a column for each of id, directory, variant,
        seed, status, value, best_epoch, epoch, seconds, error, device
    """
    sweep = analysis.sweep
    table = sweep.runs.head(MOST)
    common, keys = _settings(analysis, table)
    devices, device = _coded(table["device"])
    errors, error = _coded(table["error"])
    first = sweep.runs.drop_duplicates("variant").sort_values("variant")
    data = {
        "factors": list(sweep.factors),
        "variants": [
            [level_text(value) for value in row]
            for row in first[list(sweep.factors)].itertuples(index=False, name=None)
        ],
        "states": list(STATES),
        "errors": errors,
        "devices": devices,
        "common": common,
        "keys": keys,
        "id": [str(each)[:8] for each in table["run_id"]],
        "directory": [str(each) for each in table["directory"]],
        "variant": [int(each) for each in table["variant"]],
        "status": [STATES.index(each) for each in table["status"]],
        "error": error,
        "device": device,
        "value": _numbers(table[analysis.metric.name]),
        "seconds": _numbers(table["own_seconds"]),
        **{name: _numbers(table[name]) for name in ("seed", "best_epoch", "epoch")},
    }
    return {
        "caption": f"{chosen(analysis.metric)}. {count(len(sweep.runs), 'run')}.",
        "total": len(sweep.runs),
        "shown": len(table),
        "data": data,
    }


def _settings(analysis: Analysis, table: pd.DataFrame) -> tuple[list[list[str]], list[list[Any]]]:
    """What all runs share, and what differs between them."""
    of = [analysis.sweep.settings.get(run_id, {}) for run_id in table["run_id"]]
    common, keys = [], []
    for key in sorted({key for each in of for key in each}):
        column = pd.Series(
            [level_text(each[key]) if key in each else None for each in of], dtype=object
        )
        texts, codes = _coded(column)
        if len(texts) == 1 and min(codes) == 0:
            common.append([key, texts[0]])
        else:
            keys.append([key, texts, codes])
    return common, keys


def _coded(column: pd.Series) -> tuple[list[str], list[int]]:
    """The texts of a column, each once, and for each row a place in them; -1: none."""
    codes, texts = pd.factorize(column.map(str, na_action="ignore"))
    return [str(each) for each in texts], codes.tolist()


def _numbers(column: pd.Series) -> list[float | int | None]:
    values = pd.to_numeric(column, errors="coerce").astype(float).tolist()
    return [finite(value) for value in values]
