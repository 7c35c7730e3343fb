"""Which runs are trained as one model: each once, only those that are alike, neighbours by images.

Nothing is trained here: that runs give in a stack what they give alone is in test_stack.py.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import groupby, pairwise

import pytest
import yaml
from conftest import SMALL, config_of
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.config.compose import CONF, GROUPS, options
from cnnlab.config.schema import Config
from cnnlab.config.targets import keys_of
from cnnlab.execution.grouping import MAY_DIFFER, images_of, stacks, structure

MANY = settings(max_examples=60, deadline=None, derandomize=True)


@cache
def plain() -> Config:
    return config_of(*SMALL)


def changed(**values) -> Config:
    """A config with other values, which nobody checks; `model__dropout` is model.dropout."""
    config = copy.deepcopy(plain())
    for key, value in values.items():
        group, _, name = key.partition("__")
        if name:
            getattr(config, group)[name] = value
        else:
            setattr(config, group, value)
    return config


def alike(one: Config, other: Config) -> bool:
    return structure(one, "images") == structure(other, "images")


def stacked(configs, most=100, workers=1) -> list[list[int]]:
    return stacks([(config, "images") for config in configs], lambda kind, count: most, workers)


CROP = {"crop": {"_target_": "cnnlab.parts.augment.crop.crop", "padding": 1, "probability": 1.0}}

RUNS = st.lists(
    st.tuples(
        st.builds(
            changed,
            seed=st.integers(0, 2),
            augment=st.sampled_from([{}, CROP]),
            lr__base=st.sampled_from([0.01, 0.1]),
            batch_size=st.sampled_from([32, 64]),
            model__dropout=st.sampled_from([0.0, 0.2, 0.5]),
        ),
        st.sampled_from(["images", "others"]),
    ),
    max_size=14,
)
"""Runs of several structures, and of several images within each."""


# --- every list of runs


@MANY
@given(RUNS, st.integers(-1, 6), st.integers(1, 5))
def test_every_run_is_in_exactly_one_stack(runs, most, workers):
    found = stacks(runs, lambda kind, count: most, workers)
    assert sorted(number for stack in found for number in stack) == list(range(len(runs)))
    assert all(found)


@MANY
@given(RUNS, st.integers(1, 6), st.integers(1, 5))
def test_the_runs_of_a_stack_are_of_one_structure(runs, most, workers):
    for stack in stacks(runs, lambda kind, count: most, workers):
        assert len({structure(*runs[number]) for number in stack}) == 1


@MANY
@given(RUNS, st.dictionaries(st.booleans(), st.integers(1, 6), min_size=2), st.integers(1, 5))
def test_no_stack_is_larger_than_the_size_of_its_structure(runs, sizes, workers):
    """The size is asked for once a structure, with the number of runs that have it."""
    asked = {}

    def size(kind, count):
        assert kind not in asked
        asked[kind] = count
        return sizes["others" in kind]

    found = stacks(runs, size, workers)
    assert asked == Counter(structure(*run) for run in runs)
    for stack in found:
        assert len(stack) <= sizes[runs[stack[0]][1] == "others"]


@MANY
@given(RUNS, st.integers(1, 6), st.integers(1, 5))
def test_runs_that_see_the_same_images_are_neighbours(runs, most, workers):
    for stack in stacks(runs, lambda kind, count: most, workers):
        images = [key for key, _ in groupby(images_of(runs[number][0]) for number in stack)]
        assert len(images) == len(set(images))


@MANY
@given(RUNS, st.integers(1, 6))
def test_runs_that_see_the_same_images_are_parted_only_if_no_stack_holds_them(runs, most):
    found = stacks(runs, lambda kind, count: most)
    groups = Counter((structure(*run), images_of(run[0])) for run in runs)
    for (kind, images), count in groups.items():
        number = sum(
            any(structure(*runs[n]) == kind and images_of(runs[n][0]) == images for n in stack)
            for stack in found
        )
        assert number == -(-count // most)


@MANY
@given(RUNS, st.integers(1, 6), st.integers(1, 5))
def test_stacks_come_in_the_order_of_their_first_runs(runs, most, workers):
    firsts = [stack[0] for stack in stacks(runs, lambda kind, count: most, workers)]
    assert firsts == sorted(firsts)


@MANY
@given(RUNS)
def test_where_the_size_allows_it_there_is_one_stack_a_structure(runs):
    found = stacks(runs, lambda kind, count: count)
    assert len(found) == len({structure(*run) for run in runs})


@MANY
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 12), st.booleans())
def test_no_worker_idles_while_another_has_a_stack_to_share(kinds, share, each, most, seeds):
    """`share` workers for each structure, which has `each` runs for every one of them."""
    configs = [
        changed(batch_size=2**kind, seed=run if seeds else 0)
        for kind in range(kinds)
        for run in range(share * each)
    ]
    found = stacked(configs, most, workers=kinds * share)
    assert len(found) >= kinds * share
    assert max(map(len, found)) <= each


# --- by hand


def test_without_runs_there_is_no_stack():
    assert stacks([], lambda kind, count: 4, workers=2) == []


def test_stacks_of_one_are_the_runs_in_their_order():
    configs = [changed(seed=run % 2, batch_size=8 + run % 3) for run in range(7)]
    assert stacked(configs, most=1) == [[run] for run in range(7)]


def test_structures_that_take_turns_are_sorted_out():
    configs = [changed(batch_size=8 + run % 2, lr__base=0.01 * (run + 1)) for run in range(6)]
    assert stacked(configs) == [[0, 2, 4], [1, 3, 5]]
    assert stacked(configs, most=2) == [[0, 2], [1, 3], [4], [5]]


def test_seeds_that_take_turns_are_brought_together():
    configs = [changed(seed=run % 2, lr__base=0.01 * (run + 1)) for run in range(6)]
    assert stacked(configs) == [[0, 2, 4, 1, 3, 5]]
    assert stacked(configs, most=4) == [[0, 2, 4], [1, 3, 5]]


def test_what_must_be_cut_is_cut_evenly():
    assert [len(stack) for stack in stacked([plain()] * 10, most=4)] == [4, 3, 3]


@pytest.mark.parametrize(("workers", "sizes"), [(1, [5]), (2, [3, 2]), (5, [1] * 5), (9, [1] * 5)])
def test_alike_runs_are_shared_out_among_workers(workers, sizes):
    configs = [changed(seed=seed) for seed in range(5)]
    assert [len(stack) for stack in stacked(configs, workers=workers)] == sizes
    assert [len(stack) for stack in stacked([plain()] * 5, workers=workers)] == sizes


def test_a_structure_for_each_worker_is_not_cut():
    configs = [changed(batch_size=8 + run % 2) for run in range(8)]
    assert [len(stack) for stack in stacked(configs, workers=2)] == [4, 4]
    assert [len(stack) for stack in stacked(configs, workers=4)] == [2, 2, 2, 2]


# --- what may differ


def test_other_images_are_another_structure():
    assert structure(plain(), "one") != structure(plain(), "another")


def test_a_swish_of_beta_1_is_computed_in_another_way_than_all_others():
    swish = {"_target_": "cnnlab.parts.activation.silu.silu", "learned": False}
    one, half, two = (changed(activation={**swish, "beta": beta}) for beta in (1.0, 0.5, 2.0))
    assert alike(half, two)
    assert not alike(one, two)
    assert alike(one, changed(activation={**swish, "beta": 1}))
    assert stacked([one, half, one, two]) == [[0, 2], [1, 3]]


def test_no_dropout_is_computed_in_another_way_than_any():
    none, some, more = (changed(model__dropout=rate) for rate in (0.0, 0.2, 0.5))
    assert alike(some, more)
    assert not alike(none, some)
    assert stacked([none, some, none, more]) == [[0, 2], [1, 3]]


def parts() -> Iterator[tuple[str, dict]]:
    """Each part below conf/ with the group that it is chosen in; an augmentation with its name."""
    for group in GROUPS:
        for option in options(group):
            found = yaml.safe_load((CONF / group / f"{option}.yaml").read_text()) or {}
            inner = found if group == "augment" else {"": found}
            yield from ((f"{group}.{name}".rstrip("."), part) for name, part in inner.items()
                        if "_target_" in part)  # fmt: skip


def pairs() -> Iterator[tuple[str, Config, Config]]:
    """For each key of each config, two configs that differ in it alone."""
    for field in fields(Config):
        if field.name not in GROUPS:
            yield (field.name, *(changed(**{field.name: value}) for value in (0.25, 0.5)))
    for where, part in parts():
        group, _, name = where.partition(".")
        for key in ("_target_", *keys_of(part["_target_"]).model_fields):
            each = ({**part, key: value} for value in (0.25, 0.5))
            whole = [{name: one} if name else one for one in each]
            yield (f"{where}.{key}", *(changed(**{group: one}) for one in whole))


def listed(key: str) -> bool:
    """Whether a key, or the group that it is in, may differ."""
    return key in MAY_DIFFER or key.partition(".")[0] in MAY_DIFFER


def test_exactly_the_keys_that_are_listed_may_differ_in_a_stack():
    found = {key: alike(one, other) for key, one, other in pairs()}
    assert {key for key, free in found.items() if free} == set(filter(listed, found))
    assert {"data.size", "norm.eps", "activation.learned", "epochs"} <= found.keys()  # walked


def test_every_key_that_is_listed_exists():
    known = {key for key, *_ in pairs()} | set(GROUPS)
    assert set(MAY_DIFFER) <= known


def test_another_choice_in_a_group_is_another_structure_unless_the_group_is_listed():
    by_group = {group: [changed(**{group: {}})] for group in GROUPS}
    for where, part in parts():
        group, _, name = where.partition(".")
        by_group[group].append(changed(**{group: {name: part} if name else part}))
    for group, configs in by_group.items():
        assert {alike(one, other) for one, other in pairwise(configs)} == {group in MAY_DIFFER}


def test_a_key_that_is_new_may_not_differ_until_it_is_listed():
    @dataclass(kw_only=True)
    class Wider(Config):
        fresh: float

    one, other = (Wider(**asdict(plain()), fresh=value) for value in (0.25, 0.5))
    assert not alike(one, other)
    for group in set(GROUPS) - set(MAY_DIFFER):
        one, other = (changed(**{f"{group}__fresh": value}) for value in (0.25, 0.5))
        assert not alike(one, other)


def test_what_is_asked_leaves_the_configs_as_they_are():
    before = asdict(plain())
    structure(plain(), "images")
    stacked([plain()] * 3)
    assert asdict(plain()) == before
