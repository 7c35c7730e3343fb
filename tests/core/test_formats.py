"""Numbers in words."""

import pytest

from cnnlab.core.formats import as_typed, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e6, "1e6"), (0.1, "0.1"), (1.0, "1"), (1e-5, "1e-5"), (1234567.0, "1234567.0"),
        (1e-10, "1e-10"), (1.2345678e-07, "1.2345678e-7"), (-2.5e300, "-2.5e300"), ("e-05", "e-05"),
        (float("inf"), "inf"),
        (0.1 + 0.2, "0.30000000000000004"), (10**6, "1000000"), (True, "true"), (None, "null"),
        ([0, 0.5, 1e-5], "[0,0.5,1e-5]"), ("bn", "bn"),
    ],
)  # fmt: skip
def test_a_value_is_told_as_it_would_be_typed(value, text):
    assert as_typed(value) == text
    if isinstance(value, float):
        assert float(text) == value


def test_names_of_folders_keep_the_exponents_of_earlier_versions():
    told = [as_typed(each, padded=True) for each in (1e6, 1e-5, [1e-5, True], 0.1, "1e6")]
    assert told == ["1e+06", "1e-05", "[1e-05,true]", "0.1", "1e6"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("1000000.0", "1e6"), ("1e+06", "1e6"), ("1e-05", "1e-5"), ("0.010", "0.01"),
        ("1000000", "1000000"),
        ("bn", "bn"), ("007", "007"), ("range(1,3)", "range(1,3)"), ("", ""),
    ],
)  # fmt: skip
def test_however_a_number_was_typed_it_is_told_in_one_form(typed, told):
    assert short(typed) == told
