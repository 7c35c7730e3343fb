"""Every draw has a generator of its own."""

import torch

from cnnlab.core.seeding import generator


def first(*arguments) -> float:
    return float(torch.rand(1, generator=generator(*arguments)))


def test_a_generator_depends_on_its_three_arguments_alone():
    before = first(0, "order", 1)
    torch.manual_seed(7)
    assert first(0, "order", 1) == before
    others = [first(1, "order", 1), first(0, "init", 1), first(0, "order", 2)]
    assert len({before, *others}) == 4


def test_a_purpose_that_ends_in_a_number_is_not_mixed_up_with_the_epoch():
    assert first(0, "a1", 1) != first(0, "a", 11)
    assert first(1, "1/a") != first(11, "/a")


def test_the_first_number_is_what_it_always_was():
    """Written down once: a change would change every run's result under an old run id."""
    assert first(0, "order", 1) == 0.6171520948410034
