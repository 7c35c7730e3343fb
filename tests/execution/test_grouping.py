"""Which runs are trained as one model: each once, only those that are alike, neighbours by images.

What keeps models apart is in training/test_structure.py.

Nothing is trained here: that runs give in a stack what they give alone is in test_stack.py.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, fields
from functools import cache
from itertools import groupby, pairwise

import pytest
import yaml
from conftest import SMALL, config_of
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.config.keys import Key
from cnnlab.config.options import GROUPS, file_of, options
from cnnlab.config.schema import KEYS, Config
from cnnlab.config.targets import keys_of
from cnnlab.data.dataset import Data
from cnnlab.data.loading import load
from cnnlab.execution import grouping
from cnnlab.execution.grouping import BUILT, common, images_of, stacks

HELD = tuple(name for name, key in KEYS.items() if key.stack == "each")

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


@cache
def images() -> Data:
    return load(plain().data)


def alike(*configs: Config) -> list[list[int]]:
    """The numbers of configs that may be trained together."""
    return grouping.alike([(config, images()) for config in configs])[0]


def stacked(runs, size=100, workers=1) -> list[list[int]]:
    """Runs in stacks of `size`, or of what a function says of a structure.

    Args:
        runs: the config of each, and the fingerprint of its images
    """
    groups: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(common(*run), []).append(number)
    sizes = [size(kind) if callable(size) else size for kind in groups]
    found = stacks(list(groups.values()), [config for config, _ in runs], sizes, workers)
    return sorted(stack for each in found for stack in each)


def of(*configs: Config) -> list[tuple[Config, str]]:
    return [(config, "images") for config in configs]


CROP = {"crop": {"_target_": "cnnlab.parts.augment.crop.crop", "padding": 1, "probability": 1.0}}

RUNS = st.lists(
    st.tuples(
        st.builds(
            changed,
            seed=st.integers(0, 2),
            augment=st.sampled_from([{}, CROP]),
            lr__base=st.sampled_from([0.01, 0.1]),
            batch_size=st.sampled_from([32, 64]),
            epochs=st.sampled_from([1, 2]),
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
    found = stacked(runs, most, workers)
    assert sorted(number for stack in found for number in stack) == list(range(len(runs)))
    assert all(found)


@MANY
@given(RUNS, st.integers(1, 6), st.integers(1, 5))
def test_the_runs_of_a_stack_are_of_one_structure(runs, most, workers):
    for stack in stacked(runs, most, workers):
        assert len({common(*runs[number]) for number in stack}) == 1


@MANY
@given(RUNS, st.dictionaries(st.booleans(), st.integers(1, 6), min_size=2), st.integers(1, 5))
def test_no_stack_is_larger_than_the_size_of_its_structure(runs, sizes, workers):
    for stack in stacked(runs, lambda kind: sizes["others" in kind], workers):
        assert len(stack) <= sizes[runs[stack[0]][1] == "others"]


@MANY
@given(RUNS, st.integers(1, 6), st.integers(1, 5))
def test_runs_that_see_the_same_images_are_neighbours(runs, most, workers):
    for stack in stacked(runs, most, workers):
        images = [key for key, _ in groupby(images_of(runs[number][0]) for number in stack)]
        assert len(images) == len(set(images))


@MANY
@given(RUNS, st.integers(1, 6))
def test_runs_that_see_the_same_images_are_parted_only_if_no_stack_holds_them(runs, most):
    found = stacked(runs, most)
    groups = Counter((common(*run), images_of(run[0])) for run in runs)
    for (kind, images), count in groups.items():
        number = sum(
            any(common(*runs[n]) == kind and images_of(runs[n][0]) == images for n in stack)
            for stack in found
        )
        assert number == -(-count // most)


@MANY
@given(RUNS)
def test_where_the_size_allows_it_there_is_one_stack_a_structure(runs):
    assert len(stacked(runs, len(runs))) == len({common(*run) for run in runs})


@MANY
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 12), st.booleans())
def test_no_worker_idles_while_another_has_a_stack_to_share(kinds, share, each, most, seeds):
    """`share` workers for each structure, which has `each` runs for every one of them."""
    configs = [
        changed(batch_size=2**kind, seed=run if seeds else 0)
        for kind in range(kinds)
        for run in range(share * each)
    ]
    found = stacked(of(*configs), most, workers=kinds * share)
    assert len(found) >= kinds * share
    assert max(map(len, found)) <= each


# --- by hand


def test_without_runs_there_is_no_stack():
    assert stacks([], [], [], workers=2) == []
    assert grouping.alike([]) == ([], {})


def test_stacks_of_one_are_the_runs_in_their_order():
    configs = [changed(seed=run % 2, batch_size=8 + run % 3) for run in range(7)]
    assert stacked(of(*configs), 1) == [[run] for run in range(7)]


def test_structures_that_take_turns_are_sorted_out():
    configs = [changed(batch_size=8 + run % 2, lr__base=0.01 * (run + 1)) for run in range(6)]
    assert stacked(of(*configs)) == [[0, 2, 4], [1, 3, 5]]
    assert stacked(of(*configs), 2) == [[0, 2], [1, 3], [4], [5]]


def test_seeds_that_take_turns_are_brought_together():
    configs = [changed(seed=run % 2, lr__base=0.01 * (run + 1)) for run in range(6)]
    assert stacked(of(*configs)) == [[0, 2, 4, 1, 3, 5]]
    assert stacked(of(*configs), 4) == [[0, 2, 4], [1, 3, 5]]


def test_what_must_be_cut_is_cut_evenly():
    assert [len(stack) for stack in stacked(of(*[plain()] * 10), 4)] == [4, 3, 3]


@pytest.mark.parametrize(("workers", "sizes"), [(1, [5]), (2, [3, 2]), (5, [1] * 5), (9, [1] * 5)])
def test_alike_runs_are_shared_out_among_workers(workers, sizes):
    configs = [changed(seed=seed) for seed in range(5)]
    assert [len(stack) for stack in stacked(of(*configs), workers=workers)] == sizes
    assert [len(stack) for stack in stacked(of(*[plain()] * 5), workers=workers)] == sizes


def test_a_structure_for_each_worker_is_not_cut():
    configs = [changed(batch_size=8 + run % 2) for run in range(8)]
    assert [len(stack) for stack in stacked(of(*configs), workers=2)] == [4, 4]
    assert [len(stack) for stack in stacked(of(*configs), workers=4)] == [2, 2, 2, 2]


# --- what may differ


def test_other_images_are_another_structure():
    assert common(plain(), "one") != common(plain(), "another")


def test_a_swish_of_beta_1_is_computed_in_another_way_than_all_others():
    swish = {"_target_": "cnnlab.parts.activation.silu.silu", "learned": False}
    one, half, two = (changed(activation={**swish, "beta": beta}) for beta in (1.0, 0.5, 2.0))
    assert alike(one, half, changed(activation={**swish, "beta": 1}), two) == [[0, 2], [1, 3]]


def test_no_dropout_is_computed_in_another_way_than_any():
    none, some, more = (changed(model__dropout=rate) for rate in (0.0, 0.2, 0.5))
    assert alike(none, some, none, more) == [[0, 2], [1, 3]]


def test_models_are_built_only_where_their_configs_allow_a_stack(monkeypatch):
    from cnnlab.training import assemble

    built = []
    original = assemble.assemble
    monkeypatch.setattr(
        assemble, "assemble", lambda config, *more: built.append(config) or original(config, *more)
    )
    rates = [changed(lr__base=0.01 * (run + 1), seed=run) for run in range(50)]
    alike(plain(), changed(epochs=9))
    grouping.alike([(config, images()) for config in rates], build=False)
    assert built == []
    assert alike(*rates) == [list(range(50))]
    assert len(built) == 2  # one that is read, one that is tried


def parts() -> Iterator[tuple[str, dict]]:
    """Each part below conf/ with the group that it is chosen in; an augmentation with its name."""
    for group in GROUPS:
        for option in options(group):
            found = yaml.safe_load(file_of(group, option).read_text()) or {}
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
        for key in ("_target_", *keys_of(group, part).model_fields):
            values = ("one", "other") if key == "_target_" else (0.25, 0.5)
            each = ({**part, key: value} for value in values)
            whole = [{name: one} if name else one for one in each]
            yield (f"{where}.{key}", *(changed(**{group: one}) for one in whole))


def free(key: str) -> bool:
    """Whether a key may differ, or only what is built of it must not."""
    return key.partition(".")[0] in (*HELD, *BUILT)


def test_exactly_the_keys_that_are_listed_may_differ_in_a_stack():
    """And the numbers of optimizer and loss, of which training makes tensors."""
    found = {key: common(one, "images") == common(other, "images") for key, one, other in pairs()}
    numbered = ("optimizer.", "loss.")
    numbers = {k for k in found if k.startswith(numbered) and not k.endswith("_target_")}
    assert {key for key, its in found.items() if its} == {*filter(free, found), *numbers}
    assert {"data.size", "norm.eps", "activation.learned", "epochs"} <= found.keys()  # walked


def test_what_is_no_number_of_an_optimizer_may_not_differ():
    one, other = (
        changed(optimizer__nesterov=value, optimizer__momentum=0.5) for value in (True, False)
    )
    assert alike(one, other, other) == [[0], [1, 2]]
    assert alike(changed(optimizer__momentum=0.1), changed(optimizer__momentum=0.2)) == [[0, 1]]


def test_every_key_that_is_listed_exists():
    known = {key for key, *_ in pairs()} | set(GROUPS)
    assert {*HELD, *BUILT} <= known


def test_another_choice_in_a_group_is_another_structure_unless_the_group_is_listed():
    by_group = {group: [changed(**{group: {}})] for group in GROUPS}
    for where, part in parts():
        group, _, name = where.partition(".")
        by_group[group].append(changed(**{group: {name: part} if name else part}))
    for group, configs in by_group.items():
        same = {common(one, "") == common(other, "") for one, other in pairwise(configs)}
        assert same == {group in (*HELD, *BUILT)}


def test_a_key_that_is_new_may_not_differ_until_it_is_listed():
    assert Key().stack == "equal"
    for group in set(GROUPS) - {*HELD, *BUILT, "optimizer", "loss"}:
        one, other = (changed(**{f"{group}__fresh": value}) for value in (0.25, 0.5))
        assert common(one, "") != common(other, "")


def test_what_is_asked_leaves_the_configs_as_they_are():
    before = asdict(plain())
    alike(plain(), plain())
    stacked(of(plain(), plain()))
    assert asdict(plain()) == before
