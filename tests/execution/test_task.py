"""A run from its lock to its record, in this process: what a fault on the disk costs."""

import pytest
from conftest import SMALL
from test_lookup import finish

from cnnlab.execution import task
from cnnlab.execution.launching import _Runs
from cnnlab.planning import plan
from cnnlab.records.schema import read_result
from cnnlab.records.writer import Record


@pytest.fixture
def planned():
    """Two runs of one structure."""
    plan.forget()
    return plan.make((), ("name=mine", *SMALL, "epochs=1", "lr.base=0.01,0.02"))


def test_a_record_that_cannot_be_finished_costs_only_its_own_run(planned, monkeypatch):
    begun = {
        k: task.begin(run, planned.command, task.locked(run), k)
        for k, run in enumerate(planned.runs)
    }
    finish, answers = Record.finish, {}

    def broken(self, *given, **more):
        if self.place == 0:
            raise OSError("the cable is out")
        finish(self, *given, **more)

    monkeypatch.setattr(Record, "finish", broken)
    task.go_on(begun, answers.__setitem__)
    assert [answers[k]["status"] for k in (0, 1)] == ["failed", "done"]
    assert answers[0]["error"] == "OSError: the cable is out"
    first, second = (run.directory for run in planned.runs)
    assert (read_result(first), read_result(second)["status"]) == (None, "done")
    for folder, told in ((first, 1), (second, 0)):
        assert (folder / "run.log").read_text().count("could not be recorded") == told


def test_a_lost_run_whose_record_cannot_be_written_does_not_end_the_sweep(planned):
    """What lies in its directory is no record of this version, and is not replaced."""
    run = planned.runs[0]
    run.directory.mkdir(parents=True)
    (run.directory / "result.json").write_text("{")
    outcomes = {}
    watcher = _Runs(planned, outcomes)
    watcher.started([0])
    assert watcher.lost(0, "its process was killed by SIGKILL")
    assert outcomes[run.run_id]["status"] == "failed"
    assert "SIGKILL" in outcomes[run.run_id]["error"]
    assert (run.directory / "result.json").read_text() == "{"


@pytest.mark.parametrize("ours", [True, False])
def test_an_outdated_record_keeps_its_hydra_files_unless_hydra_wrote_them_anew(ours, planned):
    run = planned.runs[0]
    written = finish(run, sources={"cnnlab/x.py": "old"}) / ".hydra"
    written.mkdir()
    (written / "config.yaml").write_text("there before")
    write = (lambda run: None) if ours else None
    begun = task.begin(run, planned.command, task.locked(run), write_hydra=write)
    begun.held.close()
    aside = run.directory.parent / "aside" / f"{run.directory.name}-1"
    assert read_result(aside)["sources"] == {"cnnlab/x.py": "old"}
    assert (aside / ".hydra/config.yaml").exists() == ours
    assert (written / "config.yaml").exists() != ours
