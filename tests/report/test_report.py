"""The report: its files, its words, its command."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import command, python_path
from test_sweeps import sweep_on_disk

from cnnlab.records.reading import sweeps
from cnnlab.report.settings import Settings
from cnnlab.report.terminal import show
from cnnlab.report.write import PACKAGE, _code, analysed, write, write_list

PICTURES = ("cost", "curves", "effects", "grid", "interactions", "overfitting")


def accuracy(run) -> float:
    """By hand: batch norm 0.9 and 0.8, none 0.7 and 0.6; seed 1 is 0.01 better, and batch norm
    0.002 more so."""
    config = run.job.config
    norm = run.job.choices["norm"] == "bn"
    base = 0.9 if norm else 0.7
    return base - (0.1 if config.lr["base"] == 0.2 else 0) + (0.01 + 0.002 * norm) * config.seed


@pytest.fixture
def drawn(monkeypatch):
    """One picture in the place of all: drawing them takes seconds."""
    monkeypatch.setattr("cnnlab.report.plots.pictures", lambda analysis: {"grid.svg": b"<svg/>"})


@pytest.fixture
def grid():
    return sweep_on_disk("norm=bn,none", "lr=0.1,0.2", "seed=0,1", accuracy=accuracy)


def reported(planned, **asked):
    """The analysis of a sweep, all its files written."""
    analysis = analysed(sweeps.read(planned.folder), Settings(**asked))
    write(analysis, Settings(**asked), planned.folder / "report")
    return analysis


def test_the_files_and_what_they_say(grid):
    reported(grid)
    out = grid.folder / "report"
    pictures = [f"{name}.{kind}" for name in PICTURES for kind in ("png", "svg")]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["against.csv", "cache.npz", "components.csv", "effects.csv", "index.html",
         "interactions.csv", "made.json", "report.md", "runs.csv", "summary.csv", "table.tex",
         *pictures]
    )  # fmt: skip
    summary = pd.read_csv(out / "summary.csv")
    assert summary.columns.tolist()[:3] == ["norm", "lr", "n"]
    told = summary[["norm", "lr", "n", "mean"]].values.tolist()
    assert told == [
        ["bn", 0.1, 2, 0.906], ["bn", 0.2, 2, 0.806],
        ["none", 0.1, 2, 0.705], ["none", 0.2, 2, 0.605],
    ]  # fmt: skip
    assert len(pd.read_csv(out / "runs.csv")) == 8


def test_effects_are_against_none_and_the_first_rate_unless_a_baseline_is_given(grid, drawn):
    reported(grid)
    effects = pd.read_csv(grid.folder / "report" / "effects.csv", keep_default_na=False)
    averages = effects[effects["kind"] == "average"]
    assert averages[["factor", "level", "baseline"]].values.tolist() == [
        ["norm", "bn", "none"], ["lr", "0.2", "0.1"],
    ]  # fmt: skip
    assert averages["difference"].astype(float).tolist() == pytest.approx([0.201, -0.1])
    reported(grid, baseline="norm=bn lr=0.2")
    effects = pd.read_csv(grid.folder / "report" / "effects.csv", keep_default_na=False)
    assert effects["difference"].astype(float).head(2).tolist() == pytest.approx([-0.201, 0.1])


def test_the_plans_baseline_is_the_reports_unless_another_is_given(drawn):
    planned = sweep_on_disk(
        "norm=bn,none", "lr=0.1,0.2", "seed=0,1", 'sweep.baseline="norm=bn lr=0.2"',
        accuracy=accuracy,
    )  # fmt: skip
    found = reported(planned).effects
    assert found[found["kind"] == "average"][["level", "baseline"]].values.tolist() == [
        ["none", "bn"], [0.1, 0.2],
    ]  # fmt: skip
    found = reported(planned, baseline="norm=none").effects
    assert found[found["kind"] == "average"]["baseline"].tolist() == ["none", 0.1]


def test_a_file_that_was_taken_away_is_made_again(grid, drawn):
    reported(grid)
    (grid.folder / "report" / "summary.csv").unlink()
    reported(grid)
    assert (grid.folder / "report" / "summary.csv").exists()


def test_nothing_is_drawn_again_unless_a_record_or_the_question_changed(grid, drawn):
    def stamp():
        return (grid.folder / "report" / "index.html").stat().st_mtime_ns

    reported(grid)
    first = stamp()
    reported(grid)
    assert stamp() == first
    reported(grid, metric="final_val_accuracy")
    second = stamp()
    assert second != first
    result = next(grid.folder.glob("*/result.json"))
    result.write_text(result.read_text().replace('"done"', '"failed"'))
    reported(grid, metric="final_val_accuracy")
    assert stamp() != second


@pytest.mark.parametrize("file", ["report/plots/heat.py", "statistics/summary.py",
                                  "report/page/static/page.css", "core/formats.py"])  # fmt: skip
def test_a_report_is_made_again_where_its_code_has_changed(
    file, grid, drawn, tmp_path, monkeypatch
):
    package = tmp_path / "cnnlab"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("vendor", "__pycache__"))
    monkeypatch.setattr("cnnlab.report.write.PACKAGE", package)
    times = []
    for change in (lambda: None, (package / "report/__pycache__/x.pyc").touch,
                   lambda: (package / file).write_text("other")):  # fmt: skip
        (package / "report/__pycache__").mkdir(exist_ok=True)
        change()
        _code.cache_clear()
        reported(grid)
        times.append((grid.folder / "report" / "index.html").stat().st_mtime_ns)
    _code.cache_clear()
    assert times[0] == times[1] < times[2]


def test_a_file_that_is_no_longer_made_is_taken_away(drawn):
    planned = sweep_on_disk("sweeps=homework", accuracy=lambda run: 0.7)
    reported(planned)
    assert (planned.folder / "report" / "published.csv").exists()
    plan = planned.folder / "plan.json"
    plan.write_text(plan.read_text().replace('"published": {', '"published": {}, "unused": {'))
    reported(planned)
    assert not (planned.folder / "report" / "published.csv").exists()


def test_a_sweep_in_which_nothing_is_done_is_reported_too(drawn):
    planned = sweep_on_disk("norm=bn,none", status=lambda run: "pending")
    assert reported(planned).sentences == ["No run has a result yet: 2 pending."]


def test_small_numbers_stay_apart_in_the_csv(drawn):
    planned = sweep_on_disk("lr=1e-7,2e-7,1e-3")
    reported(planned)
    summary = pd.read_csv(planned.folder / "report" / "summary.csv")
    assert summary["lr"].tolist() == [1e-7, 2e-7, 1e-3]


def test_values_with_commas_and_quotes_survive_the_csv(drawn):
    planned = sweep_on_disk("norm=bn,none")
    path = planned.folder / "plan.json"
    path.write_text(path.read_text().replace('"norm": "bn"', '"norm": "b,\\"n\\nü"'))
    reported(planned)
    summary = pd.read_csv(planned.folder / "report" / "summary.csv")
    assert summary["norm"].tolist() == ['b,"n\nü', "none"]


def test_seconds_are_a_runs_own_and_of_an_earlier_record_its_share_of_the_stacks(grid):
    for path in grid.folder.glob("*/result.json"):
        result = json.loads(path.read_text()) | {"seconds": 8.0, "stack_size": 4}
        if "norm-bn" in path.parent.name:
            result["own_seconds"] = 3.5
        else:
            del result["own_seconds"]
        path.write_text(json.dumps(result))
    summary = analysed(sweeps.read(grid.folder), Settings()).summary
    assert summary["seconds"].tolist() == [3.5 if norm == "bn" else 2.0 for norm in summary["norm"]]


def test_the_page_says_how_to_make_it_again(grid):
    reported(grid, baseline="norm=none lr=0.2", smallest_effect=1.5)
    again = (
        "name=mine metric=best_val_accuracy &#39;baseline=norm=none lr=0.2&#39; smallest_effect=1.5"
    )
    assert again in (grid.folder / "report/index.html").read_text()


# --- the command


def test_the_command_prints_the_answer_the_table_and_where_the_page_is(grid, tmp_path):
    done = command("report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine: best validation accuracy" in done.stdout
    assert "With norm=bn, best validation accuracy is 20.1 points higher" in done.stdout
    assert "0.9060" in done.stdout
    assert "outputs/mine/report/index.html" in done.stdout
    assert "no verdict" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "mine" in (tmp_path / "outputs" / "index.html").read_text()


def test_the_help_names_every_key_and_metric_and_fits_a_terminal(tmp_path):
    done = command("report", "--help", cwd=tmp_path)
    for word in ("name", "baseline", "smallest_effect", "watch", "test_accuracy"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 79


def test_one_seed_is_no_verdict(tmp_path):
    sweep_on_disk("norm=bn,none")
    assert "One seed: no verdict; add `seeds=5`." in command("report", cwd=tmp_path).stdout


def test_what_is_missing_comes_first(capsys):
    planned = sweep_on_disk(
        "norm=bn,none,gn", "seed=0,1",
        status=lambda run: "diverged" if run.job.choices["norm"] == "gn" else "done",
    )  # fmt: skip
    (planned.folder / "stray").mkdir()
    (planned.folder / "stray" / "result.json").write_text('{"run')
    show(analysed(sweeps.read(planned.folder), Settings()))
    told = capsys.readouterr().out
    assert "Of 6 runs, 2 diverged." in told
    assert told.index("2 diverged") < told.index("norm=bn")
    assert "Damaged: mine/stray/result.json" in told


def test_published_numbers_are_shown_beside_ours(tmp_path):
    sweep_on_disk("sweeps=homework", accuracy=lambda run: 0.7)
    done = command("report", "name=mine", cwd=tmp_path)
    assert "Published numbers beside ours" in done.stdout
    assert "0.6614" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    beside = pd.read_csv(tmp_path / "outputs/mine/report/published.csv")
    first = beside[beside["metric"] == "best_val_accuracy"].iloc[0]
    assert first["published"] == 0.6614
    assert first["difference"] == pytest.approx(0.0386)


def test_one_bad_sweep_does_not_keep_the_others_from_their_report(grid, tmp_path):
    bad = tmp_path / "outputs" / "bad"
    bad.mkdir()
    (bad / "plan.json").write_text("{")
    done = command("report", cwd=tmp_path)
    assert done.returncode == 1
    assert "bad: cannot be reported" in done.stdout
    assert "mine: best validation accuracy" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_damaged_record_is_exit_code_1_and_the_rest_is_reported(grid, tmp_path):
    next(grid.folder.glob("*/result.json")).write_text("{")
    done = command("report", cwd=tmp_path)
    assert done.returncode == 1
    assert "Damaged: " in done.stdout
    assert (grid.folder / "report" / "index.html").is_file()


def test_the_question_stands_first(tmp_path):
    sweep_on_disk("norm=bn,none", "question='Does it help?'", accuracy=accuracy)
    done = command("report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "Does it help?"
    lines = (tmp_path / "outputs/mine/report/report.md").read_text().splitlines()
    assert lines[:3] == ["# mine", "", "*Does it help?*"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["name=other"], "There are: mine"), (["outputs=nowhere"], "No sweep below nowhere"),
        (["name=mien"], "Nearest: mine"), (["name=mine,yours"], "name=yours: no such sweep"),
    ],
)  # fmt: skip
def test_a_sweep_that_is_not_there_is_refused_with_exit_code_2(arguments, told, grid, tmp_path):
    done = command("report", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_baseline_that_the_sweep_lacks_is_told_with_what_there_is(grid, tmp_path):
    done = command("report", "baseline=norm=gn", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Refused: mine: baseline: norm=gn: no such option.")
    assert "bn, none" in done.stderr


def test_several_sweeps_are_compared_as_one_unless_they_have_other_images(tmp_path):
    sweep_on_disk("norm=bn,none", "name=a", "seed=0,1", accuracy=accuracy)
    sweep_on_disk("norm=none,gn", "name=b", "seed=0,1", accuracy=accuracy)
    done = command("report", "name=a,b", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "outputs" / "a+b" / "report" / "summary.csv")
    assert summary["norm"].tolist() == ["bn", "none", "gn"]
    assert "a+b/report/index.html" in (tmp_path / "outputs" / "index.html").read_text()
    sweep_on_disk("norm=gn,ln", "name=c", "data.seed=1")
    done = command("report", "name=a,c", cwd=tmp_path)
    assert done.returncode == 2
    assert "different data" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_list_of_sweeps_has_each_report_once(grid, tmp_path, drawn):
    reported(grid)
    reported(grid)
    page = write_list(tmp_path / "outputs").read_text()
    assert page.count('href="mine/report/index.html"') == 1


def test_a_watched_report_follows_the_records(grid, tmp_path):
    environment = {**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnlab.report", "--watch"], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    summary = grid.folder / "report" / "summary.csv"

    def until(condition):
        for _ in range(1200):
            if condition():
                return
            assert process.poll() is None
            time.sleep(0.05)
        raise AssertionError("that never came")

    until(lambda: (grid.folder / "report" / "made.json").exists())
    result = next(grid.folder.glob("*/result.json"))
    result.write_text(result.read_text().replace('"status": "done"', '"status": "failed"'))
    until(lambda: pd.read_csv(summary)["failed"].sum() == 1)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in told
