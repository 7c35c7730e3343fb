"""Code that changed after a run was trained: its old number is never printed as the new code's."""

import json
import shutil

import pytest
from conftest import ROOT, SMALL, command

RUN = (*SMALL, "epochs=1", "compile=false", "name=s")
MODEL = "cnnlab/parts/model/simplenn.py"


@pytest.fixture
def project(tmp_path):
    """A copy of the project that can be edited."""
    for name in ("cnnlab", "conf", "hydra_plugins", "sweeps"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(project, path, old, new):
    text = (project / path).read_text()
    assert old in text
    (project / path).write_text(text.replace(old, new))


def without_bias(project):
    edit(project, MODEL, "channels, 8, 5)", "channels, 8, 5, bias=False)")


def typed(project, *arguments):
    done = command(
        "run", *RUN, *arguments, cwd=project,
        environment={"PYTHONPATH": str(project), "COLUMNS": "300"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def results(folder):
    """Each record of a folder, by its directory's name."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/result.json")}


def only(folder):
    (result,) = results(folder).values()
    return result


@pytest.mark.parametrize("launcher", ["hydra.launcher.workers=1", "hydra/launcher=basic"])
def test_a_run_whose_models_file_was_edited_is_trained_anew(project, launcher):
    typed(project, launcher)
    old = only(project / "outputs/s")
    without_bias(project)
    planned = typed(project, launcher, "plan=true")
    assert "1 outdated; 1 will train." in planned
    assert only(project / "outputs/s") == old
    printed = typed(project, launcher)
    assert f"{MODEL}: 1 run" in printed
    new = only(project / "outputs/s")
    assert new["run_id"] == old["run_id"]
    assert new["parameters"] == old["parameters"] - 8
    assert only(project / "outputs/s/aside") == old
    assert "0 to train" in typed(project, launcher)
