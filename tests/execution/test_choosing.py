"""Which runs train together is settled once: in a sweep's plan, and for a machine in its cache."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, SMALL, command, config_of

from cnnlab.data.loading import load
from cnnlab.execution import choosing
from cnnlab.execution.measuring import Measured
from cnnlab.planning.grid import Job
from cnnlab.planning.runs import Run
from cnnlab.records.writer import stack_id

LONG = (*SMALL, "batch_size=8", "epochs=20")


def run(number: int, *overrides: str, epoch: int = 0) -> Run:
    config = config_of(*LONG, f"lr={0.01 * (1 + number)}", *overrides)
    job = Job(config, {}, (), {}, {})
    return Run(f"id{number}", job, load(config.data).fingerprint, Path("x"), None, epoch)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose measurements are what a test says; gives how often it was asked."""
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path / "cache"))
    asked = []

    def made(**seconds: float):
        def measured(questions, environments, shared):
            asked.extend(questions)
            ways = [Measured(int(size[1:]), False, step, 0.0) for size, step in seconds.items()]
            return dict.fromkeys(questions, ways)

        monkeypatch.setattr(choosing, "_measured", measured)
        return asked

    return made


def settled(runs, earlier=(), stack=None, workers=1):
    return choosing.settle(runs, list(earlier), [{}] * workers, stack, None)


def ids(found) -> list[list[str]]:
    return [each["runs"] for each in found.kept]


def test_the_same_runs_form_the_same_stacks_whatever_is_measured_the_second_time(machine):
    runs = [run(number) for number in range(6)]
    asked = machine(s1=0.010, s2=0.008, s6=0.002)
    first = settled(runs)
    machine(s1=0.010, s2=0.002, s6=0.008)
    assert settled(runs).stacks == first.stacks == [[0, 1, 2, 3, 4, 5]]
    assert len(asked) == 1
    assert first.lines == settled(runs).lines
    assert first.lines == [
        "6 runs at a time as one model: measured 5.0 times as fast as one by one."
    ]


def test_runs_that_are_left_stay_in_their_stacks(machine):
    machine(s1=0.010, s3=0.002)
    runs = [run(number) for number in range(6)]
    first = settled(runs, workers=2)
    assert first.stacks == [[0, 1, 2], [3, 4, 5]]
    machine(s1=0.001, s2=0.010)
    left = settled([runs[1], runs[2], runs[5]], first.kept, workers=2)
    assert left.stacks == [[0, 1], [2]]
    assert left.kept == first.kept
    assert settled(runs, first.kept).stacks == first.stacks  # with other workers too


def test_runs_that_were_alone_stay_alone(machine):
    machine(s1=0.010, s2=0.010, s6=0.009)
    runs = [run(number) for number in range(6)]
    first = settled(runs)
    assert first.stacks == [[number] for number in range(6)]
    machine(s1=0.010, s2=0.001, s4=0.001)
    assert settled(runs[2:], first.kept).stacks == [[0], [1], [2], [3]]


def test_runs_that_are_new_form_stacks_among_themselves(machine):
    machine(s1=0.010, s4=0.001)
    runs = [run(number) for number in range(8)]
    first = settled(runs[:4])
    wider = settled(runs, first.kept)
    assert ids(wider) == [["id0", "id1", "id2", "id3"], ["id4", "id5", "id6", "id7"]]
    assert settled(runs[::-1], wider.kept).stacks == [[3, 2, 1, 0], [7, 6, 5, 4]]


def test_a_smaller_stack_that_is_asked_for_is_given(machine):
    machine(s1=0.010, s6=0.001)
    runs = [run(number) for number in range(6)]
    first = settled(runs)
    smaller = settled(runs[2:], first.kept, stack=2)
    assert smaller.stacks == [[0, 1], [2, 3]]
    assert ids(smaller) == [["id0", "id1"], ["id2", "id3"], ["id4", "id5"]]
    assert settled(runs, first.kept, stack=9).stacks == first.stacks


def test_whether_steps_are_compiled_stays_unless_it_is_asked_for():
    kept = [{"runs": ["id0", "id1"], "compiled": True}]
    assert settled([run(0), run(1)], kept).compiled == [True, True]
    assert settled([run(0, "compile=false")], kept).compiled == [False]


def test_a_short_sweep_is_not_measured_and_trains_alone_also_where_much_is_known(machine):
    asked = machine(s1=0.010, s6=0.001)
    settled([run(number) for number in range(6)])
    short = [run(number, "epochs=1") for number in range(6)]
    assert settled(short).stacks == [[number] for number in range(6)]
    assert len(asked) == 1


def test_a_stack_of_runs_that_are_no_longer_alike_is_formed_anew():
    """As after the code of their parts was changed, between a kill and the next command."""
    runs = [run(0), run(1), run(2, "norm=bn"), run(3, "norm=bn")]
    kept = [{"runs": ["id0", "id2"], "compiled": False}, {"runs": ["id1"], "compiled": False}]
    found = settled(runs, kept, stack=2)
    assert found.stacks == [[0], [1], [2, 3]]
    assert ids(found) == [["id1"], ["id0"], ["id2", "id3"]]
    assert settled(runs[::2], kept[:1], stack=2).stacks == [[0], [1]]


def test_a_damaged_plan_that_names_a_run_twice_has_it_trained_once(machine):
    machine(s1=0.010)
    kept = [{"runs": ["id0", "id1"], "compiled": False}, {"runs": ["id1", "id0"], "compiled": True}]
    found = settled([run(0), run(1)], kept)
    assert found.stacks == [[0, 1]]
    assert found.compiled == [False, False]


# --- commands


def project(place: Path) -> Path:
    """A copy of the program with an activation whose number is a plain attribute."""
    for name in ("cnnlab", "conf", "hydra_plugins", "sweeps"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "cnnlab/parts/activation/soft.py").write_text(
        "from torch import nn\n\n\ndef soft(*, beta: float = 1.0):\n"
        "    return nn.Softplus(beta=beta)\n"
    )
    (place / "conf/activation/soft.yaml").write_text(
        "_target_: cnnlab.parts.activation.soft.soft\nbeta: 1.0\n"
    )
    return place


def results(place: Path) -> list[tuple[Path, dict]]:
    found = sorted(place.glob("outputs*/*/*/result.json"))
    return [(path.parent, json.loads(path.read_text())) for path in found]


@pytest.mark.slow
def test_runs_whose_models_differ_in_a_plain_attribute_train_as_alone(tmp_path):
    """All three said what the first one computes, and nothing warned."""
    place = project(tmp_path)
    tables = {}
    for size in (1, 3):
        done = command(
            "run", "-m", "activation=soft", "activation.beta=0.5,1.5,2.5", "norm=bn", *SMALL,
            "epochs=3", "hydra.launcher.workers=1", f"hydra.launcher.stack={size}",
            f"outputs=outputs{size}", cwd=place, environment={"PYTHONPATH": str(place)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        why = "activation.beta differs, and Softplus.beta is a plain attribute."
        assert (f"3 runs trained alone: {why}" in " ".join(done.stdout.split())) == (size == 3)
        for folder, result in results(place):
            tables[size, result["config"]["activation"]["beta"]] = pd.read_csv(
                folder / "metrics.csv"
            )
            assert result["stack_size"] == 1
            assert result["stack"] is None
        shutil.rmtree(place / f"outputs{size}")
    for beta in (0.5, 1.5, 2.5):
        pd.testing.assert_frame_equal(tables[3, beta], tables[1, beta], check_exact=True)
    assert not tables[3, 0.5].equals(tables[3, 1.5])


def test_a_stack_is_named_in_its_records_and_in_the_plan(tmp_path):
    typed = ("run", "-m", "seed=0,1,2", *SMALL, "epochs=2", "name=s", "hydra.launcher.workers=1")
    done = command(*typed, "hydra.launcher.stack=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (kept,) = json.loads((tmp_path / "outputs/s/plan.json").read_text())["stacks"]
    found = [result for _, result in results(tmp_path)]
    assert {result["run_id"] for result in found} == set(kept["runs"])
    assert {result["stack"] for result in found} == {stack_id(kept["runs"])}
    assert stack_id(kept["runs"][::-1]) != stack_id(kept["runs"])


@pytest.mark.slow
def test_the_same_command_in_two_fresh_folders_leaves_the_same_bytes(tmp_path):
    """And a sweep says once what it chose, by which its records were trained."""
    cache = {"CNNLAB_CACHE": str(tmp_path / "cache")}
    typed = ("lr=0.01,0.02,0.03,0.04,0.05", *SMALL, "batch_size=8", "epochs=16")
    places = [tmp_path / name for name in ("one", "two")]
    for number, place in enumerate(places):
        place.mkdir()
        done = command(
            "run", "-m", *typed, "hydra.launcher.workers=1", cwd=place, environment=cache
        )
        assert done.returncode == 0, done.stderr
        assert ("Measuring" in done.stdout) == (number == 0)
    one, two = map(results, places)
    assert [result["stack"] for _, result in one] == [result["stack"] for _, result in two]
    for (mine, _), (theirs, _) in zip(one, two, strict=True):
        for name in ("metrics.csv", "best.safetensors"):
            assert (mine / name).read_bytes() == (theirs / name).read_bytes()
