"""Code that changed after a run was trained: its old number is never printed as the new code's."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, SMALL, command
from kill import Sweep
from test_lookup import begin, finish, one, planned

from cnnlab.core.errors import Refused
from cnnlab.planning import plan, runs
from cnnlab.records import checkpoint
from cnnlab.records.schema import METRICS, TIMING, read_result
from cnnlab.records.writer import open_record

RUN = (*SMALL, "epochs=1", "compile=false", "name=s")
MODEL = "cnnlab/parts/model/simplenn.py"


@pytest.fixture
def project(tmp_path):
    """A copy of the project that can be edited."""
    for name in ("cnnlab", "conf", "hydra_plugins", "sweeps"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(project, path, old, new):
    text = (project / path).read_text()
    assert old in text
    (project / path).write_text(text.replace(old, new))


def without_bias(project):
    edit(project, MODEL, "channels, 8, 5)", "channels, 8, 5, bias=False)")


def typed(project, *arguments):
    done = command(
        "run", *RUN, *arguments, cwd=project,
        environment={"PYTHONPATH": str(project), "COLUMNS": "300"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def results(folder):
    """Each record of a folder, by its directory's name."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/result.json")}


def only(folder):
    (result,) = results(folder).values()
    return result


@pytest.mark.parametrize(
    "launcher",
    ["hydra.launcher.workers=1", pytest.param("hydra/launcher=basic", marks=pytest.mark.slow)],
)
def test_a_run_whose_models_file_was_edited_is_trained_anew(project, launcher):
    typed(project, launcher)
    old = only(project / "outputs/s")
    without_bias(project)
    planned = typed(project, launcher, "plan=true")
    assert "1 outdated; 1 will train." in planned
    assert only(project / "outputs/s") == old
    printed = typed(project, launcher)
    assert f"{MODEL}: 1 run" in printed
    new = only(project / "outputs/s")
    assert new["run_id"] == old["run_id"]
    assert new["parameters"] == old["parameters"] - 8
    assert only(project / "outputs/s/aside") == old
    edit(
        project,
        MODEL,
        "        self.conv1 =",
        '        """Why."""  # another layout\n\n        self.conv1 =',
    )
    printed = typed(project, launcher)
    assert "0 to train" in printed
    assert "Changed since" not in printed


@pytest.mark.slow
def test_an_outdated_record_whose_run_another_sweep_trained_anew_is_set_aside(project):
    typed(project)
    old = only(project / "outputs/s")
    without_bias(project)
    typed(project, "name=t")
    printed = typed(project)
    assert "0 to train" in printed
    assert "in sweep t" in printed
    assert results(project / "outputs/s") == {}
    assert only(project / "outputs/s/aside") == old
    done = command("report", "name=s", cwd=project, environment={"PYTHONPATH": str(project)})
    assert "Damaged" not in done.stdout
    assert f"{only(project / 'outputs/t')['best_val_accuracy']:.4f}" in done.stdout


@pytest.mark.slow
def test_kept_as_they_are_old_numbers_are_not_pooled_with_new_ones_without_a_word(project):
    typed(project, "norm=bn,none")
    without_bias(project)
    printed = typed(project, "norm=bn,none", "seeds=2", "outdated=keep")
    assert "Sweep s: 4 runs, 2 to train." in printed
    assert f"Changed since: {MODEL}: 2 runs." in printed
    assert "outdated=keep" in printed
    counts = [each["parameters"] for each in results(project / "outputs/s").values()]
    assert max(counts.count(each) for each in counts) == 1  # two norms, two models
    reported = command("report", cwd=project, environment={"PYTHONPATH": str(project)})
    told = "Different code (cnnlab/parts/model/simplenn.py) within one variant: norm=bn; norm=none."
    folder = project / "outputs/s/report"
    for text in (
        " ".join((reported.stdout + reported.stderr).split()),
        plain(folder / "report.md"),
    ):
        assert told in text
    assert told in (folder / "index.html").read_text()
    runs = pd.read_csv(folder / "runs.csv")
    assert (runs.groupby("norm")["code"].nunique() == 2).all()


def plain(path):
    return path.read_text().replace("\\", "")


@pytest.mark.slow
def test_code_that_changed_after_the_plan_is_seen_when_the_run_begins(project):
    """As where another process holds the run while the sweep sets old records aside."""
    typed(project)
    old = only(project / "outputs/s")
    edit(project, "cnnlab/execution/sweep.py", "        _make_room(planned)\n", "")
    without_bias(project)
    typed(project)
    ((name, new),) = results(project / "outputs/s").items()
    assert new["parameters"] < old["parameters"]
    assert only(project / "outputs/s/aside") == old
    record = project / "outputs/s" / name
    assert (record / ".hydra/config.yaml").exists()
    assert f"another code of {MODEL}" in (record / "run.log").read_text()


@pytest.mark.slow
def test_two_commands_at_once_set_an_old_record_aside_once(project):
    arguments = (*RUN[:-1], "norm=bn,none")
    told = {"environment": {"PYTHONPATH": str(project)}}
    first, second = (Sweep(project, arguments, "s", output=name, **told) for name in "ab")
    assert first.run() == 0, first.printed()
    without_bias(project)
    with first.started() as one, second.started() as other:
        codes = [process.wait(120) for process in (one, other)]
    assert codes == [0, 0], first.printed() + second.printed()
    for folder in (project / "outputs/s", project / "outputs/s/aside"):
        assert len(results(folder)) == len(list(folder.glob("norm-*"))) == 2


# --- what a plan finds

NOW = {"cnnlab/x.py": "new"}
BEFORE = {"cnnlab/x.py": "old"}


@pytest.fixture
def code(monkeypatch):
    """All runs have the code NOW."""
    for module in (plan, runs):
        monkeypatch.setattr(module, "sources_of", lambda config: NOW)


@pytest.mark.parametrize("status", ["done", "diverged", "failed"])
def test_a_record_of_other_code_is_outdated_whatever_came_of_it(status, code):
    place = finish(one(), status=status, sources=BEFORE)
    run = one()
    assert (run.state, run.outdated, run.directory) == ("outdated", ("cnnlab/x.py",), place)
    assert planned().pending == [run]
    assert planned().differing == {"cnnlab/x.py": 1}


@pytest.mark.parametrize("sources", [NOW, None])
def test_a_record_of_this_code_counts_and_so_does_one_of_which_that_is_not_known(sources, code):
    finish(one(), sources=sources)
    made = planned()
    assert (made.runs[0].state, made.pending, made.differing) == ("done", [], {})
    assert made.code_unknown == (sources is None)


def test_a_record_from_before_has_no_word_of_its_code(code):
    path = finish(one()) / "result.json"
    told = json.loads(path.read_text())
    del told["sources"]
    path.write_text(json.dumps(told))
    assert read_result(path.parent)["sources"] is None
    made = planned()
    assert (made.runs[0].state, made.code_unknown, made.notes) == ("done", 1, ())


def test_a_result_whose_sources_are_none_is_damaged(code):
    finish(one(), sources=["cnnlab/x.py"])
    assert planned().runs[0].state == "pending"
    assert len(planned().notes) == 1


def test_kept_as_it_is_an_outdated_record_is_what_it_was(code):
    finish(one(), sources=BEFORE)
    made = planned("outdated=keep")
    assert (made.runs[0].state, made.pending) == ("done", [])
    assert made.differing == {"cnnlab/x.py": 1}  # and is told of


def test_an_outdated_record_of_another_sweep_is_not_taken_and_stays(code):
    place = finish(one(), sources=BEFORE)
    (run,) = planned("name=other").runs
    assert (run.state, run.directory) == ("pending", Path("outputs/other") / place.name)
    assert planned("name=other", "outdated=keep").reused == {"mine": 1}
    assert place.exists()


def test_a_record_of_this_code_elsewhere_is_taken_before_an_outdated_one_here(code):
    run = one()
    finish(run, sources=BEFORE)
    place = finish(run, Path("outputs/other") / run.directory.name, sources=NOW)
    assert (one().state, one().directory) == ("done", place)


@pytest.mark.parametrize("keep", ["retrain", "keep"])
def test_a_checkpoint_of_other_code_is_no_beginning(keep, code):
    place = begin(one(), 1)
    state = checkpoint.read(place)
    assert one().epoch == 1  # whose code is not known
    state.made_with = {"sources": BEFORE}
    checkpoint.write(place, state)
    (run,) = planned(f"outdated={keep}").runs
    assert (run.state, run.epoch, run.directory) == ("pending", 0, place)


def test_a_record_goes_on_from_a_checkpoint_of_its_own_code_only(tmp_path):
    row = dict.fromkeys(METRICS, 1)
    for sources, epoch, changed in ((BEFORE, 0, ("cnnlab/x.py",)), (NOW, 1, ()), (None, 1, ())):
        place = tmp_path / str(sources)
        made_with = {"device": "cpu", **({"sources": sources} if sources else {})}
        open_record(place, "a" * 32, made_with).add(row, dict.fromkeys(TIMING, 1), {})
        again = open_record(place, "a" * 32, {"device": "cpu", "sources": NOW})
        assert (again.epoch, again.changed, again.discarded) == (epoch, changed, not epoch)
        assert again.sources == (sources if epoch else NOW)


def test_a_key_of_the_command_takes_two_words():
    with pytest.raises(Refused, match="outdated=no: must be retrain or keep"):
        planned("outdated=no")
