"""A sweep whose seeds were added after a report says so first, wherever it is read."""

import re

import pytest
from conftest import SMALL, command
from pages import Reader
from test_sweeps import sweep_on_disk

from cnnlab.execution.sweep import _announce
from cnnlab.planning import plan
from cnnlab.records.reading import sweeps
from cnnlab.report.export import latex, markdown
from cnnlab.report.page import page
from cnnlab.report.settings import Settings
from cnnlab.report.terminal import show
from cnnlab.report.write import analysed, write

STEPS = "Seeds were added after a report of such runs (3, then 5): p-values are too small."

TYPED = (*SMALL, "name=mine", "norm=bn,none")


def accuracy(run):
    seed = run.job.config.seed
    return 0.7 + 0.01 * seed + (run.job.choices["norm"] == "bn") * (0.02 + 0.003 * (seed % 3))


@pytest.fixture
def drawn(monkeypatch):
    """One picture in the place of all: drawing them takes seconds."""
    monkeypatch.setattr("cnnlab.report.plots.pictures", lambda analysis: {"grid.svg": b"<svg/>"})


def analysis_with(seeds, status=lambda run: "done"):
    planned = sweep_on_disk("norm=bn,none", f"seeds={seeds}", accuracy=accuracy, status=status)
    return analysed(sweeps.read(planned.folder), Settings())


def reported(seeds, **how):
    analysis = analysis_with(seeds, **how)
    write(analysis, Settings(), analysis.sweep.folder / "report")
    return analysis


def words(text):
    """On one line, and without the marks of Markdown and LaTeX."""
    return re.sub(r"\s+", " ", text.replace("\\", ""))


def test_all_forms_of_a_report_say_it_before_the_answer(drawn, capsys):
    reported(3)
    analysis = analysis_with(5)
    show(analysis)
    printed = capsys.readouterr().out
    forms = (printed, markdown(analysis, []), Reader(page(analysis, {})).words)
    answer = analysis.sentences[0][:40]
    for form in map(words, forms):
        assert form.rindex(STEPS) < form.rindex(answer)
    assert STEPS in words(latex(analysis))
    assert "seeds=[5,6,7,8,9]" in words(printed)
    assert "a false verdict comes in 9 of 100 sweeps" in words(printed)


def test_what_was_planned_at_once_is_not_told(drawn):
    analysis_with(3)
    assert "Seeds were added" not in " ".join(reported(5).notices)


def test_a_report_shows_what_is_done_and_nothing_else(drawn):
    reported(3, status=lambda run: ("diverged", "done", "pending")[run.job.config.seed])
    assert analysis_with(5).sweep.looks[-1] == [1]


def test_new_seeds_that_have_no_result_yet_change_nothing(drawn):
    reported(3)
    plan.forget()
    planned = plan.make((), (*TYPED, "seeds=5"))
    planned.write()
    analysis = analysed(sweeps.read(planned.folder), Settings())
    assert analysis.sweep.looks[-1] == [0, 1, 2]
    assert "Seeds were added" not in " ".join(analysis.notices)


def announced(capsys, *more):
    plan.forget()
    capsys.readouterr()
    _announce(plan.make((), (*TYPED, *more)))
    return words(capsys.readouterr().out)


def test_the_command_that_adds_seeds_says_so_before_it_trains(drawn, capsys):
    reported(3)
    warning = "A report has shown 3 of these 5 seeds: p-values will be too small."
    assert warning in announced(capsys, "seeds=5")
    for others in (["seeds=3"], ["seeds=2"], ["seeds=[7,8,9]", "name=fresh"]):
        assert "A report has shown" not in announced(capsys, *others)


def _run(seeds):
    images = "data.images=200"  # with 80, all accuracies are the same
    typed = (text for text in TYPED if not text.startswith("data.images"))
    return ("run", "-m", *typed, images, "lr=0.1", "epochs=1", f"seeds={seeds}")


def commands(place, *steps):
    """What the last one of some commands has printed."""
    for step in steps:
        made = command(*step, cwd=place)
        assert made.returncode == 0, made.stdout + made.stderr
    return words(made.stdout)


@pytest.mark.slow
def test_the_commands_themselves_after_a_report_of_three_seeds(drawn, tmp_path):
    reported(3)
    wider = ("run", "-m", *TYPED, "seeds=5")
    assert STEPS in commands(tmp_path, wider, ("report",))
    assert STEPS in words((tmp_path / "outputs/mine/report/report.md").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("between", [[("report",)], []])
def test_all_steps_by_commands(between, tmp_path):
    """With a report between the first seeds and the others, and without."""
    printed = commands(tmp_path, _run(3), *between, _run(5), ("report",))
    assert (STEPS in printed) == bool(between)
    assert "5 seeds, paired" in printed
