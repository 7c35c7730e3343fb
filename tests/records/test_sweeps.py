"""Records on disk become two tidy tables, whatever state the records are in."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SMALL
from test_writer import result_of

from cnnlab.data.loading import _loaded
from cnnlab.planning import plan
from cnnlab.records import plan_file
from cnnlab.records.reading import sweeps
from cnnlab.records.reading.tables import RESERVED
from cnnlab.records.schema import METRICS, TIMING
from cnnlab.records.writer import open_record


def sweep_on_disk(*arguments, accuracy=lambda run: 0.5, status=lambda run: "done"):
    """Plans a sweep and writes the records that training would leave; nothing is trained."""
    return planned_on_disk(*SMALL, *arguments, accuracy=accuracy, status=status)


def planned_on_disk(*arguments, accuracy=lambda run: 0.5, status=lambda run: "done"):
    """The same on other images."""
    plan.forget()
    planned = plan.make((), ("name=mine", *arguments))
    planned.write()
    for run in planned.runs:
        state = status(run)
        if state == "pending" or run.result is not None:  # or there, in another sweep
            continue
        record = open_record(run.directory, run.run_id)
        for epoch in (1, 2) if state == "done" else ():
            values = {"epoch": epoch, "train_accuracy": 0.5, "val_accuracy": accuracy(run)}
            record.add({**dict.fromkeys(METRICS, 0.1), **values}, dict.fromkeys(TIMING, 1), {})
        record.finish(
            result_of(
                run_id=run.run_id,
                status=state,
                error=None if state == "done" else "reason",
                config=run.job.config.plain(),
                choices=run.job.choices,
                data_fingerprint=run.fingerprint,
                best_val_accuracy=accuracy(run) if state == "done" else None,
                final_val_accuracy=accuracy(run) if state == "done" else None,
                final_train_accuracy=0.5,
                seconds=1.0,
            )
        )
    return planned


def forget_plan(planned):
    """Without its plan.json a sweep's name can be taken by runs of other settings."""
    (planned.folder / "plan.json").unlink()


def test_runs_are_one_row_each_in_the_order_of_the_sweep():
    planned = sweep_on_disk("norm=none,bn", "lr=0.1,0.01", "seed=1,0")
    sweep = sweeps.read(planned.folder)
    assert sweep.factors == ["norm", "lr"]
    told = list(sweep.runs[["norm", "lr", "seed"]].itertuples(index=False, name=None))
    assert told == [
        (norm, lr, seed) for norm in ("none", "bn") for lr in (0.1, 0.01) for seed in (1, 0)
    ]
    assert sweep.runs["variant"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(sweep.epochs) == 16
    assert set(METRICS) - {"lr"} <= set(sweep.epochs.columns)


def test_the_seed_is_never_a_factor():
    sweep = sweeps.read(sweep_on_disk("seed=0,1,2").folder)
    assert sweep.factors == []
    assert sweep.runs["variant"].tolist() == [0, 0, 0]


def test_a_schedule_and_its_base_are_two_factors():
    sweep = sweeps.read(sweep_on_disk("lr=constant,cosine", "lr.base=0.1,0.2").folder)
    assert sweep.factors == ["lr", "lr.base"]


def test_what_a_choice_brings_with_it_is_no_factor_of_its_own():
    sweep = sweeps.read(sweep_on_disk("optimizer=sgd,adamw", "activation=relu,silu").folder)
    assert sweep.factors == ["optimizer", "activation"]


def test_a_number_that_varies_within_a_choice_is_a_factor():
    sweep = sweeps.read(sweep_on_disk("augment=crop", "augment.crop.padding=2,4").folder)
    assert sweep.factors == ["augment.crop.padding"]


def test_runs_of_other_settings_under_one_name_are_never_pooled():
    forget_plan(sweep_on_disk("norm=bn,none", "epochs=2"))
    sweep = sweeps.read(sweep_on_disk("norm=bn,none", "epochs=3").folder)
    assert sweep.factors == ["norm", "epochs"]
    assert sweep.runs["variant"].nunique() == 4


@pytest.mark.parametrize("state", ["pending", "failed", "diverged"])
def test_a_run_that_is_not_done_stays_in_the_table(state):
    planned = sweep_on_disk(
        "norm=bn,none", status=lambda run: state if run.job.choices["norm"] == "bn" else "done"
    )
    sweep = sweeps.read(planned.folder)
    assert sweep.runs["status"].tolist() == [state, "done"]
    assert sweep.runs["best_val_accuracy"].isna().tolist() == [True, False]


def test_damaged_results_are_counted_as_unreadable():
    planned = sweep_on_disk("norm=bn,none,gn")
    for run, text in zip(planned.runs, ("", '{"schema_version": 99}'), strict=False):
        (run.directory / "result.json").write_text(text)
    assert sweeps.read(planned.folder).runs["status"].tolist() == ["unreadable"] * 2 + ["done"]


def test_runs_on_different_images_are_never_pooled():
    """A corrected file under its old name is another dataset, not another seed."""
    given = ("data=npz", "data.path=mine.npz", "data.validation=0.5", "norm=bn,none")
    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    for wrong in (9, 0):
        images[0, 0, 0] = wrong
        np.savez("mine.npz", train_images=images, train_labels=np.arange(40) % 4)
        _loaded.clear()
        planned = planned_on_disk(*given)
        forget_plan(planned)
    sweep = sweeps.read(planned.folder)
    assert "data.fingerprint" in sweep.factors
    assert sweep.runs["variant"].nunique() == 4


def test_the_rate_of_each_epoch_stays_beside_the_factor():
    epochs = sweeps.read(sweep_on_disk("lr=0.1,0.2").folder).epochs
    assert epochs["lr"].tolist() == [0.1, 0.1, 0.2, 0.2]
    assert epochs["epoch_lr"].tolist() == [0.1] * 4


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 0}', '{"schema_version": 1}'])
def test_a_damaged_plan_is_kept_aside_and_written_anew(text):
    planned = sweep_on_disk("norm=bn,none")
    path = planned.folder / "plan.json"
    path.write_text(text)
    assert len(sweeps.read(planned.folder).runs) == 2
    planned.write()
    assert (planned.folder / "plan.unreadable.json").read_text() == text
    assert len(plan_file.read(path)["runs"]) == 2


def test_a_sweep_without_its_plan_is_read_from_its_results():
    planned = sweep_on_disk("norm=bn,none", "lr=0.1,0.2")
    forget_plan(planned)
    sweep = sweeps.read(planned.folder)
    assert sorted(sweep.factors) == ["lr", "norm"]
    assert set(sweep.runs["status"]) == {"done"}


def test_each_run_tells_its_state_its_data_and_what_it_ran_on():
    planned = sweep_on_disk(
        "norm=bn,none,gn",
        status=lambda run: "pending" if run.job.choices["norm"] == "gn" else "done",
    )
    (planned.runs[1].directory / "result.json").unlink()
    sweep = sweeps.read(planned.folder)
    assert sweep.counts == {"done": 1, "diverged": 0, "failed": 0, "pending": 2, "unreadable": 0}
    assert sweep.runs["epoch"].tolist() == [2, 2, 0]
    assert set(sweep.runs["fingerprint"]) == {planned.runs[0].fingerprint[:8]}
    assert sweep.runs["device"].tolist() == ["cpu", None, None]
    assert sweep.runs["stack_size"].tolist()[0] == 1
    assert set(sweep.runs["sweep"]) == {"mine"}
    done, pending, _ = sweep.runs["directory"]
    assert sweep.config(done) == planned.runs[0].job.config.plain()
    assert sweep.config(pending) is None
    assert sweep.settings[planned.runs[2].run_id]["norm"] == "gn"


def test_a_sweep_has_its_baseline_and_its_question():
    planned = sweep_on_disk("norm=bn,none", "sweep.baseline='norm=none'")
    path = planned.folder / "plan.json"
    assert sweeps.read(planned.folder).question is None
    path.write_text(json.dumps({**json.loads(path.read_text()), "question": "Does it help?"}))
    sweep = sweeps.read(planned.folder)
    assert sweep.baseline == planned.baseline == {"norm": "none"}
    assert sweep.question == "Does it help?"


def test_no_setting_has_the_name_of_another_column():
    """Its values would take the place of that column's."""
    for options in ((), ("optimizer=adamw", "augment=crop", "lr=cosine", "norm=gn")):
        planned = plan.make((), (*SMALL, "name=mine", *options))
        for row in planned.rows():
            assert not row["settings"].keys() & RESERVED


def test_foreign_files_are_no_sweeps(tmp_path):
    planned = sweep_on_disk("norm=bn,none")
    outputs = planned.folder.parent
    (outputs / "README.md").touch()
    (outputs / "empty").mkdir()
    (planned.folder / "notes").mkdir()
    (planned.folder / "notes" / "result.txt").touch()
    assert sweeps.folders(outputs) == [planned.folder]
    assert len(sweeps.read(planned.folder).runs) == 2
    assert sweeps.folders(tmp_path / "nowhere") == []


def test_a_missing_metrics_file_leaves_the_run_in_the_table():
    planned = sweep_on_disk("norm=bn,none")
    (planned.runs[0].directory / "metrics.csv").unlink()
    sweep = sweeps.read(planned.folder)
    assert len(sweep.runs) == 2
    assert sweep.epochs["norm"].unique().tolist() == ["none"]


def test_published_numbers_come_along():
    first = "{overrides:'norm=bn',published:{best_val_accuracy:0.7}}"
    variants = f"sweep.variants=[{first},{{overrides:'norm=none'}}]"
    runs = sweeps.read(sweep_on_disk(variants).folder).runs
    assert runs["published.best_val_accuracy"].tolist()[0] == 0.7
    assert pd.isna(runs["published.best_val_accuracy"].tolist()[1])


def test_a_report_never_imports_torch():
    code = "import sys, cnnlab.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
