"""The benchmarks at their smallest: what their tables hold, and their arithmetic."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks import grid, growth, homework, limit, speed, stack
from benchmarks.measure import Settings, Trained, images_in, training_images
from benchmarks.table import keep, spread
from benchmarks.trainers import config_of
from cnnlab.training.assemble import assemble
from cnnlab.training.cost import layer_costs

SMALLEST = ("--images", "256", "--epochs", "1", "--long", "2", "--rounds", "1", "--most", "1")

COLUMNS = {
    "grid": {"done", "start-up s", "compiling s", "s/epoch", "2 epochs s, times faster"},
    "limit": {"MFLOP/image", "GFLOP/s", "limit s/epoch", "s/epoch", "times the limit"},
    "stack": {"epochs/s", "compiling s", "peak MB", "over serial eager", "over better serial"},
    "growth": {"us/image", "us/image, change %", "further us/image, change %"},
    "homework": {"runs", "epochs", "command s", "runs/s", "done", "note"},
}


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def command_of(runs: int, *, start: float, epochs: list[float], stack_size: int = 1) -> Trained:
    """A command of one worker that trains runs alone or in one stack."""
    trained = sum(epochs)
    result = {"status": "done", "seconds": trained, "stack_size": stack_size}
    share = [each / stack_size for each in epochs]
    return Trained(start + runs / stack_size * trained, [result] * runs, [share] * runs)


def test_a_table_says_where_and_when(tmp_path, capsys):
    keep("some", [{"what": "a", **spread("s", [2.0, 1.0, 4.0])}], tmp_path)
    (row,) = read(tmp_path / "some.csv")
    assert (row["s"], row["s, min"], row["s, max"]) == ("2.0", "1.0", "4.0")
    assert "cores" in row["device"]
    assert row["date"] > "2020-01-01"
    assert "torch" in row["versions"]
    assert "2 (1 to 4)" in capsys.readouterr().out


def test_a_stacks_seconds_are_shared_by_its_runs():
    found = command_of(3, start=5, epochs=[9.0, 3.0, 3.0], stack_size=3)
    assert found.work == pytest.approx(15)
    assert found.pace == pytest.approx(3)  # an epoch of the stack
    assert found.compilation == pytest.approx(6)


def test_images_are_the_first_of_a_file(tmp_path):
    labels = np.arange(40) % 10
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "all.npz", train_images=images, train_labels=labels)
    with images_in(20, tmp_path / "all.npz") as path, np.load(path) as file:
        assert np.array_equal(file["train_images"], images[:20])
        assert np.array_equal(file["train_labels"], labels[:20])
    with pytest.raises(SystemExit, match="fewer than 50"), images_in(50, tmp_path / "all.npz"):
        pass
    assert training_images(50_000) == 45_000


def test_many_epochs_of_the_labs_way_are_extrapolated_and_ours_are_measured(monkeypatch):
    def student(_images, way, *arguments):
        seconds = 10.0 if way == (0, "1") else 11.0  # an epoch
        epochs = [seconds] * (1 if "--norms" in arguments else 6)
        return 4.0 + sum(epochs), epochs

    def ours(*overrides):
        epochs = 30 if "epochs=30" in overrides else 1
        return command_of(6, start=5, epochs=[2.0] + [1.0] * (epochs - 1))

    monkeypatch.setattr(grid, "_student", student)
    monkeypatch.setattr(grid, "trained", ours)
    monkeypatch.setattr(grid, "workers", lambda _runs: 1)
    lab, short, long = grid.rows(Settings(rounds=1, images=20, epochs=1))
    assert lab["how"] == "DataLoader workers 0, threads 1"
    assert lab["30 epochs s"] == pytest.approx(4 + 30 * 60)
    assert short["command s"] == pytest.approx(5 + 6 * 2)
    assert long["30 epochs s"] == long["command s"] == pytest.approx(5 + 6 * 31)
    assert long["compiling s"] == pytest.approx(6)
    assert long["start-up s"] == pytest.approx(5)
    assert long["s/epoch, times faster"] == pytest.approx(10)
    assert long["30 epochs s, times faster"] == pytest.approx(1804 / 191)


def test_growth_leaves_out_the_start(monkeypatch):
    def sweep(runs, images, epochs):
        second = 1e-6 * training_images(images) * (2.0 if images < 2_000 else 1.5)
        return command_of(runs, start=7, epochs=[second] * epochs)

    monkeypatch.setattr(growth, "_sweep", sweep)
    rows = growth.rows(Settings(rounds=1, images=1_000, epochs=2))
    runs, images = rows[:3], rows[3:]
    assert [row["runs"] for row in runs] == [1, 10, 100]
    assert [row["us/image, change %"] for row in runs] == pytest.approx([0, 0, 0])
    assert [row["further us/image"] for row in runs[1:]] == pytest.approx([2, 2])
    assert [row["images"] for row in images] == [900, 1_800, 3_600]
    assert [row["us/image, change %"] for row in images] == pytest.approx([0, -25, -25])


def test_a_steps_arithmetic_is_three_forward_passes_but_for_the_images_gradient():
    config = config_of()
    layers = layer_costs(assemble(config, (3, 32, 32), 10), (3, 32, 32))
    macs = {layer.name: layer.macs for layer in layers}
    expected = 2 * (3 * macs[""] - macs["conv1"])
    assert limit.arithmetic(config, (3, 32, 32), 10) == expected


def test_the_limit_and_the_stack_are_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(limit, "SECONDS", 0.01)
    monkeypatch.setattr(
        limit, "trained", lambda *_: command_of(6, start=5, epochs=[1.0], stack_size=1)
    )
    monkeypatch.setattr(stack, "_peak", lambda size, _compiled=False: 100.0 + 10 * size)
    settings = Settings(rounds=2, images=256, epochs=1, most=2, compiled=False)
    measured = limit.rows(settings)
    assert [row["runs"] for row in measured] == [1, 3, 6, 1, 3, 6, 6]
    assert all(row["times the limit"] > 1 for row in measured)
    one, *stacks = stack.rows(settings)
    assert one["over serial eager"] == 1
    assert [row["what"] for row in stacks] == [
        "stack of one seed, eager", "stack of as many seeds, eager",
    ]  # fmt: skip
    for two in stacks:
        assert two["peak MB"] == 20
        assert two["over serial eager"] == pytest.approx(two["epochs/s"] / one["epochs/s"], rel=0.5)


@pytest.mark.slow
def test_the_homework_says_that_its_numbers_are_small(tmp_path):
    (row,) = homework.rows(Settings(rounds=1, images=200, epochs=1, most=1))
    assert row["runs"] == row["done"] == 6
    assert row["note"] == "no CUDA device: small numbers"


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        speed.main(["gird"])
    assert "there are grid, growth" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", speed.BENCHMARKS)
def test_each_benchmark_writes_its_columns(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # is set, and put back
    speed.main([name, *SMALLEST, "--results", str(tmp_path)])
    rows = read(tmp_path / f"{name}.csv")
    assert rows
    assert set(rows[0]) >= COLUMNS[name] | {"what", "device", "date", "versions"}
