"""The command as a person types it: real processes, real records."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import ROOT, SMALL, command, python_path

from cnnlab.config.launcher import SETTINGS, LauncherConf
from cnnlab.config.schema import COMMAND
from cnnlab.planning.expansion import expand
from cnnlab.records import checkpoint
from cnnlab.records.schema import read_result
from cnnlab.run import EXAMPLES

QUICK = (*SMALL, "epochs=2")


def results(outputs):
    return {path.parent: json.loads(path.read_text()) for path in outputs.glob("*/*/result.json")}


def times(outputs):
    """When each file of each record was last written."""
    return {path: path.stat().st_mtime_ns for path in outputs.glob("*/*/*.*")}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The README's sweep, on small images."""
    place = tmp_path_factory.mktemp("grid")
    done = command("run", "-m", "norm=bn,none", "lr=0.01,0.02,0.1", *QUICK, "name=g", cwd=place)
    return place, done


def test_a_grid_trains_every_cell_and_leaves_whole_records(grid):
    place, done = grid
    assert done.returncode == 0, done.stderr
    found = results(place / "outputs")
    cells = {(r["choices"]["norm"], r["config"]["lr"]["base"]) for r in found.values()}
    assert cells == {(norm, lr) for norm in ("bn", "none") for lr in (0.01, 0.02, 0.1)}
    for directory, result in found.items():
        assert {path.name for path in directory.iterdir()} == {
            ".hydra", "metrics.csv", "timing.csv", "best.safetensors", "result.json", "run.log",
        }  # fmt: skip
        metrics = pd.read_csv(directory / "metrics.csv")
        assert metrics["epoch"].tolist() == [1, 2]
        assert result["best_val_accuracy"] == metrics["val_accuracy"].max()
        assert result["status"] == "done"
        assert result["stack_size"] == 1
        assert result["test_accuracy"] is None
        assert not set(COMMAND) & set(result["config"])  # they are of the sweep, not of a run
        assert {"torch", "hydra-core", "python"} <= set(result["versions"])
        assert re.fullmatch(r"[0-9a-f]{32}", result["run_id"])
        assert directory.name.endswith(result["run_id"][:8])


def test_what_is_printed_fits_a_terminal_of_80_columns(grid):
    lines = grid[1].stdout.splitlines()
    assert max(map(len, (line for line in lines if not line.startswith("Record: ")))) <= 80


def test_what_is_printed_is_what_a_person_wants_to_know(grid):
    """A line a finished run, and the best so far wherever that changes; no run's own log."""
    place, done = grid
    first, *lines, last = done.stdout.splitlines()
    assert first == "Sweep g: 6 runs, 6 to train."
    assert last == "6 done, 0 diverged, 0 failed. Compare: python -m cnnlab.report name=g"
    runs = [line for line in lines if line.startswith("[")]
    assert [line[:6] for line in runs] == [f"[{number}/6] " for number in range(1, 7)]
    told = {re.fullmatch(r"\[\d/6\] (.+), \d+\.\d s", line).group(1) for line in runs}
    found = results(place / "outputs").values()
    assert told == {
        f"norm={r['choices']['norm']} lr={r['config']['lr']['base']} seed=0: "
        f"{r['best_val_accuracy']:.4f} at epoch {r['best_epoch']}"
        for r in found
    }
    leaders = [line for line in lines if line not in runs]
    assert all(line.startswith("      best so far: norm=") for line in leaders)
    assert leaders[-1].endswith(f", {max(r['best_val_accuracy'] for r in found):.4f}")
    accuracies = [line[-6:] for line in leaders]
    assert accuracies == sorted(accuracies)


def test_the_same_command_again_trains_nothing(grid):
    place, _ = grid
    before = times(place / "outputs")
    assert len(before) == 6 * 6
    again = command("run", "-m", "lr=1e-2,0.02,0.1", "norm=bn,none", *QUICK, "name=g", cwd=place)
    assert again.returncode == 0
    assert "6 runs, 0 to train" in again.stdout
    assert times(place / "outputs") == before


def test_a_single_run_prints_its_log_and_is_told_not_trained_where_it_is_there(tmp_path):
    first = command("run", *QUICK, cwd=tmp_path)
    again = command("run", *QUICK, cwd=tmp_path)
    ((directory, result),) = results(tmp_path / "outputs").items()
    assert "1 run, 1 to train." in first.stdout
    assert re.search(r"SimpleNN, [\d,]+ parameters, on (cpu|cuda|mps) \(", first.stdout)
    assert "72 training and 8 validation images of 3x12x12" in first.stdout
    assert len(re.findall(r"^epoch   [12]  .* s(?:  best)?$", first.stdout, re.M)) == 2
    best = f"{result['best_val_accuracy']:.4f} (epoch {result['best_epoch']})"
    for done in (first, again):
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(f"Best validation accuracy: {best}\n") == 1
        assert done.stdout.count("Record: ") == 1
        assert str(directory.relative_to(tmp_path)) in done.stdout
    assert "1 run, 0 to train." in again.stdout
    assert "epoch   1" not in again.stdout


def test_the_same_run_elsewhere_leaves_the_same_metrics_and_weights(grid):
    """Byte for byte, although the launcher trained other runs before it there."""
    place, _ = grid
    command("run", "norm=none", "lr=0.1", *QUICK, "outputs=again", cwd=place)
    (again,) = results(place / "again")
    (first,) = (path for path in results(place / "outputs") if path.name[-8:] == again.name[-8:])
    for file in ("metrics.csv", "best.safetensors"):
        assert (first / file).read_bytes() == (again / file).read_bytes()


def test_rates_and_schedules_are_typed_as_the_readme_says(tmp_path):
    """Two runs: the two spellings of a rate are one."""
    typed = ("-m", "lr=cosine", "lr.base=0.05,0.1,5e-2")
    done = command("run", *typed, *QUICK, "epochs=1", cwd=tmp_path)
    assert "2 runs, 2 to train" in done.stdout, done.stderr
    found = results(tmp_path / "outputs").values()
    assert sorted(result["config"]["lr"]["base"] for result in found) == [0.05, 0.1]
    assert {result["choices"]["lr"] for result in found} == {"cosine"}


def test_a_named_sweep_needs_no_flag_and_takes_overrides(tmp_path):
    done = command("run", "sweeps=bn_lr", *QUICK, "norm=bn", "epochs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(results(tmp_path / "outputs")) == 3
    assert (tmp_path / "outputs" / "bn_lr" / "plan.json").is_file()


def test_one_bad_run_costs_only_itself(tmp_path):
    """A norm that raises in its second run: recorded, listed, counted, its traceback in its log."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "import cnnlab.parts.norm.gn as gn\n"
        "original = gn.nn.GroupNorm.forward\n"
        "def broken(self, x):\n"
        "    if self.training and x.shape[0] > 2: raise RuntimeError('broken on purpose')\n"
        "    return original(self, x)\n"
        "gn.nn.GroupNorm.forward = broken\n"
    )
    done = command(
        "run", "-m", "norm=bn,gn,none", *QUICK, "name=s", cwd=tmp_path,
        environment={"PYTHONPATH": python_path(tmp_path)},
    )  # fmt: skip
    found = {r["choices"]["norm"]: (d, r) for d, r in results(tmp_path / "outputs").items()}
    assert done.returncode == 1
    assert {norm: r["status"] for norm, (_, r) in found.items()} == {
        "bn": "done", "gn": "failed", "none": "done",
    }  # fmt: skip
    directory, result = found["gn"]
    assert result["error"] == "RuntimeError: broken on purpose"
    assert "Traceback" in (directory / "run.log").read_text()
    assert "Traceback" not in done.stdout + done.stderr
    assert "Failed: norm=gn seed 0: RuntimeError: broken on purpose." in done.stdout
    assert str(directory) in done.stdout
    assert "2 done, 0 diverged, 1 failed." in done.stdout
    assert "retry=failed, added to the same command, trains failed runs again." in done.stdout
    # Mended, the same command lists it again; with retry=failed it trains that, and nothing else.
    (tmp_path / "sitecustomize.py").unlink()
    before = times(tmp_path / "outputs")
    listed = command("run", "-m", "norm=bn,gn,none", *QUICK, "name=s", cwd=tmp_path)
    assert listed.returncode == 1
    assert "3 runs, 0 to train" in listed.stdout
    assert "Failed: norm=gn seed 0: RuntimeError: broken on purpose." in listed.stdout
    assert str(directory.relative_to(tmp_path)) in listed.stdout
    assert times(tmp_path / "outputs") == before
    again = command("run", "-m", "norm=bn,gn,none", *QUICK, "name=s", "retry=failed", cwd=tmp_path)
    assert again.returncode == 0
    assert "3 runs, 1 to train" in again.stdout
    assert "3 done, 0 diverged, 0 failed." in again.stdout
    assert read_result(directory)["status"] == "done"
    after = times(tmp_path / "outputs")
    others = {path for path in after if path.parent != directory}
    assert len(others) == 2 * 6
    assert all(after[path] == before[path] for path in others)


def test_a_diverged_run_is_counted_and_not_trained_again(tmp_path):
    done = command("run", "-m", "lr=0.01,1e20", *QUICK, cwd=tmp_path)
    assert done.returncode == 1
    told = r"^\[\d/2\] lr=1e20 seed=0: diverged\n  the loss is not finite at epoch 1, step \d"
    assert re.search(told, done.stdout, re.M)
    assert "1 done, 1 diverged, 0 failed." in done.stdout
    for more in ((), ("retry=failed",)):
        again = command("run", "-m", "lr=0.01,1e20", *QUICK, *more, cwd=tmp_path)
        assert "0 to train" in again.stdout
        assert "1 done, 1 diverged, 0 failed." in again.stdout
        assert again.returncode == 1


@pytest.mark.slow
def test_runs_that_diverged_for_one_reason_are_told_once(tmp_path):
    typed = ("-m", "lr=1e20,1e21", "seeds=3", *QUICK, "hydra.launcher.workers=1", "name=d")
    done = command("run", *typed, cwd=tmp_path)
    assert done.returncode == 1
    told = " ".join(done.stdout.split())  # long lines are folded
    assert told.count("the loss is not finite") == 2  # when it happens, and at the end
    assert "Diverged: 6 runs (lr=1e20 seeds 0-2; lr=1e21 seeds 0-2): the loss" in told
    reported = command("report", "name=d", cwd=tmp_path)
    told = " ".join(reported.stdout.split())
    assert told.count("the loss is not finite") == 1
    assert "Diverged: 6 runs (lr=1e20 seeds 0-2; lr=1e21 seeds 0-2): the loss" in told


@pytest.mark.slow
def test_a_single_run_that_diverged_says_so_each_time(tmp_path):
    for _ in range(2):
        done = command("run", "lr=1e20", *QUICK, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stdout.count("Diverged: seed 0: the loss is not finite at epoch 1, step ") == 1
    assert "0 to train" in done.stdout


def test_ctrl_c_ends_with_130_and_a_line_and_keeps_the_finished_epochs(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnlab.run", *SMALL, "epochs=100000"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background jobs ignore the signal, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        for _ in range(1200):
            if list(tmp_path.glob("outputs/*/*/metrics.csv")):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Interrupted. The same command goes on from here." in output
    assert "Traceback" not in output + errors
    assert results(tmp_path / "outputs") == {}
    (path,) = tmp_path.glob("outputs/*/*/metrics.csv")
    epochs = pd.read_csv(path)["epoch"].tolist()
    assert epochs == list(range(1, len(epochs) + 1)) != []
    assert checkpoint.read(path.parent).epoch == epochs[-1]


REFUSED = [
    "norm=batchnorm", "lr=-1", "lr=0.1,cosine", "+typo=1", "modle=simplenn", "device=cuda:99",
    "data=npz", "sweeps=unknown", "hydra/launcher=nope", "--frobnicate", "--config-dir=/nowhere",
]  # fmt: skip


@pytest.mark.parametrize("typed", REFUSED)
def test_bad_input_exits_with_2_before_anything_is_written(typed, tmp_path):
    done = command("run", "-m", typed, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Refused: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_flags_may_stand_anywhere(tmp_path):
    done = command("run", "norm=bn", "-m", "lr=0.1,0.2", *QUICK, "epochs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(results(tmp_path / "outputs")) == 2


def test_cfg_refuses_what_a_run_would_refuse(tmp_path):
    done = command("run", "--cfg", "job", "modle=simplenn", "epochs=0", cwd=tmp_path)
    assert done.returncode == 2
    assert "2 faults" in done.stderr


def test_the_help_is_ours_and_lists_every_group_with_five_examples(tmp_path):
    done = command("run", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("cifar10", "bn", "silu", "crop_flip", "cosine", "adamw", "homework", "epochs"):
        assert word in done.stdout
    examples = [row for row in done.stdout.splitlines() if row.startswith("  python -m cnnlab")]
    assert len(examples) == 5
    assert max(map(len, done.stdout.splitlines())) <= 79


def test_every_example_of_the_help_and_the_readme_expands_without_a_fault(tmp_path):
    (tmp_path / "my.npz").touch()
    (tmp_path / "my_images").mkdir()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^    python -m cnnlab\.run(.*)", readme, re.M)
    inline = re.findall(r"`python -m cnnlab\.run (.+?)`", readme)
    lines = [*shown, *inline, *re.findall(r"cnnlab\.run(.*)", EXAMPLES)]
    assert len(lines) > 15
    for line in lines:
        words = [word for word in line.partition("#")[0].split() if not word.startswith("-")]
        words = [word.replace("rms,", "") for word in words]  # the norm that the reader writes
        assert expand((), words).faults == [], line


def test_cfg_job_prints_the_config(tmp_path):
    done = command("run", "--cfg", "job", "lr=0.05", "norm=bn", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "base: 0.05" in done.stdout
    assert "_target_: cnnlab.parts.norm.bn.bn" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_tab_completion_in_bash_knows_groups_options_and_keys(tmp_path):
    """In a real bash, with the script that setup.cfg's entry point would install."""
    script = tmp_path / "cnnlab"
    script.write_text(f"#!{sys.executable}\nfrom cnnlab.run import main\nmain()\n")
    script.chmod(0o755)
    bash = 'eval "$(cnnlab -sc install=bash)"\n'
    for word in ("norm=", "sweeps=b", "optimizer.mom"):
        bash += (
            f"COMP_WORDS=(cnnlab {word}); COMP_CWORD=1; COMP_LINE='cnnlab {word}'\n"
            'COMP_POINT=${#COMP_LINE}; hydra_bash_completion; echo "${COMPREPLY[@]}"\n'
        )
    done = subprocess.run(
        ["bash", "-c", bash], capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": python_path()},
    )  # fmt: skip
    norms, sweeps, keys = done.stdout.splitlines()
    assert norms.split() == ["norm=bn", "norm=gn", "norm=in", "norm=ln", "norm=none"]
    assert sweeps.split() == ["sweeps=bn_lr"]
    assert keys.split() == ["optimizer.momentum="]


def test_evaluate_test_is_written_to_the_record(tmp_path):
    done = command("run", "data.size=12", "epochs=1", "evaluate_test=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = results(tmp_path / "outputs").values()
    assert 0 <= result["test_accuracy"] <= 1


def test_the_outputs_may_lie_in_a_folder_with_strange_letters(tmp_path):
    place = "my 'out, [1]=ü"
    done = command("run", *QUICK, f'outputs="{place}"', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(results(tmp_path / place)) == 1


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow)])
def test_a_run_needs_nothing_from_our_launcher(launcher, grid, tmp_path):
    """Only Hydra's own call; and leaves the same, byte for byte."""
    typed = ("-m", "norm=bn,none", "lr=0.1", *QUICK, f"hydra/launcher={launcher}")
    done = command("run", *typed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "outputs")
    assert len(found) == 2
    ours = {path.name[-8:]: path for path in results(grid[0] / "outputs")}
    for directory in found:
        for file in ("metrics.csv", "best.safetensors"):
            assert (directory / file).read_bytes() == (
                ours[directory.name[-8:]] / file
            ).read_bytes()


def test_the_help_tells_of_every_setting_of_the_launcher():
    assert set(SETTINGS) == set(LauncherConf.__dataclass_fields__) - {"_target_"}
