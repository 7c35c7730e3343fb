"""What a report can be asked for."""

import shlex

import pytest

from cnnlab.core.errors import Refused
from cnnlab.report.settings import Settings, baseline, command, settings


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mertic=x"], "Nearest: metric"), (["metric=accuracy"], "Allowed: best_val_accuracy"),
        (["bn_lr"], "write key=value"), (["mertic=x", "metric=y", "z"], "3 faults"),
        (["smallest_effect=none"], "number above 0"), (["smallest_effect=-1"], "number above 0"),
        (["smallest_effect=nan"], "number above 0"), (["watch=yes"], "true or false"),
        (["name="], "has no value"), (["metric="], "has no value"),
        (["metric=test_accuracy", "metric=test_accuracy"], "given twice"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(arguments, told):
    with pytest.raises(Refused, match=told):
        settings(arguments)


def test_arguments_may_have_the_reports_prefix_or_not():
    typed = settings(["report.smallest_effect=1.5", "name=a,b", "--watch"])
    assert typed == Settings(smallest_effect=1.5, name="a,b", watch=True)
    assert settings(["report.watch=true"]).watch


@pytest.mark.parametrize(
    "arguments",
    [
        ["name=a,b"], ["name=mine", "metric=final_train_loss", "smallest_effect=1.5"],
        ["name=mine", "baseline=norm=none lr=0.01", "outputs=some where"],
    ],
)  # fmt: skip
def test_the_command_of_settings_asks_for_the_same_settings(arguments):
    asked = settings(arguments)
    python, m, module, *words = shlex.split(command(asked))
    assert (python, m, module) == ("python", "-m", "cnnlab.report")
    assert settings(words) == asked
    assert {word.partition("=")[0] for word in [*arguments, "metric="]} == {
        word.partition("=")[0] for word in words
    }


def test_a_report_that_watches_is_made_again_by_a_command_that_does_not():
    assert "watch" not in command(Settings(name="mine", watch=True))


@pytest.mark.parametrize("text", ["norm", "=", "norm=", "=bn", "", "norm=bn lr"])
def test_a_baseline_that_is_none_is_refused(text):
    with pytest.raises(Refused, match="write levels like"):
        baseline(text)


def test_a_baseline_has_a_level_for_each_factor_that_it_names():
    assert baseline("norm=none  lr=0.01") == {"norm": "none", "lr": "0.01"}
    assert baseline(None) is None
