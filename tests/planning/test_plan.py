"""The plan: which runs there are, what identifies them, which are still to train."""

import hashlib
import json
import re
from dataclasses import replace

import pytest
from conftest import SMALL, config_of

from cnnlab.config.options import GROUPS
from cnnlab.core.errors import Refused
from cnnlab.data.loading import load
from cnnlab.planning import plan
from cnnlab.records import plan_file, writer
from cnnlab.records.identity import run_id, settings
from cnnlab.records.schema import METRICS, TIMING, Result


def identity(*overrides: str) -> str:
    config = config_of("data=synthetic", "data.images=200", "data.size=12", *overrides)
    return run_id(config.plain(), load(config.data).fingerprint)


@pytest.mark.parametrize(
    "override",
    [
        "epochs=31", "batch_size=64", "seed=1", "precision=bf16", "evaluate_test=true",
        "norm=bn", "norm=gn", "activation=gelu", "augment=flip", "augment=crop_flip", "lr=cosine",
        "lr.base=0.011", "optimizer=adamw", "optimizer.momentum=0.8", "optimizer.weight_decay=0",
        "optimizer.nesterov=true", "data.noise=1.0", "data.split_seed=1", "data.validation=0.2",
        "data.seed=1", "data.classes=4", "data.channels=1",
    ],
)  # fmt: skip
def test_whatever_can_change_a_result_changes_the_run_id(override):
    assert identity(override) != identity()


@pytest.mark.parametrize(
    "override", ["name=other", "device=cpu", "outputs=elsewhere", "lr.base=1e-2", "lr.base=0.010"]
)
def test_whatever_cannot_change_a_result_leaves_the_run_id(override):
    assert identity(override) == identity()


def test_the_order_of_augmentations_is_part_of_the_identity():
    config = config_of(*SMALL, "augment=crop_flip")
    turned = config_of(*SMALL, "augment=crop_flip")
    turned.augment = dict(reversed(turned.augment.items()))
    assert run_id(config.plain(), "x") != run_id(turned.plain(), "x")


def test_equal_runs_are_planned_once():
    made = plan.make((), (*SMALL, "lr=0.01,1e-2,0.010,0.02"))
    assert [run.job.config.lr["base"] for run in made.runs] == [0.01, 0.02]


def test_a_plan_names_its_factors_in_the_order_typed_without_the_seed_or_constants():
    made = plan.make((), (*SMALL, "lr=0.01,0.02", "norm=bn,none", "epochs=2", "seed=0,1"))
    assert made.factors == ("lr.base", "norm")
    assert len(made.runs) == 8


def test_directories_are_short_distinct_and_end_in_the_id():
    made = plan.make((), (*SMALL, "norm=bn,none", "lr=0.01,0.02", "seed=0,1"))
    names = [run.directory.name for run in made.runs]
    assert len(set(names)) == 8
    assert all(run.directory.name.endswith(run.run_id[:8]) for run in made.runs)
    assert names[0].startswith("norm-bn_lr-0.01_seed-0-")
    assert all(len(name) < 100 for name in names)


def test_a_name_that_nobody_gave_depends_on_the_runs_alone():
    one = plan.make((), (*SMALL, "norm=bn,none", "lr=0.01,0.1"))
    same = plan.make((), (*SMALL, "lr=1e-1,1e-2", "norm=none,bn", "device=cpu"))
    other = plan.make((), (*SMALL, "norm=bn,none", "lr=0.02,0.1"))
    assert one.name == same.name != other.name


@pytest.mark.parametrize(
    ("typed", "stem"),
    [
        (["norm=bn,none", "lr=0.01,0.1"], "norm-x-lr"),
        (["norm=bn,none"], "norm"),
        (["optimizer.momentum=0.5,0.9", "epochs=1,2"], "epochs-x-momentum"),
        (["augment=none,crop_flip"], "augment"),
        (["epochs=1,2", "batch_size=8,9", "clip_norm=1,2", "patience=1,2", "norm=bn,none"],
         "epochs-x-batch_size-x-clip_norm"),
        (["norm=bn", "lr=0.1"], "synthetic-bn-lr-0.1"),
        (["norm=bn", "lr=1e6", "seeds=3"], "synthetic-bn-lr-1e06"),
    ],
)  # fmt: skip
def test_a_name_that_nobody_gave_tells_what_varies(typed, stem):
    name = plan.make((), (*SMALL, *typed)).name
    assert re.fullmatch(rf"{stem}-[0-9a-f]{{4}}", name), name
    assert len(name) <= 40


def test_a_sweep_that_an_earlier_version_named_is_found_and_continued():
    typed = (*SMALL, "norm=bn,none", "lr=0.01")
    planned = plan.make((), typed)
    # As 0.2.0 named it: the first 8 digits of the hash of all run ids.
    ids = json.dumps(sorted(run.run_id for run in planned.runs))
    name = f"adhoc-{hashlib.blake2b(ids.encode(), digest_size=16).hexdigest()[:8]}"
    old = planned.outputs / name
    finish(replace(planned.runs[0], directory=old / planned.runs[0].directory.name))
    replace(planned, folder=old).write()
    plan.forget()
    again = plan.make((), typed)
    assert again.folder == old
    assert [run.state for run in again.runs] == ["done", "pending"]


def test_a_sweep_of_one_variant_is_found_below_the_name_that_earlier_versions_gave_it():
    made = plan.make((), (*SMALL, "lr.base=1e-5"))
    assert "-lr-1e-05-" in made.name
    assert made.variant_text(made.runs[0]) == ""


def test_two_sweeps_whose_short_hashes_are_equal_get_folders_of_their_own():
    one = plan.make((), (*SMALL, "norm=bn,none"))
    other = plan.make((), (*SMALL, "norm=bn,gn"))
    replace(other, folder=one.folder).write()  # as if it had the same four digits
    plan.forget()
    again = plan.make((), (*SMALL, "norm=bn,none"))
    assert again.name.startswith(one.name)
    assert len(again.name) == len(one.name) + 4


@pytest.mark.parametrize("name", ["1", "007", "1e5", "1.0", "1_000", "true", "0x10", "2026.11.24"])
def test_a_name_is_what_was_typed_also_where_it_looks_like_a_number(name):
    made = plan.make((), (*SMALL, f"name={name}"))
    assert made.folder.name == name
    assert vars(made.runs[0].job.config)["name"] == name


def finish(run, status: str = "done") -> None:
    writer.open_record(run.directory, run.run_id).finish(
        Result(
            run_id=run.run_id, name="x", status=status, config=run.job.config.plain(),
            choices=run.job.choices, overrides=[], data_fingerprint="", device="", versions={},
        )
    )  # fmt: skip


def test_finished_and_failed_runs_are_not_pending_but_with_retry_failed_ones_are():
    command = (*SMALL, "name=mine", "norm=bn,none,gn,ln")
    runs = plan.make((), command).runs
    for run, status in zip(runs, ("done", "diverged", "failed"), strict=False):
        finish(run, status)
    plan.forget()
    again = plan.make((), command)
    assert [run.state for run in again.runs] == ["done", "diverged", "failed", "pending"]
    assert [run.run_id for run in again.pending] == [runs[3].run_id]
    retried = plan.make((), (*command, "retry=failed"))
    assert [run.run_id for run in retried.pending] == [run.run_id for run in runs[2:]]
    assert [run.directory for run in retried.runs] == [run.directory for run in runs]


def test_a_run_with_a_finished_epoch_is_partly_trained_and_pending():
    command = (*SMALL, "name=mine")
    (run,) = plan.make((), command).runs
    row = dict.fromkeys(METRICS, 1)
    begun = writer.open_record(run.directory, run.run_id)
    begun.add(row, dict.fromkeys(TIMING, 1), {})
    plan.forget()
    (again,) = plan.make((), command).pending
    assert (again.state, again.epoch, again.directory) == ("partly trained", 1, run.directory)


def test_seeds_are_ordered_one_after_the_other_each_with_all_variants():
    """So an interrupted sweep has compared every variant."""
    made = plan.make((), (*SMALL, "seed=1,0", "norm=bn,none"))
    told = [(run.job.config.seed, run.job.choices["norm"]) for run in made.runs]
    assert told == [(1, "bn"), (1, "none"), (0, "bn"), (0, "none")]


def test_a_damaged_result_is_not_taken_for_a_finished_run():
    command = (*SMALL, "name=mine")
    (run,) = plan.make((), command).runs
    finish(run)
    path = run.directory / "result.json"
    path.write_text(path.read_text()[:-20])
    plan.forget()
    (again,) = plan.make((), command).pending
    assert again.directory != run.directory  # whoever can repair it still has it
    assert plan.make((), command).notes == (
        f"{run.directory}: result.json: it is cut short, or is no JSON",
    )


def test_a_written_plan_reads_back_and_keeps_the_runs_that_were_begun():
    first = plan.make((), (*SMALL, "name=mine", "norm=bn,none,ln", "epochs=2"))
    first.write()
    finish(first.runs[1])
    wider = (*SMALL, "name=mine", "norm=bn,gn", "epochs=2,3")
    plan.make((), wider).write()
    found = plan_file.read(first.folder / "plan.json")
    told = [(run["settings"]["norm"], run["settings"]["epochs"]) for run in found["runs"]]
    assert told == [("bn", 2), ("none", 2), ("bn", 3), ("gn", 2), ("gn", 3)]
    assert found["factors"] == ["norm", "epochs"]
    assert [run["run_id"] for run in found["runs"][:2]] == [run.run_id for run in first.runs[:2]]
    assert plan_file.read(first.folder / "nothing.json") is None
    (first.folder / "plan.json").write_text("{")
    assert plan_file.read(first.folder / "plan.json") is None


def test_a_name_that_holds_a_sweep_with_other_settings_is_refused_with_both():
    planned = plan.make((), (*SMALL, "name=mine", "norm=bn,none"))
    planned.write()
    writer.open_record(planned.runs[0].directory, planned.runs[0].run_id)  # begun
    before = (planned.folder / "plan.json").read_text()
    with pytest.raises(Refused, match="holds a sweep with epochs=30; this one has epochs=2"):
        plan.make((), (*SMALL, "name=mine", "norm=bn,gn", "epochs=2"))
    assert (planned.folder / "plan.json").read_text() == before


def test_a_sweep_file_with_other_settings_gets_a_folder_of_its_own():
    first = plan.make((), (*SMALL, "sweeps=bn_lr"))
    first.write()
    writer.open_record(first.runs[0].directory, first.runs[0].run_id)  # begun
    other = plan.make((), (*SMALL, "sweeps=bn_lr", "epochs=1"))
    assert (first.name, other.name) == ("bn_lr", "bn_lr-epochs-1")
    assert {run.directory.parent for run in other.runs} == {other.folder}
    plan.forget()
    assert plan.make((), (*SMALL, "sweeps=bn_lr", "lr=0.01")).name == "bn_lr"


def test_settings_have_no_paths_and_no_targets():
    config = config_of("data=folder", "data.path=/", "augment=crop_flip")
    flat = settings(config.plain(), dict.fromkeys(GROUPS, "x"), "0123456789")
    assert flat["data.fingerprint"] == "01234567"
    assert flat["augment.crop.padding"] == 4
    assert not {"data.path", "data.root", "norm._target_", "outputs", "device"} & set(flat)
    json.dumps(flat)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["norm=gn", "norm.groups=3"], "divisor of 8"),
        (["data.size=11"], "at least 12x12"),
        (["evaluate_test=true"], "has no test split"),
        (["precision=tf32", "device=cpu"], "needs a CUDA device"),
        (["data.images=10", "data.classes=10"], "stratified"),
        (["data.images=1000000000000"], "memory"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_before_training(typed, told):
    with pytest.raises(Refused, match=told):
        plan.make((), (*SMALL, *typed))


def test_an_outputs_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot write there"):
        plan.make((), (*SMALL, f"outputs={tmp_path}/file/outputs"))
