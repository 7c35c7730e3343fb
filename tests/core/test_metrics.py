"""The table of metrics, and the numbers that are made of it."""

from dataclasses import fields

import pytest

from cnnlab.core import formats
from cnnlab.core.metrics import METRICS
from cnnlab.records.reading.found import MEASURED
from cnnlab.records.schema import Result
from cnnlab.report.settings import help_text


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_in_each_record_is_read_from_it_and_can_be_asked_for(name):
    assert name in {field.name for field in fields(Result)}
    assert name in MEASURED
    assert name in help_text()


def test_differences_have_the_unit_and_the_digits_of_their_metric():
    accuracy, loss = METRICS["best_val_accuracy"], METRICS["final_train_loss"]
    assert formats.amount(0.005, accuracy) == "0.5 points"
    assert formats.amount(0.005, loss) == "0.005 nats"
    assert (accuracy.difference_digits, loss.difference_digits) == (2, 4)
    assert (accuracy.title, loss.title) == ("best validation accuracy", "last training loss (nats)")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.0003, 0.0197, "0.03 to 1.97"),  # one digit would say that it begins at 0
        (-0.012, 0.016, "-1.2 to 1.6"),
        (0.00001, 0.00003, "0.001 to 0.003"),
    ],
)
def test_an_interval_has_so_many_digits_that_it_tells_its_width_and_its_side_of_zero(
    low, high, text
):
    row = {"metric": "best_val_accuracy", "ci_low": low, "ci_high": high}
    assert formats.interval(row) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.00099, "p < 0.001"), (0.0126, "p = 0.013"), (0.5, "p = 0.500")]
)
def test_a_probability_in_words(p, text):
    assert formats.probability(p) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_number_that_there_is_not_is_a_dash(value):
    assert formats.number(value, 2) == formats.span(0.1, value, 2) == formats.p_value(value) == "-"


def test_of_many_words_the_first_are_named_and_the_rest_is_counted():
    texts = [formats.few(list("abcde")[:size]) for size in (0, 1, 3, 4, 5)]
    assert texts == ["", "a", "a; b; c", "a; b; c and 1 more", "a; b; c and 2 more"]
    assert formats.few(["a", "b", "c"], 10) == "a; b; c and 7 more"
