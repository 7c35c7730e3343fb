"""What holds of every plan: each run once, and an identity of whatever determines its result."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SMALL, config_of
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.config.checking import validate
from cnnlab.config.options import GROUPS, options
from cnnlab.core.errors import Refused
from cnnlab.data.loading import load
from cnnlab.planning import plan
from cnnlab.records.identity import IRRELEVANT, run_id

EASY = settings(max_examples=8, deadline=None, derandomize=True)

VALUES = {
    "norm": ["bn", "none", "gn", "ln"],
    "lr": ["0.01", "0.02", "0.1", "1"],
    "optimizer.momentum": ["0", "0.5", "0.9"],
    "epochs": ["1", "2", "30"],
    "seed": ["0", "1", "2", "7"],
}
GRIDS = st.fixed_dictionaries(
    {},
    optional={
        key: st.lists(st.sampled_from(v), min_size=1, max_size=2, unique=True)
        for key, v in VALUES.items()
    },
)
"""Several values for some keys, as a person may type them."""

SPELLINGS = {
    "0.01": ["0.01", "1e-2", "0.010", ".01", "1E-02"],
    "0.1": ["0.1", "1e-1", "0.10"],
    "1": ["1", "1.0", "1e0"],
    "0": ["0", "0.0"],
    "0.9": ["0.9", "9e-1", "0.90"],
}


def made(values, *more):
    return plan.make((), (*SMALL, *(f"{key}={','.join(v)}" for key, v in values.items()), *more))


def ids(values, *more):
    return [run.run_id for run in made(values, *more).runs]


@EASY
@given(GRIDS)
def test_each_run_is_planned_once_in_an_order_that_stays(values):
    found = made(values)
    size = 1
    for each in values.values():
        size *= len(each)
    assert len({run.run_id for run in found.runs}) == len(found.runs) == size
    assert len({run.directory for run in found.runs}) == size
    plan.forget()
    assert [run.run_id for run in made(values).runs] == [run.run_id for run in found.runs]
    assert len({repr(run.job.config) for run in found.runs}) == size


@EASY
@given(GRIDS, st.data())
def test_a_widened_sweep_has_the_old_runs_and_the_new_ones(values, data):
    wider = {key: list(each) for key, each in values.items()}
    key = data.draw(st.sampled_from(list(VALUES)))
    default = {
        "norm": "none",
        "lr": "0.01",
        "optimizer.momentum": "0.9",
        "epochs": "30",
        "seed": "0",
    }
    before = wider.get(key, [default[key]])
    wider[key] = before + [value for value in VALUES[key] if value not in before]
    added = {**values, key: wider[key][len(before) :]}
    old, new = ids(values), ids(wider)
    assert set(old) <= set(new)
    only = set(ids(added)) if added[key] else set()
    assert set(new) == set(old) | only
    assert len(new) == len(old) + len(only)
    assert old == [each for each in new if each in set(old)]  # in the same order


@EASY
@given(GRIDS, st.randoms(use_true_random=False))
def test_run_ids_depend_neither_on_the_order_of_keys_nor_on_that_of_values(values, random):
    turned = {key: random.sample(each, len(each)) for key, each in values.items()}
    turned = dict(random.sample(list(turned.items()), len(turned)))
    assert set(ids(values)) == set(ids(turned))


@EASY
@given(GRIDS, st.randoms(use_true_random=False))
def test_run_ids_do_not_depend_on_how_a_number_is_spelled(values, random):
    respelled = {
        key: [
            random.choice(SPELLINGS.get(v, [v])) if key in ("lr", "optimizer.momentum") else v
            for v in each
        ]
        for key, each in values.items()
    }
    assert ids(values) == ids(respelled)
    assert made(values).name == made(respelled).name


def test_equal_values_in_several_spellings_are_one_run():
    typed = {"lr": ["0.01", "1e-2", "0.010", "0.02"], "optimizer.momentum": ["0", "0.0"]}
    assert len(ids(typed)) == 2


def test_minus_zero_is_zero():
    assert len(ids({"optimizer.momentum": ["0", "-0.0"]})) == 1


@pytest.mark.parametrize(
    ("hydras", "typed"),
    [
        ([], ["device=cpu"]), ([], ["compile=true"]), ([], ["resident=false"]),
        ([], ["name=other"]), ([], ["outputs=elsewhere"]),
        (["hydra.launcher.workers=3"], []), (["hydra/launcher=basic"], []),
        (["hydra.launcher.tries=5", "hydra.launcher.timeout=9"], []), (["hydra.verbose=true"], []),
        ([], ["force=true"]), ([], ["retry=failed"]), ([], ["on_error=stop"]), ([], ["plan=true"]),
        ([], ["sweep.limit=50"]), ([], ["sweep.baseline=norm=bn"]), ([], ["sweep.design=ofat"]),
    ],
)  # fmt: skip
def test_run_ids_do_not_depend_on_how_and_where_a_sweep_is_trained(hydras, typed):
    plain = ids({"norm": ["bn", "none"]})
    found = plan.make(tuple(hydras), (*SMALL, "norm=bn,none", *typed))
    assert [run.run_id for run in found.runs] == plain


def test_run_ids_do_not_depend_on_where_the_images_lie(tmp_path):
    import numpy as np

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (80, 12, 12, 3), np.uint8)
    found = set()
    for place in ("one.npz", "two.npz"):
        np.savez(tmp_path / place, train_images=images, train_labels=np.arange(80) % 4)
        made = plan.make((), ("data=npz", f"data.path={tmp_path}/{place}"))
        found |= {run.run_id for run in made.runs}
    assert len(found) == 1
    np.savez(tmp_path / "three.npz", train_images=images ^ 1, train_labels=np.arange(80) % 4)
    other = plan.make((), ("data=npz", f"data.path={tmp_path}/three.npz"))
    assert not found & {run.run_id for run in other.runs}


# --- every key of a config

CHOICES = [
    (),
    ("norm=bn", "activation=silu", "augment=crop_flip_cutout", "lr=onecycle", "optimizer=adamw"),
    ("norm=gn", "activation=elu", "augment=rot180", "lr=step", "norm.groups=2"),
    ("norm=in", "activation=leaky_relu", "augment=vflip", "lr=warmup_cosine"),
    ("norm=ln", "activation=gelu", "augment=crop", "lr=cosine"),
]
"""Together all norms, schedules and optimizers, and whatever has keys of its own."""


def leaves(node, prefix=()):
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def others(path, value):
    """Values to try in the place of one; the first that is valid is taken."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value * 2, value - 1, 1]
    if isinstance(value, float):
        return [value * 1.5 or 0.005, value * 0.5, value + 0.1, 0.5]
    return {
        ("name",): ["another"], ("device",): ["cpu"], ("precision",): ["bf16"],
        ("outputs",): ["elsewhere"], ("compile",): [True], ("resident",): [True],
        ("clip_norm",): [1.0], ("patience",): [3], ("optimizer", "exclude"): ["norm|bias"],
        ("vary",): [["init"]],
    }[path]  # fmt: skip


def changed(config, path, value):
    found = copy.deepcopy(config.plain())
    node = found
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return validate(found)


def first_valid(config, path, value):
    for other in others(path, value):
        try:
            return changed(config, path, other)
        except Refused:
            continue
    raise AssertionError(f"no other valid value of {'.'.join(path)}")


def identity(config):
    return run_id(config.plain(), load(config.data).fingerprint)


@pytest.mark.parametrize("choices", CHOICES, ids=lambda each: each[0] if each else "default")
def test_each_key_that_matters_changes_the_run_id_and_no_other_does(choices):
    config = config_of(*SMALL, *choices)
    before = identity(config)
    seen = set()
    for path, value in leaves(config.plain()):
        if path[-1] == "_target_" or value == {}:
            continue
        other = first_valid(config, path, value)
        seen.add(path[0])
        matters = path[0] == "data" or path[0] not in IRRELEVANT
        assert (identity(other) != before) == matters, ".".join(path)
    assert {"name", "device", "outputs", "data", "epochs", "seed", "lr", "optimizer"} <= seen


def test_no_two_changes_of_one_key_give_the_same_run_id():
    """Nor the one of the config that they began from."""
    config = config_of(*SMALL, *CHOICES[1])
    found = [identity(config)]
    for path, value in leaves(config.plain()):
        if path[-1] != "_target_" and path[0] not in IRRELEVANT:
            found.append(identity(first_valid(config, path, value)))
    assert len(set(found)) == len(found) > 20


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "data"])
def test_each_option_of_a_group_has_a_run_id_of_its_own(group):
    found = [identity(config_of(*SMALL, f"{group}={option}")) for option in options(group)]
    assert len(set(found)) == len(found)


def test_an_option_counts_even_where_another_has_the_same_numbers():
    """relu, gelu, mish and tanh have no keys; ln and in the same ones."""
    config = config_of(*SMALL, "norm=ln")
    turned = replace(
        config, norm={**config.norm, "_target_": "cnnlab.parts.norm.instance.instance"}
    )
    assert identity(turned) != identity(config)


def test_every_key_is_either_relevant_or_named_as_irrelevant():
    """A new key of a config counts, unless somebody decides otherwise."""
    assert set(IRRELEVANT) == {
        "name", "device", "outputs", "data", "compile", "resident"
    }  # fmt: skip


def test_the_root_of_a_download_does_not_count():
    config = config_of("data=cifar10")
    moved = changed(config, ("data", "root"), str(Path("elsewhere").absolute()))
    assert run_id(config.plain(), "x") == run_id(moved.plain(), "x")


@pytest.mark.parametrize(
    ("typed", "earlier"),
    [
        ((), "b331b776d8b270e7a55ee1a80cfba90b"),
        (
            ("norm=bn", "optimizer=adamw", "augment=crop_flip_cutout", "lr=cosine"),
            "67a403c7d5311b8e7badc3c72198cab8",
        ),
        (("activation=silu",), "d7c414e059601d8ea2b40ea53da49975"),
    ],
)
def test_records_of_version_0_1_0_are_still_found(typed, earlier):
    """It had no dropout, label smoothing, clipping or early stopping, nor compile and resident."""
    assert identity(config_of(*SMALL, *typed)) == earlier
