"""Records made by an earlier version are found, reused, continued and reported by this one.

`golden/run_ids.json` holds run ids, and `golden/outputs` a sweep, as cnnlab 0.2.0 made them (commit
9f8afc9): two runs done, one diverged, one failed, and one that was killed after its first epoch. To
keep it small, only the first has its best.safetensors, which no command reads again. None of this
is made anew: where a change of the ids is meant, `SCHEMA_VERSION` is raised with it.
"""

import csv
import json
import shutil
from pathlib import Path

import pytest
from conftest import command, config_of
from omegaconf import OmegaConf

from cnnlab.core.errors import MOVED
from cnnlab.core.provenance import versions
from cnnlab.data.loading import load
from cnnlab.planning.expansion import expand
from cnnlab.records import checkpoint
from cnnlab.records.identity import run_id
from cnnlab.training.device import describe, resolve

GOLDEN = Path(__file__).resolve().parent / "golden"
IDS = json.loads((GOLDEN / "run_ids.json").read_text(encoding="utf-8"))

TYPED = (
    "-m", "name=golden", "epochs=3", "data=synthetic", "data.images=80", "data.size=12",
    "data.classes=4", "batch_size=32", "sweep.design=zip", "norm=bn,none,none,ln,gn",
    "activation=relu,silu,relu,relu,relu", "augment=none,crop_flip,none,none,none",
    "lr=0.01,0.02,1e30,0.02,0.1",
)  # fmt: skip
"""The command that made the sweep."""

DONE, DONE_TOO = (
    "norm-bn_activation-relu_augment-none_lr-0.01_seed-0-78fbc1d2",
    "norm-none_activation-silu_augment-crop_flip_lr-0.02_seed-0-e9872f5b",
)
DIVERGED = "norm-none_activation-relu_augment-none_lr-1e30_seed-0-a2919d75"
FAILED = "norm-gn_lr-0.1_seed-0-c229c28b"
PARTLY = "norm-ln_activation-relu_augment-none_lr-0.02_seed-0-44e7f14b"


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def status(folder: Path) -> str:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))["status"]


@pytest.fixture
def sweep(tmp_path) -> Path:
    """A copy of the golden sweep, as if it had been trained on this machine.

    A checkpoint is continued only with the versions and on the device that it was made with. So its
    `made_with` is rewritten to what is here, and nothing else of it.
    """
    folder = tmp_path / "outputs" / "golden"
    shutil.copytree(GOLDEN / "outputs" / "golden", folder)
    state = checkpoint.read(folder / PARTLY)
    state.made_with = {"versions": versions(), "device": describe(resolve("auto"))}
    checkpoint.write(folder / PARTLY, state)
    return folder


def now(text):
    """What was typed then, as it is typed now."""
    key, _, value = text.partition("=")
    return f"{MOVED[key]}={value}" if key in MOVED else text


def test_every_option_and_key_keeps_its_run_id():
    ids = {
        text: run_id(config_of(*now(text).split()).plain(), "fingerprint")
        for text in IDS["overrides"]
    }
    assert ids == IDS["overrides"]


@pytest.mark.parametrize("name", IDS["sweeps"])
def test_every_run_of_a_named_sweep_keeps_its_run_id(name):
    made = expand((), (f"sweeps={name}",))
    assert made.faults == []
    assert {
        " ".join(f"{key}={value}" for key, value in job.values.items()): run_id(
            job.config.plain(), "fingerprint"
        )
        for job in made.jobs
    } == IDS["sweeps"][name]


@pytest.mark.parametrize("name", [DONE, DONE_TOO, DIVERGED, PARTLY])
def test_what_hydra_wrote_beside_a_record_still_composes_to_its_run(name):
    """With the data's own fingerprint, which no version of NumPy or scikit-learn may change."""
    folder = GOLDEN / "outputs" / "golden" / name
    config = config_of(*OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
    assert run_id(config.plain(), load(config.data).fingerprint).startswith(name[-8:])


def test_the_same_command_trains_only_what_is_missing(sweep, tmp_path):
    before = {name: content(sweep / name) for name in (DONE, DONE_TOO, DIVERGED, FAILED)}
    first = (sweep / PARTLY / "metrics.csv").read_text()
    finished = command("run", *TYPED, cwd=tmp_path)
    assert finished.returncode == 1, finished.stderr
    assert "Sweep golden: 5 runs, 1 to train." in finished.stdout
    assert "3 done, 1 diverged, 1 failed." in finished.stdout
    assert {name: content(sweep / name) for name in before} == before
    assert status(sweep / PARTLY) == "done"
    assert "Continued after epoch 1" in (sweep / PARTLY / "run.log").read_text()
    rows = (sweep / PARTLY / "metrics.csv").read_text()
    assert rows.startswith(first)
    assert [row.partition(",")[0] for row in rows.splitlines()] == ["epoch", "1", "2", "3"]
    assert {path.name for path in sweep.iterdir()} == {*before, PARTLY, "plan.json"}


def test_the_failed_run_is_trained_where_one_asks_for_it(sweep, tmp_path):
    finished = command("run", *TYPED, "retry=failed", cwd=tmp_path)
    assert "Sweep golden: 5 runs, 2 to train." in finished.stdout, finished.stderr
    assert "4 done, 1 diverged, 0 failed." in finished.stdout
    assert status(sweep / FAILED) == "done"


def test_the_report_reads_every_record(sweep, tmp_path):
    reported = command("report", "name=golden", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    with open(sweep / "report" / "runs.csv", encoding="utf-8", newline="") as file:
        rows = {row["directory"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {
        DONE: "done", DONE_TOO: "done", DIVERGED: "diverged", FAILED: "failed", PARTLY: "pending",
    }  # fmt: skip
    assert [rows[name]["best_val_accuracy"] for name in (DONE, DONE_TOO)] == ["0.5", "0.25"]
    assert rows[PARTLY]["epoch"] == "1"
