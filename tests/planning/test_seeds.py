"""Which draws a seed stands for, as it is typed: two spellings, one mechanism; each fault."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, config_of

from cnnlab.config.schema import DRAWS, HELD
from cnnlab.core.errors import Refused
from cnnlab.data import loading
from cnnlab.planning import plan
from cnnlab.planning.runs import uncut
from cnnlab.records.identity import run_id


def made(*arguments):
    return plan.make((), (*SMALL, *arguments))


def ids(*arguments) -> list[str]:
    return [run.run_id for run in made(*arguments).runs]


@pytest.mark.parametrize(
    "own",
    ["data.split_seed=seed", "vary=[init,order,augment,dropout,split]", "data.split_seed=${seed}"],
)
def test_a_cut_of_each_seeds_own_is_the_run_of_that_cut_and_seed(own):
    assert ids(own, "seeds=3") == [
        *ids("data.split_seed=0", "seed=0"), *ids("data.split_seed=1", "seed=1"),
        *ids("data.split_seed=2", "seed=2"),
    ]  # fmt: skip


@pytest.mark.parametrize("same", ["[dropout,init,order,augment]", "null"])
def test_all_draws_by_name_are_what_is_done_without_a_name(same):
    assert ids(f"vary={same}", "seeds=2") == ids("seeds=2")


def test_the_order_of_names_and_the_longer_spelling_change_no_run():
    assert ids("vary=[order,init]") == ids("vary=[init,order]") == ids("seeds.vary=[init,order]")
    assert ids("vary=[init,order]") != ids("vary=[init]")


def test_a_split_among_the_draws_only_counts_by_its_images():
    config = config_of(*SMALL, "vary=[init,split]", "seed=3")
    assert config.data["split_seed"] == 3
    held = config_of(*SMALL, "vary=[init]", "seed=3", "data.split_seed=3")
    assert run_id(config.plain(), "images") == run_id(held.plain(), "images")


def test_draws_that_are_not_named_are_held_for_all_seeds():
    config = config_of(*SMALL, "vary=[order]", "seed=3")
    assert {draw: config.seed_of(draw) for draw in DRAWS} == {
        "init": HELD, "order": 3, "augment": HELD, "dropout": HELD,
    }  # fmt: skip
    plain = config_of(*SMALL, "seed=3")
    assert {plain.seed_of(draw) for draw in DRAWS} == {3}


def test_the_draws_can_be_a_factor_with_a_baseline_and_exclusions():
    planned = made(
        "norm=bn,none", "vary=[init],[order],[split]", "sweep.baseline=vary=[order]",
        'sweep.exclude=["vary=[init] norm=bn"]',
    )  # fmt: skip
    assert planned.factors == ("norm", "vary")
    assert len(planned.runs) == 5
    assert any("vary-split_seed-0" in run.directory.name for run in planned.runs)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("data.split_seed=sed", "must be a whole number, or seed: each seed its own cut."),
        ("data.split_seed=-1", "data.split_seed=-1: must be greater than or equal to 0."),
        ("data.split_seed=seed,1", "seed gives each seed its own cut, so it stands alone"),
        ("vary=[int]", "vary=[int]: there is no draw int. Nearest: init. Allowed: init, order, "),
        ("vary=[]", "vary=[]: no seed would differ from another; name some of init, order, "),
        (
            "vary=init",
            "vary=init: must be a list of some of init, order, augment, dropout, split, ",
        ),
        ("vary=3", "vary=3: must be a list of some of"),
        ("vary=[init,init]", "vary=[init,init]: names init twice; once is enough."),
        ("vary=[split] data.split_seed=3", "Leave data.split_seed out, or split."),
        ("vary=[split] data.split_seed=3 seeds=[3,4]", "Leave data.split_seed out, or split."),
        ("vary=[init] data.split_seed=seed", "Write vary=[init,split], or a number for data.split"),
        ("seeds.vari=[init]", "seeds.vari: no such key."),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(typed, told):
    with pytest.raises(Refused) as refused:
        made(*typed.split())
    (fault,) = refused.value.faults
    assert told in fault
    assert "\n" not in fault


# --- datasets


def own_dataset(place: Path, argument: str) -> None:
    """A project with a dataset of its own."""
    (place / "conf" / "data").mkdir(parents=True)
    (place / "conf" / "data" / "mine.yaml").write_text(
        f"_target_: mine_{place.name}.mine\n{argument}"
    )
    (place / f"mine_{place.name}.py").write_text(
        "import numpy as np\nfrom cnnlab.data.dataset import finish\n\n"
        "def mine(*, split_seed: int = 0):\n"
        "    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)\n"
        "    return finish('mine', (images, np.arange(40) % 4), None, None, None,\n"
        "                  validation=0.5, split_seed=split_seed)\n"
        if argument
        else "import numpy as np\nfrom cnnlab.data.dataset import finish\n\n"
        "def mine():\n"
        "    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)\n"
        "    return finish('mine', (images, np.arange(40) % 4), None, None, None,\n"
        "                  validation=0.5, split_seed=0)\n"
    )


def test_a_dataset_of_ones_own_may_have_a_cut_for_each_seed(tmp_path):
    own_dataset(tmp_path, "split_seed: 0\n")
    planned = plan.make((), ("data=mine", "norm=bn,none", "vary=[init,split]", "seeds=3"))
    assert len({run.fingerprint for run in planned.runs}) == 3


def test_a_dataset_may_say_itself_that_each_seed_has_its_own_cut(tmp_path):
    own_dataset(tmp_path, "split_seed: seed\n")
    planned = plan.make((), ("data=mine", "norm=bn,none", "seeds=3"))
    assert len({run.fingerprint for run in planned.runs}) == 3


def test_a_dataset_without_a_seed_of_its_cut_is_named(tmp_path):
    own_dataset(tmp_path, "")
    with pytest.raises(Refused, match=r"mine has no key split_seed, so there is no cut to vary"):
        plan.make((), ("data=mine", "vary=[split]", "seeds=3"))


@pytest.mark.parametrize("cut", ["data.split_seed=seed", "data.split_seed=0,1", "vary=[split]"])
def test_a_cut_that_no_seed_changes_is_refused(cut):
    """It would train the same run under each seed, or be a factor without an effect."""
    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    labels = np.arange(20) % 4
    np.savez(
        "mine.npz", train_images=images[:20], train_labels=labels, val_images=images[20:],
        val_labels=labels,
    )  # fmt: skip
    loading._loaded.clear()
    with pytest.raises(Refused, match="the same for all 2 seeds: they come with it, and are not"):
        plan.make((), ("data=npz", "data.path=mine.npz", cut, "seeds=2"))


def test_images_that_are_not_here_have_a_plan_with_a_cut_for_each_seed(tmp_path):
    where = f"data.root={tmp_path / 'none'}"
    given = ("data=cifar10", where, "data.split_seed=seed", "seeds=3", "norm=bn,none", "plan=true")
    planned = plan.make((), given)
    assert planned.factors == ("norm",)
    assert {run.state for run in planned.runs} == {"unknown"}
    assert len({run.fingerprint for run in planned.runs}) == 3


def test_what_differs_in_the_cut_only_is_timed_once():
    """How long a step takes does not depend on which images validate."""
    runs = made("data.split_seed=seed", "seeds=3").runs
    assert set(uncut(runs).values()) == {runs[0].fingerprint}
    other = made("data.split_seed=seed", "data.size=13", "seeds=1").runs
    assert len(set(uncut((*runs, *other)).values())) == 2


def test_a_runs_record_says_what_its_seed_stood_for():
    (run,) = made("vary=[init,split]", "seed=4").runs
    config = json.loads(json.dumps(run.job.config.plain()))
    assert (config["vary"], config["data"]["split_seed"]) == (["init", "split"], 4)
    assert "seed=4" in run.job.overrides
    assert "vary=[init,split]" in run.job.overrides
