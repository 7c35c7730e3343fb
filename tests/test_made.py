"""The made-up records that reports are timed on."""

import pytest

from benchmarks.made import make
from cnnlab.records.reading import sweeps


def test_made_up_records_are_as_training_leaves_them(tmp_path):
    sweep = sweeps.read(make(tmp_path, 200, epochs=6).folder)
    assert sweep.problems == []
    assert sweep.factors == ["norm", "lr", "activation"]
    assert len(sweep.runs) == 200
    assert sweep.runs["variant"].nunique() == 20
    assert all(sweep.counts[state] for state in ("done", "diverged", "failed", "pending"))
    done = sweep.runs[sweep.runs["status"] == "done"]
    assert done["best_val_accuracy"].between(0.3, 0.8).all()
    assert (done["epoch"] == 6).all()


def test_more_runs_widen_the_sweep_and_leave_the_others_as_they_are(tmp_path):
    planned = make(tmp_path, 100, epochs=2)
    files = {path: path.stat().st_mtime_ns for path in planned.folder.glob("*/result.json")}
    make(tmp_path, 200, epochs=2)
    assert len(sweeps.read(planned.folder).runs) == 200
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_an_odd_number_of_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="multiple of 100"):
        make(tmp_path, 150)
