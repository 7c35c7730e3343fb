"""What a report leaves in a sweep's folder `report`, and the list of sweeps above them all."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cnnlab import __version__
from cnnlab.config.schema import key_text
from cnnlab.core.files import leftovers, write_file, write_json
from cnnlab.records.history import MADE, showing
from cnnlab.records.reading.sweeps import Sweep
from cnnlab.records.schema import Damaged
from cnnlab.report.export import csv, latex, markdown
from cnnlab.report.settings import Settings, baseline
from cnnlab.statistics.analysis import Analysis, analyse

PACKAGE = Path(__file__).parents[1]


def analysed(sweep: Sweep, asked: Settings) -> Analysis:
    """What there is to say of a sweep.

    Raises:
        Damaged: if there is nothing
        Refused: if the baseline is not in it
    """
    if sweep.runs.empty:
        reasons = "; ".join(f"{each.path}: {each.what}" for each in sweep.problems)
        raise Damaged(reasons or "it has no plan.json that can be read, and no results.")
    smallest = asked.smallest_effect / 100
    return analyse(
        sweep, asked.metric, baseline=baseline(asked.baseline), smallest=smallest,
        one_family=asked.family == "report",
    )  # fmt: skip


def write(analysis: Analysis, asked: Settings, out: Path) -> None:
    """Writes all files of a report, unless they are there and nothing has changed.

    Args:
        analysis: of the sweep
        asked: of the report
        out: its folder
    """
    made = _made_of(analysis.sweep, asked)
    before = _read(out)
    if before.get("made_of") == made and all((out / name).is_file() for name in before["files"]):
        return
    from cnnlab.report.page import page  # drawing needs matplotlib: a second to import
    from cnnlab.report.plots import pictures

    if out.is_dir():
        for left in leftovers(out):  # of a process that was killed while it wrote here
            left.unlink(missing_ok=True)
    drawn = pictures(analysis)
    files: dict[str, str | bytes] = {
        **_tables(analysis),
        **drawn,
        "index.html": page(analysis, _smaller(drawn), asked=asked),
    }
    for name, content in files.items():
        write_file(out / name, content)
    for name in before.get("files", []):  # of an earlier report that had more
        if name not in files and Path(name).name == name:
            (out / name).unlink(missing_ok=True)
    runs = analysis.sweep.runs
    shown = showing(out, runs["run_id"][runs["status"] == "done"])
    content = {"made_of": made, "shown": shown, "files": list(files), "listed": _listed(analysis)}
    write_json(out / MADE, content)


def _smaller(drawn: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of each picture the smaller file: SVG, unless it has very many marks."""
    found: dict[str, bytes] = {}
    for name, content in sorted(drawn.items(), key=lambda each: len(each[1]), reverse=True):
        found = {kept: each for kept, each in found.items() if Path(kept).stem != Path(name).stem}
        found[name] = content
    return {name: found[name] for name in drawn if name in found}


def _tables(analysis: Analysis) -> dict[str, str]:
    problems = [f"{each.path}: {each.what}. {each.remedy}" for each in analysis.sweep.problems]
    counts = ", ".join(f"{n:,} {state}" for state, n in analysis.sweep.counts.items() if n)
    found = {
        "runs.csv": csv(analysis.sweep.runs.drop(columns="variant")),
        "summary.csv": csv(analysis.summary),
        "effects.csv": csv(analysis.effects),
        "against.csv": csv(analysis.against.drop(columns="variant")),
        "interactions.csv": csv(analysis.interactions),
        "report.md": markdown(analysis, [f"Runs: {counts}.", *problems]),
        "table.tex": latex(analysis),
    }
    if len(analysis.components):
        found["components.csv"] = csv(analysis.components)
    if len(analysis.published):
        found["published.csv"] = csv(analysis.published.drop(columns="variant"))
    return found


def _made_of(sweep: Sweep, asked: Settings) -> str:
    parts = [__version__, _code(), sweep.signature, {**asdict(asked), "watch": None}]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _code() -> str:
    """A hash of the files of all rooms that make a report; 5 ms."""
    content = hashlib.sha256()
    for room in ("core", "records", "statistics", "report"):
        for path in sorted((PACKAGE / room).rglob("*.*")):
            if path.is_file() and path.suffix != ".pyc":
                content.update(path.read_bytes())
    return content.hexdigest()


def _read(out: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((out / MADE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _listed(analysis: Analysis) -> dict[str, Any]:
    """A sweep's line in the list of sweeps."""
    sweep = analysis.sweep
    return {
        "name": sweep.name,
        "question": sweep.question,
        "headline": analysis.sentences[0],
        "counts": dict(sweep.counts),
        "date": _newest(sweep).isoformat(timespec="minutes"),
        "factors": [key_text(name) for name in sweep.factors],
    }


def _newest(sweep: Sweep) -> datetime:
    """When its last run ended; now, where none has."""
    times = []
    for directory in sweep.runs["directory"]:
        with suppress(OSError):
            times.append((sweep.folder / directory / "result.json").stat().st_mtime)
    return datetime.fromtimestamp(max(times)) if times else datetime.now()


def write_list(outputs: Path) -> Path:
    """Writes outputs/index.html: the sweeps that have a report."""
    from cnnlab.report.page import Row, listing

    rows = []
    for path in sorted(outputs.glob(f"*/report/{MADE}")):
        place = path.parent.relative_to(outputs)
        with suppress(KeyError, TypeError, ValueError):  # a damaged one: the next report mends it
            found = _read(path.parent)["listed"]
            found["date"] = datetime.fromisoformat(found["date"])
            rows.append(Row(**found, link=f"{place.as_posix()}/index.html"))
    write_file(outputs / "index.html", listing(rows))
    return outputs / "index.html"
