"""`cnnlab new`: what it writes works, and it overwrites nothing."""

import subprocess
import sys

import pytest
from conftest import command, python_path

from cnnlab.core.errors import Refused
from cnnlab.starter import new


def test_a_new_project_passes_its_own_tests_and_answers_its_question(tmp_path):
    made = command("run", "new", "mine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "cd mine" in made.stdout
    own = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path / "mine",
        capture_output=True, text=True, env={"PYTHONPATH": python_path(), "PATH": "/usr/bin"},
    )  # fmt: skip
    assert own.returncode == 0, own.stdout
    assert "3 passed" in own.stdout
    quick = ("seeds=2", "epochs=1", "data=synthetic", "data.images=200", "norm=bn,rms")
    done = command("run", "sweeps=question", *quick, cwd=tmp_path / "mine")
    assert "8 done, 0 diverged, 0 failed" in done.stdout, done.stdout + done.stderr
    report = command("report", cwd=tmp_path / "mine")
    assert "Does attention help this network" in report.stdout
    assert "attention=se differs from none" in " ".join(report.stdout.split())


def test_its_options_are_all_described(tmp_path, monkeypatch):
    """Each key of its yaml files has its comment, as in those that ship."""
    new([str(tmp_path / "mine")])
    for path in (tmp_path / "mine" / "conf").rglob("*.yaml"):
        assert path.read_text().startswith("# "), path


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "takes the name of a folder"),
        (["a", "b"], "takes the name of a folder"),
        (["--help"], "takes the name of a folder"),
        (["taken"], "there is taken already"),
        (["model=mine"], "without spaces and '='"),
        (["my project"], "without spaces and '='"),
        (["/proc/mine"], "cannot write there"),
    ],
)
def test_a_name_that_cannot_be_is_refused(arguments, part, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(Refused, match=part):
        new(arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
