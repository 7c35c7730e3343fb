"""What a person types becomes the jobs that they mean, or one clear refusal."""

import os
import subprocess
import sys

import pytest
from conftest import python_path

from cnnlab.core.errors import Refused
from cnnlab.planning.expansion import expand
from cnnlab.planning.grammar import normalise


def values(*arguments: str) -> list[dict[str, str]]:
    found = expand((), arguments)
    assert found.faults == []
    return [dict(job.values) for job in found.jobs]


def test_a_grid_is_the_product_with_the_last_key_fastest():
    cells = [(v["norm"], v["lr.base"]) for v in values("norm=bn,none", "lr=0.01,0.02,0.1")]
    rates = ("0.01", "0.02", "0.1")
    assert cells == [(norm, lr) for norm in ("bn", "none") for lr in rates]


@pytest.mark.parametrize(
    ("typed", "rates"),
    [
        (["lr=0.05"], [0.05]), (["lr=1e-3"], [0.001]), (["lr=3"], [3.0]),
        (["lr=cosine"], [0.01]), (["lr=cosine", "lr.base=0.1"], [0.1]),
        (["lr=0.01,1e-2"], [0.01, 0.01]), (["lr=choice(0.1,0.2)"], [0.1, 0.2]),
        (["lr=range(1,3)"], [1.0, 2.0]), (["lr=constant,cosine"], [0.01, 0.01]),
    ],
)  # fmt: skip
def test_lr_takes_numbers_and_schedules(typed, rates):
    assert [job.config.lr["base"] for job in expand((), typed).jobs] == rates


def test_rates_and_schedules_in_one_list_are_refused_with_both_ways_out():
    with pytest.raises(Refused, match=r"lr=0.1,.* or the schedule with lr=constant,cosine"):
        normalise("lr=0.1,cosine")


def test_other_arguments_stay_as_they_are():
    for argument in ("norm=bn", "lr.base=0.1", "hydra.verbose=true", "lr_x=1", "lr=cosine"):
        assert normalise(argument) == argument


def test_lr_numbers_work_inside_a_sweep_file():
    rates = [job.config.lr["base"] for job in expand((), ["sweeps=bn_lr"]).jobs]
    assert rates == [0.01, 0.02, 0.1] * 2


def test_the_command_line_wins_over_a_sweep_file():
    found = expand((), ["sweeps=bn_lr", "epochs=2", "norm=gn"])
    assert [job.config.epochs for job in found.jobs] == [2, 2, 2]
    assert {job.choices["norm"] for job in found.jobs} == {"gn"}


def test_the_homework_is_its_six_variants_with_the_published_numbers():
    """Typed again from the lab report's table, in the design."""
    jobs = expand((), ["sweeps=homework"]).jobs
    told = [
        (
            job.choices["augment"], job.choices["norm"], job.choices["activation"],
            job.config.lr["base"], job.published["best_val_accuracy"],
        )
        for job in jobs
    ]  # fmt: skip
    assert told == [
        ("none", "none", "relu", 0.01, 0.6614),
        ("crop_flip", "none", "relu", 0.01, 0.7206),
        ("crop_flip", "bn", "relu", 0.01, 0.7148),
        ("crop_flip", "bn", "relu", 0.02, 0.7042),
        ("crop_flip", "bn", "relu", 0.1, 0.6804),
        ("crop_flip", "bn", "silu", 0.01, 0.7322),
    ]
    assert {job.choices["data"] for job in jobs} == {"cifar10"}
    assert {job.config.epochs for job in jobs} == {30}


def test_variants_are_crossed_with_the_grid():
    assert len(expand((), ["sweeps=homework", "seed=0,1,2"]).jobs) == 18


def test_a_glob_sweeps_over_options():
    assert {v["norm"] for v in values("norm=glob(*n)")} == {"bn", "gn", "in", "ln"}


def test_a_key_that_only_some_options_have_is_set_where_it_can_be():
    jobs = expand((), ["activation=relu,silu", "activation.beta=1,2"]).jobs
    told = [(job.choices["activation"], job.config.activation.get("beta")) for job in jobs]
    assert told == [("relu", None), ("relu", None), ("silu", 1.0), ("silu", 2.0)]
    assert "activation.beta" not in jobs[0].values
    assert not any("beta" in text for text in jobs[0].overrides)


def test_a_key_that_no_option_has_is_refused_however_many_there_are():
    found = expand((), ["activation=relu,silu", "activation.slope=0.1", "norm=bn,none"])
    assert len(found.faults) == 1
    assert "activation.slope: no such key" in found.faults[0]


def test_interpolation_in_a_value_is_resolved():
    (job,) = expand((), ["seed=3", "data=synthetic", "data.seed=${seed}"]).jobs
    assert job.config.data["seed"] == 3


REFUSED = {
    "norm=batchnorm": "Nearest: bn",
    "norm=bn,batchnorm": "norm=batchnorm",
    "lr=-1": "greater than 0",
    "lr=0": "greater than 0",
    "lr=abc": "or a positive number",
    "lr=0.1,cosine": "mixes",
    "lr=nan": "finite",
    "lr=inf": "finite",
    "lr=": "no such option",
    "epochs=0": "greater than or equal to 1",
    "epochs=ten": "whole number",
    "epochs=1.5": "whole number",
    "epochs=true": "whole number",
    "batch_size=0": "greater than or equal to 1",
    "+typo=1": "closed",
    "++epochs=1": "closed",
    "~norm": "closed",
    "modle=simplenn": "Nearest: model",
    "optimizer.momentun=0.9": "Nearest: optimizer.momentum",
    "momentum=0.9": "no such key",
    "optimizer.momentum=1": "less than 1",
    "activation.beta=2": "Allowed: none",
    "device=tpu": "allowed: auto, cpu, cuda",
    "device=cpu,tpu": "the device is no factor",
    "data=npz": "data.path: must be given",
    "data=npz data.path=missing.npz": "no such file",
    "data=folder data.path=missing": "no such folder",
    "sweeps=unknown": "Allowed: activation, augment, bn_lr, homework",
    "sweeps=bn_lr,augment": "one named sweep",
    "norm@other=bn": "package",
    "lr=interval(0,1)": "interval",
    "norm._target_=os.system": "no such key",
    "norm=bn norm=none": "given twice",
    "name=a,b": "takes one value",
    "outputs=a,b": "takes one value",
    "outputs=": "must name a folder",
    "epochs=glob(*)": "of a group only",
    "epochs=${nope}": "nope",
    "sweep=null": "sweep",
    "sweep.variants=[{overrides:'a\\'b'}]": "No closing quotation",
    "sweep.variants=[{overrides:x,extra:1}]": "sweep.variants.0.extra",
    "sweep.variants=[{overrides:'lr=1,2',published:{best_val_accuracy:1}}]": "several variants",
    "sweep.variants=[{overrides:'seed=1'}]": "seeds=5",
    "sweep.variants=[{overrides:'norm=batchnorm'}]": "Nearest: bn",
    "sweep.desing=grid": "no such key",
    "precision=fp16": "fp32, tf32, bf16 or fp64",
    "norm": "write key=value",
    "seed=[0,1]": "whole number",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_bad_input_is_one_fault_that_says_what_to_do(typed):
    found = expand((), typed.split(" "))
    assert len(found.faults) == 1, found.faults
    assert REFUSED[typed] in found.faults[0]


def test_all_faults_are_told_at_once_that_can_be_told_at_once():
    """Those of parts whose code needs PyTorch come next, once the rest is right."""
    begun = []

    def begin():
        begun.append(True)

    typed = ["norm=batchnorm", "epochs=0", "+typo=1", "modle=simplenn", "optimizer.momentun=0.9"]
    of_parts = ["optimizer.momentum=2", "model.dropout=-1"]
    found = expand((), [*typed, *of_parts, "device=tpu", "lr=-1", "data=npz"], begin)
    assert len(found.faults) == 8
    assert (found.jobs, begun) == ([], [])
    found = expand((), of_parts, begin)
    assert len(found.faults) == 2
    assert (found.jobs, begun) == ([], [True])


def test_most_refusals_import_no_pytorch():
    code = (
        "import sys; from cnnlab.planning.expansion import expand\n"
        "for typed in ['norm=bb', 'lr=-1', 'data=npz', 'device=cuda', 'epochs=0', 'nope=1']:\n"
        "    assert len(expand((), [typed]).faults) == 1, typed\n"
        "assert len(expand(['hydra.launcher.workers=0'], []).faults) == 1\n"
        "assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": python_path(), "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize(
    "text", ["hydra.mode=RUN", "hydra/sweeper=basic", "hydra.sweep.dir=x", "hydra.run.dir=x"]
)
def test_what_the_plan_decides_cannot_be_taken_from_it(text):
    assert "the plan decides this" in expand([text], []).faults[0]


def test_published_numbers_are_dropped_where_their_variant_was_changed():
    for job in expand((), ["sweeps=homework", "lr=0.05"]).jobs:
        assert job.published == {}
    assert all(job.published for job in expand((), ["sweeps=homework", "epochs=2"]).jobs)


def test_hydras_own_settings_are_checked_by_hydra_and_told_in_our_words():
    assert "hydra/launcher=nope: no such option" in expand(["hydra/launcher=nope"], []).faults[0]
    assert "hydra.foo" in expand(["hydra.foo=1"], []).faults[0]
