"""A wheel in an environment of its own, without the clone: what a user who installs it has."""

import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, SMALL

QUICK = (*SMALL, "epochs=1")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The programs of a fresh environment that has the wheel, and sees the packages beside it."""
    place = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", place, ROOT]
    subprocess.run(build, check=True, capture_output=True, cwd=place)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    (site,) = (place / "venv").glob("lib/python*/site-packages")
    outer = sysconfig.get_paths()["purelib"]
    (site / "outer.pth").write_text(f"import sys; sys.path.append({outer!r})\n")
    (wheel,) = place.glob("*.whl")
    python = place / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps"]
    subprocess.run(
        [*install, "--no-index", "--force-reinstall", wheel], check=True, capture_output=True,
        cwd=place,
    )  # fmt: skip
    return python.parent


def ran(installed, program, *arguments, cwd, code=0):
    done = subprocess.run(
        [installed / program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300,
        env={"OMP_NUM_THREADS": "1", "COLUMNS": "80", "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_has_all_options_and_nothing_else_than_the_package(installed):
    (wheel,) = installed.parents[1].glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("conf", "sweeps"):
        for path in (ROOT / folder).rglob("*.yaml"):
            assert f"cnnlab/{path.relative_to(ROOT)}" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cnnlab", "hydra_plugins"}


def test_in_an_empty_folder_a_sweep_trains_and_is_reported(installed, tmp_path):
    where = ran(installed, "python", "-c", "import cnnlab; print(cnnlab.__file__)", cwd=tmp_path)
    assert str(installed.parent) in where
    printed = ran(installed, "cnnlab", "-m", "norm=bn,none", "lr=0.01,0.1", *QUICK, cwd=tmp_path)
    assert "4 done, 0 diverged, 0 failed" in printed
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["outputs"]
    assert "best validation accuracy" in ran(installed, "cnnlab-report", cwd=tmp_path)
    ran(installed, "python", "-m", "cnnlab.report", cwd=tmp_path)
    ran(installed, "cnnlab", "sweeps=bn_lr", "plan=true", *QUICK, cwd=tmp_path)


def test_help_and_completion_know_the_own_groups(installed, tmp_path):
    ran(installed, "cnnlab", "new", "mine", cwd=tmp_path)
    text = ran(installed, "cnnlab", "--help", cwd=tmp_path / "mine")
    assert "attention   none, se" in text
    assert "norm        bn, gn, in, ln, none, rms" in text
    completed = completions(installed, tmp_path / "mine", "attention=")
    assert completed == ["attention=none", "attention=se"]
    assert "norm=rms" in completions(installed, tmp_path / "mine", "norm=")


def completions(installed, cwd, word):
    """What the Tab key offers after a word, in a real bash."""
    script = f"""
        export PATH={installed}:$PATH HOME={cwd}
        eval "$(cnnlab -sc install=bash)"
        COMP_LINE="cnnlab {word}"; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=(cnnlab "{word}")
        COMP_CWORD=1
        hydra_bash_completion cnnlab "{word}" cnnlab
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", textwrap.dedent(script)], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.slow
def test_a_new_project_trains_and_an_edited_network_is_outdated(installed, tmp_path):
    ran(installed, "cnnlab", "new", "mine", cwd=tmp_path)
    mine = tmp_path / "mine"
    quick = ("sweeps=question", "seeds=1", *QUICK)
    assert "4 done, 0 diverged" in ran(installed, "cnnlab", *quick, cwd=mine)
    assert "0 to train" in ran(installed, "cnnlab", *quick, cwd=mine)
    net = (mine / "mynet.py").read_text()
    (mine / "mynet.py").write_text(net.replace("x + block(x)", "x + 0.5 * block(x)"))
    again = ran(installed, "cnnlab", *quick, cwd=mine)
    assert "mynet.py" in again
    assert "4 to train" in again


def test_a_package_can_offer_parts_options_and_sweeps(installed, tmp_path):
    """By the entry point group cnnlab.parts; without it, what is installed cannot be named."""
    (site,) = installed.parent.glob("lib/python*/site-packages")
    package = site / "offering"
    (package / "conf" / "norm").mkdir(parents=True)
    (package / "sweeps").mkdir()
    (package / "__init__.py").write_text(
        "from torch import nn\n\ndef norm(channels):\n    return nn.GroupNorm(2, channels)\n"
    )
    (package / "conf" / "norm" / "theirs.yaml").write_text("_target_: offering.norm\n")
    (package / "sweeps" / "theirs.yaml").write_text(
        "hydra: {sweeper: {params: {norm: 'theirs,none'}}}\n"
    )
    refused = ran(installed, "cnnlab", "norm=theirs", *QUICK, cwd=tmp_path, code=2)
    assert "norm=theirs: no such option" in refused
    info = site / "offering-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cnnlab.parts]\noffering = offering\n")
    printed = ran(installed, "cnnlab", "sweeps=theirs", *QUICK, cwd=tmp_path)
    assert "2 done, 0 diverged, 0 failed" in printed


@pytest.mark.slow
def test_two_projects_with_parts_of_one_name_do_not_mix_in_one_folder(installed, tmp_path):
    for name, factor in (("one", "1.0"), ("other", "0.5")):
        ran(installed, "cnnlab", "new", name, cwd=tmp_path)
        net = tmp_path / name / "mynet.py"
        net.write_text(net.read_text().replace("x + block(x)", f"x + {factor} * block(x)"))
    quick = ("model=mynet", "norm=bn,none", *QUICK, f"outputs={tmp_path / 'outputs'}")
    first = ran(installed, "cnnlab", *quick, "name=s", cwd=tmp_path / "one")
    assert "2 done" in first
    before = {path: path.read_bytes() for path in (tmp_path / "outputs").rglob("result.json")}
    refused = ran(installed, "cnnlab", *quick, "name=s", cwd=tmp_path / "other", code=2)
    assert "is a sweep of the project" in " ".join(refused.split())
    second = ran(installed, "cnnlab", *quick, "name=t", cwd=tmp_path / "other")
    assert "2 runs, 2 to train" in second
    assert {path: path.read_bytes() for path in before} == before
    assert "2 runs, 0 to train" in ran(installed, "cnnlab", *quick, "name=s", cwd=tmp_path / "one")


def test_a_file_named_like_an_installed_module_harms_nobody_or_is_refused(installed, tmp_path):
    """Workers do not take it for theirs; `python -m`, run in its folder, does."""
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')\n")
    (tmp_path / "torch.py").write_text("raise SystemExit('the wrong torch')\n")
    if hasattr(sys.flags, "safe_path"):
        printed = ran(installed, "cnnlab", "-m", "norm=bn,none", *QUICK, cwd=tmp_path)
        assert "2 done, 0 diverged, 0 failed" in printed
    (tmp_path / "json.py").unlink()
    printed = ran(installed, "python", "-m", "cnnlab.run", *QUICK, cwd=tmp_path, code=2)
    assert "torch: a project's file cannot have the name of a module" in printed
