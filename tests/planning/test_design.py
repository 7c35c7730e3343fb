"""Which combinations a sweep has, and in which order: grid, zip, one factor at a time."""

import copy
import math

import pytest
from conftest import ROOT, SMALL, command
from hydra.core.config_store import ConfigStore
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.config import defaults
from cnnlab.config.options import options
from cnnlab.core.errors import Refused
from cnnlab.planning import grid, plan
from cnnlab.planning.design import cells, count
from cnnlab.planning.expansion import expand

EASY = settings(max_examples=40, deadline=None, derandomize=True)

LISTS = st.dictionaries(
    st.sampled_from(["norm", "lr.base", "epochs", "optimizer.momentum", "batch_size"]),
    st.lists(st.integers(0, 99).map(str), min_size=1, max_size=4, unique=True),
    max_size=4,
)
"""Values for some keys, as a person may type them."""


def listed(values, design="grid", **baseline):
    return list(cells(values, design, baseline))


def jobs(*arguments):
    found = expand((), arguments)
    assert found.faults == []
    return found.jobs


def cells_of(*arguments):
    """Norm and learning rate of each job."""
    return [(job.choices["norm"], job.config.lr["base"]) for job in jobs(*arguments)]


# --- the three designs


def test_a_grid_has_all_combinations_with_the_last_key_fastest():
    assert listed({"a": ["1", "2"], "b": ["x", "y"]}) == [
        {"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"},
    ]  # fmt: skip


def test_no_factors_are_one_cell():
    assert [listed({}, design) for design in ("grid", "zip", "ofat")] == [[{}]] * 3


def test_zip_goes_in_step_and_repeats_what_has_one_value():
    values = {"a": ["1", "2", "3"], "b": ["x", "y", "z"], "c": ["same"]}
    assert listed(values, "zip") == [
        {"a": "1", "b": "x", "c": "same"},
        {"a": "2", "b": "y", "c": "same"},
        {"a": "3", "b": "z", "c": "same"},
    ]


def test_zipped_factors_of_different_lengths_are_refused_with_their_lengths():
    values = {"norm": ["bn", "none"], "lr.base": ["1", "2", "3"], "epochs": ["1"]}
    with pytest.raises(Refused) as refused:
        listed(values, "zip")
    assert len(refused.value.faults) == 1
    assert "norm has 2, lr has 3" in refused.value.faults[0]
    assert "epochs" not in refused.value.faults[0]


def test_ofat_is_the_baseline_then_each_factors_other_values():
    values = {"a": ["1", "2", "3"], "b": ["x", "y"]}
    assert listed(values, "ofat", a="2", b="y") == [
        {"a": "2", "b": "y"},
        {"a": "1", "b": "y"}, {"a": "3", "b": "y"},
        {"a": "2", "b": "x"},
    ]  # fmt: skip


def test_what_the_baseline_leaves_out_has_its_first_value():
    values = {"a": ["1", "2"], "b": ["x", "y"]}
    assert listed(values, "ofat", b="y")[0] == {"a": "1", "b": "y"}
    assert listed(values, "ofat")[0] == {"a": "1", "b": "x"}


def test_the_baseline_may_spell_a_number_in_another_way():
    assert listed({"lr.base": ["0.01", "0.1"]}, "ofat", **{"lr.base": "1e-1"}) == [
        {"lr.base": "0.1"}, {"lr.base": "0.01"},
    ]  # fmt: skip


def test_a_baseline_that_is_not_in_the_grid_is_refused_with_what_is_allowed():
    with pytest.raises(Refused) as refused:
        listed({"norm": ["bn", "none"], "lr.base": ["1"]}, "ofat", norm="gn", nrm="bn")
    value, key = refused.value.faults
    assert "norm=gn is not in the sweep. Allowed: bn, none" in value
    assert "nrm is not in the sweep. Nearest: norm. Its factors: norm, lr." in key


@EASY
@given(LISTS)
def test_a_grid_is_each_combination_once(values):
    found = listed(values)
    assert len(found) == count(values, "grid") == math.prod(map(len, values.values()))
    assert len({tuple(cell.items()) for cell in found}) == len(found)


@EASY
@given(LISTS, st.integers(1, 4))
def test_zip_has_as_many_cells_as_a_factor_has_values(values, length):
    step = {key: [str(index) for index in range(length)] for key in values}
    found = listed(step, "zip")
    assert len(found) == count(step, "zip") == (length if step else 1)
    assert all(len(set(cell.values())) <= 1 for cell in found)


@EASY
@given(LISTS, st.data())
def test_ofat_has_one_cell_and_one_for_each_other_value_that_differ_in_one_key(values, data):
    baseline = {key: data.draw(st.sampled_from(each)) for key, each in values.items()}
    found = listed(values, "ofat", **baseline)
    assert len(found) == count(values, "ofat") == 1 + sum(len(v) - 1 for v in values.values())
    assert found[0] == baseline
    differing = [[key for key in values if cell[key] != baseline[key]] for cell in found[1:]]
    assert all(len(keys) == 1 for keys in differing)
    assert len({tuple(cell.items()) for cell in found}) == len(found)
    seen = {(key, cell[key]) for cell in found for key in cell}
    assert seen == {(key, value) for key, each in values.items() for value in each}


@EASY
@given(LISTS, st.sampled_from(["grid", "ofat"]))
def test_no_design_changes_what_it_is_given(values, design):
    before = copy.deepcopy(values)
    listed(values, design)
    assert values == before


# --- what is typed


def test_the_design_is_chosen_on_the_command_line():
    typed = ("norm=bn,none,gn", "lr=0.1,0.2,0.3")
    assert len(jobs(*typed)) == 9
    assert cells_of(*typed, "sweep.design=zip") == [("bn", 0.1), ("none", 0.2), ("gn", 0.3)]
    assert cells_of(*typed, "sweep.design=ofat", "sweep.baseline=norm=none lr=0.2") == [
        ("none", 0.2), ("bn", 0.2), ("gn", 0.2), ("none", 0.1), ("none", 0.3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "typed",
    [
        'sweep.exclude=["norm=none lr=0.1"]', "sweep.exclude=['norm=none lr=0.1']",
        "sweep.exclude=[norm=none lr=0.1]", "sweep.exclude=[lr=0.1 norm=none]",
        "sweep.exclude=[norm=none lr=1e-1]", "sweep.exclude=[norm=none lr=.10]",
        "sweep.exclude=[norm=none lr.base=0.1]", "sweep.exclude=[ norm=none  lr=0.1 ]",
    ],
)  # fmt: skip
def test_an_excluded_combination_is_left_out_however_it_is_spelled(typed):
    found = cells_of("norm=bn,none", "lr=0.01,0.1", typed)
    assert found == [("bn", 0.01), ("bn", 0.1), ("none", 0.01)]


@pytest.mark.parametrize(
    "typed",
    [
        'sweep.exclude=["norm=none lr=0.1,0.2","norm=bn lr=0.3"]',
        "sweep.exclude=[norm=none lr=0.1,0.2,norm=bn lr=0.3]",
        "sweep.exclude=[norm=none lr=0.1,0.2, norm=bn lr=3e-1]",
    ],
)
def test_exclusions_may_be_several_with_several_values_each(typed):
    found = cells_of("norm=bn,none", "lr=0.1,0.2,0.3", typed)
    assert found == [("bn", 0.1), ("bn", 0.2), ("none", 0.3)]


def test_an_exclusion_may_name_what_is_no_factor():
    """The value that all variants have, and one that only some options have."""
    typed = ("activation=relu,silu", "activation.beta=1,2", "norm=bn")
    assert len(jobs(*typed)) == 4
    found = jobs(*typed, "sweep.exclude=[norm=bn activation.beta=2]")
    assert [job.config.activation.get("beta") for job in found] == [None, None, 1.0]


def test_a_flag_is_excluded_as_it_is_typed():
    found = jobs("optimizer.nesterov=true,false", "sweep.exclude=[optimizer.nesterov=true]")
    assert [job.config.optimizer["nesterov"] for job in found] == [False]


def test_an_exclusion_holds_in_every_design():
    typed = ("norm=bn,none", "lr=0.1,0.2", "sweep.exclude=[norm=none lr=0.2]")
    assert cells_of(*typed, "sweep.design=zip") == [("bn", 0.1)]
    assert cells_of(*typed[:2], "sweep.design=ofat", "sweep.exclude=[norm=none]") == [
        ("bn", 0.1), ("bn", 0.2),
    ]  # fmt: skip


def test_variants_with_several_values_are_grids_one_after_the_other():
    variants = "{overrides:'norm=bn lr=0.1,0.2'},{overrides:'norm=none,gn lr=0.3'}"
    assert cells_of(f"sweep.variants=[{variants}]") == [
        ("bn", 0.1), ("bn", 0.2), ("none", 0.3), ("gn", 0.3),
    ]  # fmt: skip


def test_each_variant_is_crossed_with_what_is_typed_beside_it():
    variants = "{overrides:'norm=bn lr=0.1,0.2'},{overrides:'norm=none lr=0.3'}"
    found = jobs(f"sweep.variants=[{variants}]", "epochs=1,2")
    assert [(j.choices["norm"], j.config.lr["base"], j.config.epochs) for j in found] == [
        ("bn", 0.1, 1), ("bn", 0.1, 2), ("bn", 0.2, 1), ("bn", 0.2, 2),
        ("none", 0.3, 1), ("none", 0.3, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "momenta"),
    [
        ("optimizer.momentum=0,0.9", [0.0, 0.9]),
        ("optimizer.momentum=choice(0,0.9)", [0.0, 0.9]),
        ("optimizer.momentum=sort(0.9,0)", [0.0, 0.9]),
        ("optimizer.momentum=sort(0,0.9,reverse=true)", [0.9, 0.0]),
        ("optimizer.momentum=range(0,0.9,0.4)", [0.0, 0.4, 0.8]),
        ("optimizer.momentum=tag(mine,choice(0.5))", [0.5]),
    ],
)
def test_a_nested_key_takes_all_of_hydras_grammar(typed, momenta):
    assert [job.config.optimizer["momentum"] for job in jobs(typed)] == pytest.approx(momenta)


def test_ranges_and_choices_work_for_every_kind_of_key():
    assert [job.config.epochs for job in jobs("epochs=range(1,10,4)")] == [1, 5, 9]
    assert [job.config.seed for job in jobs("seed=range(3)")] == [0, 1, 2]
    assert [job.choices["norm"] for job in jobs("norm=choice(bn,none)")] == ["bn", "none"]
    assert [c for c, _ in cells_of("norm=sort(none,bn)")] == ["bn", "none"]


# --- options in folders


@pytest.fixture
def folders(tmp_path):
    """A project with options in a folder of a group."""
    (tmp_path / "conf" / "norm" / "mine").mkdir(parents=True)
    text = (ROOT / "conf" / "norm" / "bn.yaml").read_text(encoding="utf-8")
    for name in ("slow", "fast"):
        changed = text.replace("momentum: 0.1", f"momentum: {0.01 if name == 'slow' else 0.5}")
        (tmp_path / "conf" / "norm" / "mine" / f"{name}.yaml").write_text(changed)
    return tmp_path / "conf"


def test_options_may_lie_in_folders_of_a_group(folders):
    assert options("norm")[-3:] == ["mine/fast", "mine/slow", "none"]
    found = jobs("norm=mine/slow,bn,mine/fast", "norm.eps=1e-3,1e-4")
    assert [(job.choices["norm"], job.config.norm["momentum"]) for job in found] == [
        ("mine/slow", 0.01), ("mine/slow", 0.01), ("bn", 0.1), ("bn", 0.1),
        ("mine/fast", 0.5), ("mine/fast", 0.5),
    ]  # fmt: skip
    assert len(jobs("norm=glob(mine/*)")) == 2
    assert len(jobs("norm=bn,mine/slow", "sweep.exclude=[norm=mine/slow]")) == 1


def test_an_unknown_option_in_a_folder_is_refused_with_the_nearest(folders):
    (fault,) = expand((), ("norm=mine/slwo",)).faults
    assert "Nearest: mine/slow" in fault


@pytest.mark.slow
def test_options_in_folders_are_trained_each_in_its_own_directory(folders, tmp_path):
    done = command("run", "norm=mine/slow,mine/fast", *SMALL, "epochs=1", "name=f", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "outputs/f").glob("*-*"))
    assert names == ["norm-mine-fast_seed-0", "norm-mine-slow_seed-0"]


# --- inside a sweep file


@pytest.fixture
def sweep_file(tmp_path):
    """Writes sweeps/mine.yaml, as a person would."""
    store = ConfigStore.instance()
    before = copy.deepcopy(store.repo)
    folder = tmp_path / "sweeps"
    folder.mkdir()

    def written(text):
        (folder / "mine.yaml").write_text(f"# @package _global_\n# Which?\n{text}")

    _forget()
    yield written
    store.repo = before
    _forget()


def test_a_grid_that_is_a_list_is_refused_with_how_to_write_it(sweep_file):
    sweep_file("hydra: {sweeper: {params: [bn]}}")
    (fault,) = expand((), ["sweeps=mine"]).faults
    assert fault.startswith("hydra.sweeper.params=[bn]: write keys with their values")


def _forget():
    defaults._register.cache_clear()
    grid._composed.cache_clear()
    plan.forget()


def test_a_sweep_file_has_all_that_the_command_line_has(sweep_file):
    sweep_file("""
sweep:
  design: grid
  exclude: ["norm=none lr=0.1,1e-2"]
hydra:
  sweeper:
    params:
      norm: choice(bn,none)
      lr: 0.01,0.1,1
      optimizer.momentum: [0, 0.9]
""")
    found = [
        (job.choices["norm"], job.config.lr["base"], job.config.optimizer["momentum"])
        for job in jobs("sweeps=mine")
    ]
    assert found == [
        ("bn", 0.01, 0.0), ("bn", 0.01, 0.9), ("bn", 0.1, 0.0), ("bn", 0.1, 0.9),
        ("bn", 1.0, 0.0), ("bn", 1.0, 0.9), ("none", 1.0, 0.0), ("none", 1.0, 0.9),
    ]  # fmt: skip


def test_a_sweep_files_design_and_baseline_hold_and_may_be_overridden(sweep_file):
    sweep_file("""
sweep: {design: ofat, baseline: norm=none lr=0.1}
hydra: {sweeper: {params: {norm: "bn,none", lr: "0.01,0.1"}}}
""")
    assert cells_of("sweeps=mine") == [("none", 0.1), ("bn", 0.1), ("none", 0.01)]
    assert len(jobs("sweeps=mine", "sweep.design=grid")) == 4
    assert cells_of("sweeps=mine", "sweep.baseline=norm=bn")[0] == ("bn", 0.01)
    assert expand((), ("sweeps=mine",)).baseline == {"norm": "none", "lr.base": "0.1"}


def test_a_sweep_files_variants_may_be_grids(sweep_file):
    sweep_file("""
sweep:
  variants:
    - overrides: norm=bn lr=0.1,0.2
    - {overrides: norm=none, published: {best_val_accuracy: 0.5}}
""")
    found = jobs("sweeps=mine")
    assert [dict(job.published) for job in found] == [{}, {}, {"best_val_accuracy": 0.5}]
    assert [job.choices["norm"] for job in found] == ["bn", "bn", "none"]


def test_a_sweep_file_may_choose_options_and_a_rate_at_its_top(sweep_file):
    sweep_file("norm: bn\nlr: 0.05\nepochs: 3\n")
    (job,) = jobs("sweeps=mine")
    told = (job.choices["norm"], job.config.lr["base"], job.config.epochs)
    assert told == ("bn", 0.05, 3)


# --- seeds


def seeds_of(*arguments):
    return [job.config.seed for job in jobs(*arguments)]


def test_seeds_are_how_many_or_which():
    assert seeds_of("seeds=5") == [0, 1, 2, 3, 4]
    assert seeds_of("seeds=[3,4,11]") == [3, 4, 11]
    assert seeds_of("seeds=null") == [0]
    assert seeds_of("seed=7") == [7]
    assert seeds_of("seed=4,2") == [4, 2]


@pytest.mark.parametrize("typed", ["seeds=[0,1,2]", "seeds=3"])
def test_a_list_of_seeds_means_the_same_as_seeds(typed):
    def run_ids(*arguments):
        return [run.run_id for run in plan.make((), (*SMALL, "norm=bn,none", *arguments)).runs]

    assert run_ids("seed=0,1,2") == run_ids(typed)


def test_all_variants_come_with_the_first_seed_before_any_with_the_second():
    found = [(job.config.seed, job.choices["norm"]) for job in jobs("norm=bn,none", "seeds=2")]
    assert found == [(0, "bn"), (0, "none"), (1, "bn"), (1, "none")]


def test_zip_and_ofat_have_every_seed_for_every_variant():
    typed = ("norm=bn,none", "lr=0.1,0.2", "seeds=3")
    assert len(jobs(*typed, "sweep.design=zip")) == 2 * 3
    assert len(jobs(*typed, "sweep.design=ofat")) == 3 * 3
    assert "seed" not in jobs(*typed)[0].values


@pytest.mark.parametrize("kept", ["seeds: 5", "seeds: [8, 9]", "seed: 8"])
def test_typed_seeds_win_over_a_sweep_files(kept, sweep_file):
    sweep_file(f"{kept}\nhydra: {{sweeper: {{params: {{norm: 'bn,none'}}}}}}\n")
    own = {"seeds: 5": [0, 1, 2, 3, 4], "seeds: [8, 9]": [8, 9], "seed: 8": [8]}[kept]
    assert list(dict.fromkeys(seeds_of("sweeps=mine"))) == own
    assert list(dict.fromkeys(seeds_of("sweeps=mine", "seeds=2"))) == [0, 1]
    assert list(dict.fromkeys(seeds_of("sweeps=mine", "seed=3,4"))) == [3, 4]
    assert list(dict.fromkeys(seeds_of("sweeps=mine", "seeds=[6]"))) == [6]


def test_typed_seeds_win_over_a_list_among_a_sweep_files_factors(sweep_file):
    sweep_file("hydra: {sweeper: {params: {norm: 'bn,none', seed: '5,6'}}}\n")
    assert seeds_of("sweeps=mine") == [5, 5, 6, 6]
    assert seeds_of("sweeps=mine", "seeds=1") == [0, 0]
    assert seeds_of("sweeps=mine", "seed=9") == [9, 9]


def test_what_refers_to_the_seed_follows_it():
    found = jobs("data=synthetic", "data.seed=${seed}", "seeds=3")
    assert [(job.config.seed, job.config.data["seed"]) for job in found] == [
        (0, 0), (1, 1), (2, 2),
    ]  # fmt: skip
    made = plan.make((), (*SMALL, "data.seed=${seed}", "seeds=3"))
    assert len({run.fingerprint for run in made.runs}) == 3
