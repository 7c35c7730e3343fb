"""Settings that follow from others are no factors: each seed's own cut, and what images there are.

What is planned and read here is never trained.
"""

from pathlib import Path

import numpy as np
import pytest
from test_sweeps import forget_plan, planned_on_disk, sweep_on_disk

from cnnlab.core.errors import Refused
from cnnlab.data import loading
from cnnlab.records.derived import derived
from cnnlab.records.reading import sweeps

OWN_CUT = "data.split_seed=seed"


def factors(planned) -> list[str]:
    return sweeps.read(planned.folder).factors


def rows(*pairs: tuple[int, int], **more) -> list[dict]:
    """Settings by seed and the seed of the cut; each cut has images of its own."""
    return [
        {"seed": seed, "data.split_seed": cut, "data.fingerprint": f"cut {cut}", **more}
        for seed, cut in pairs
    ]


def test_a_key_that_is_the_seed_in_each_run_follows_from_it():
    both = {"data.split_seed", "data.fingerprint"}
    assert derived(rows((0, 0), (1, 1), (2, 2))) == both
    assert derived(rows((0, 0), (1, 0), (2, 0))) == both  # held: the same in all
    assert derived(rows((0, 0), (1, 1), (2, 0))) == {"data.fingerprint"}
    assert derived(rows((0, 3), (0, 4))) == {"data.fingerprint"}


def test_only_seeds_of_parts_can_follow_from_the_runs():
    found = [
        {"seed": k, "epochs": k, "data.size": k, "model.seed": k, "other_seed": k} for k in (1, 2)
    ]
    assert derived(found) - {"data.fingerprint"} == {"model.seed"}


def test_a_cut_follows_the_seed_in_some_levels_of_vary_and_is_held_in_the_others():
    own, held = rows((0, 0), (1, 1), vary="[split]"), rows((0, 5), (1, 5), vary="[init]")
    assert "data.split_seed" in derived(own + held)
    assert "data.split_seed" not in derived(own + held + rows((0, 6), vary="[order]"))


def test_images_follow_from_the_datas_settings_unless_the_same_ones_gave_others():
    one = {"seed": 0, "data": "npz", "data.validation": 0.1, "data.fingerprint": "a"}
    assert derived([one, {**one, "data.validation": 0.2, "data.fingerprint": "b"}])
    assert not derived([one, {**one, "data.fingerprint": "b"}])
    assert not derived([one, {**one, "seed": 1, "lr": 2, "data.fingerprint": "b"}])


def test_each_seeds_own_cut_is_paired_and_no_factor():
    planned = sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=3")
    assert planned.factors == ("norm",)
    marks = {}
    for run in planned.runs:
        assert run.job.config.data["split_seed"] == run.job.config.seed
        marks.setdefault(run.job.config.seed, set()).add(run.fingerprint)
    assert [len(each) for each in marks.values()] == [1, 1, 1]
    assert len(set().union(*marks.values())) == 3
    sweep = sweeps.read(planned.folder)
    assert sweep.factors == ["norm"]
    assert sweep.runs["variant"].tolist() == [0, 0, 0, 1, 1, 1]


def test_cuts_that_are_swept_on_purpose_are_one_factor():
    planned = sweep_on_disk("norm=bn,none", "data.split_seed=0,1,2", "seeds=2")
    assert set(planned.factors) == {"norm", "data.split_seed"}
    assert factors(planned) == list(planned.factors)


def test_other_settings_of_the_data_are_one_factor_too():
    assert factors(sweep_on_disk("data.validation=0.1,0.3")) == ["data.validation"]


def test_the_draws_of_a_seed_are_one_factor_with_the_cut_among_them():
    assert factors(sweep_on_disk("vary=[init],[order],[split]", "seeds=3")) == ["vary"]
    levels = sweeps.read(Path("outputs/mine")).runs["vary"].unique().tolist()
    assert levels == ["[init]", "[order]", "[split]"]


def test_without_a_plan_the_records_tell_the_same():
    planned = sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=3")
    forget_plan(planned)
    assert factors(planned) == ["norm"]


# --- a sweep that is widened


@pytest.mark.parametrize("first", ["seeds=1", "seeds=2", "seed=4"])
def test_more_seeds_with_their_own_cuts_widen_a_sweep(first):
    sweep_on_disk("norm=bn,none", OWN_CUT, first)
    planned = sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=[0,1,2,5]")
    assert factors(planned) == ["norm"]
    assert len(sweeps.read(planned.folder).runs) == 8 + 2 * (first == "seed=4")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (OWN_CUT, "data.split_seed=0", "with data.split_seed=seed; this one has data.split_seed=0"),
        ("data.split_seed=0", OWN_CUT, "with data.split_seed=0; this one has data.split_seed=seed"),
        ("vary=[init]", "vary=null", r"with vary=\[init\]; this one has vary=null"),
        ("data.split_seed=3", "data.split_seed=4", "data.split_seed=3; this one has data.split_se"),
    ],
)
def test_a_sweep_is_not_widened_by_seeds_that_mean_something_else(first, second, told):
    sweep_on_disk("norm=bn,none", first, "seeds=2")
    with pytest.raises(Refused, match=told):
        sweep_on_disk("norm=bn,none", second, "seeds=2")


def test_one_seed_may_be_the_first_of_either_kind():
    sweep_on_disk("norm=bn,none", "seeds=1", "name=a")
    assert factors(sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=3", "name=a")) == ["norm"]
    sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=1", "name=b")
    assert factors(sweep_on_disk("norm=bn,none", "seeds=3", "name=b")) == ["norm"]


def npz(*arguments, wrong=0):
    """A sweep on a file of one's own, whose first pixel is as it is told."""
    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    images[0, 0, 0] = wrong
    np.savez("mine.npz", train_images=images, train_labels=np.arange(40) % 4)
    loading._loaded.clear()
    given = ("data=npz", "data.path=mine.npz", "data.validation=0.5", "norm=bn,none")
    return planned_on_disk(*given, *arguments)


@pytest.mark.parametrize("cut", ["data.split_seed=0", OWN_CUT, "data.split_seed=1,2"])
def test_other_images_under_the_same_settings_are_never_added_to_a_sweep(cut):
    npz(cut, "seeds=2")
    with pytest.raises(Refused, match="holds a sweep on other images than these"):
        npz(cut, "seeds=3", wrong=9)


# --- several sweeps as one


def test_sweeps_of_other_seeds_with_their_own_cuts_are_read_as_one():
    sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=[0,1]", "name=a")
    planned = sweep_on_disk("norm=none,gn", OWN_CUT, "seeds=[1,2]", "name=b")
    sweep = sweeps.read_many(planned.outputs, ["a", "b"])
    assert sweep.factors == ["norm"]
    assert len(sweep.runs) == 7  # of the eight, one is in both: none, seed 1


def test_a_sweep_with_its_own_cuts_is_not_pooled_with_one_of_a_single_cut():
    sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=3", "name=a")
    planned = sweep_on_disk("norm=bn,none", "seeds=3", "name=b")
    with pytest.raises(Refused, match="different data are not compared"):
        sweeps.read_many(planned.outputs, ["a", "b"])


def test_own_cuts_of_two_datasets_are_not_pooled():
    sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=2", "name=a")
    planned = sweep_on_disk("norm=bn,none", OWN_CUT, "seeds=2", "name=b", "data.noise=1.0")
    with pytest.raises(Refused, match="different data are not compared"):
        sweeps.read_many(planned.outputs, ["a", "b"])
