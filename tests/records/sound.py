"""A small sweep in which nothing is wrong, for tests that damage it; and what they look at."""

import json
import os
from pathlib import Path

import pytest
from test_sweeps import sweep_on_disk

from cnnlab.records.reading import sweeps


def make(place: Path) -> Path:
    """The folder of a sweep of three runs that are done, of two epochs each: bn, none, gn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return sweep_on_disk("norm=bn,none,gn").folder.resolve()


def directory(folder: Path, norm: str = "bn") -> Path:
    """Of one of its runs; bn is the first."""
    return next(folder.glob(f"*norm-{norm}*"))


def changed(path: Path, **values) -> None:
    """Replaces values of a JSON object in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def the_problem(sweep: sweeps.Sweep) -> tuple[str, str]:
    """The only one: where, and what."""
    (problem,) = sweep.problems
    return problem.path, problem.what


def states(sweep: sweeps.Sweep) -> list[str]:
    return sweep.runs["status"].tolist()


def assert_first_is_lost(folder: Path, file: str, told: str) -> None:
    """A report says what is wrong with the first run, and counts only the others."""
    sweep = sweeps.read(folder)
    path, what = the_problem(sweep)
    assert path == os.path.normpath(f"mine/{directory(folder).name}/{file}")
    assert told in what
    assert states(sweep) == ["unreadable", "done", "done"]
    assert sweep.counts["unreadable"] == 1
    assert sweep.runs["best_val_accuracy"].isna().tolist() == [True, False, False]
    assert sweep.epochs["norm"].unique().tolist() == ["none", "gn"]
