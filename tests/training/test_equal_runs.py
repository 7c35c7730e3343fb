"""Whole runs: stacked or alone, in half the bits, with a model that knows nothing of K, at no cost.

Slow but for the new model; each comparison is paired by seed.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, SMALL, command, config_of
from scipy import stats
from torch.nn import functional as F

from cnnlab.data.batches import Images, supply, training
from cnnlab.data.loading import load
from cnnlab.records.writer import open_record
from cnnlab.training import trainer
from cnnlab.training.assemble import assemble
from cnnlab.training.device import prepare
from cnnlab.training.train import train

HARD = (
    "data=synthetic", "data.images=4000", "data.size=12", "data.noise=70", "data.validation=0.5",
    "batch_size=64", "epochs=8", "lr=cosine", "norm=bn", "augment=cutout", "augment.cutout.size=3",
)  # fmt: skip
"""Patterns deep in noise: accuracies are far from 0.1, which is chance, and from 1."""


def accuracies(place, seeds: Sequence[int], *overrides: str, stacked: bool) -> np.ndarray:
    """(seeds,) best validation accuracies of whole runs, in points of 100."""
    configs = [config_of(*HARD, *overrides, f"seed={seed}") for seed in seeds]
    data = load(configs[0].data)
    records = [open_record(place / str(seed)) for seed in seeds]
    if stacked:
        outcomes = train(configs, data, records)
    else:
        outcomes = [
            train([each], data, [record])[0] for each, record in zip(configs, records, strict=True)
        ]
    assert {record.stack_size for record in records} == {len(seeds) if stacked else 1}
    assert {outcome.status for outcome in outcomes} == {"done"}
    found = 100 * np.array([outcome.best_val_accuracy for outcome in outcomes])
    assert 25 < found.mean() < 95  # where a difference could be seen
    assert found.std() > 0
    return found


def interval(differences: np.ndarray) -> tuple[float, float]:
    """The paired 95% t interval; of no width where all differences are alike."""
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return differences.mean() - half, differences.mean() + half


@pytest.mark.slow
def test_twenty_seeds_stacked_come_as_far_as_the_same_twenty_alone(tmp_path):
    seeds = range(20)
    together = accuracies(tmp_path / "together", seeds, stacked=True)
    alone = accuracies(tmp_path / "alone", seeds, stacked=False)
    differences = together - alone
    low, high = interval(differences)
    print(f"\nstacked - alone: {differences.mean():+.4f} [{low:+.4f}, {high:+.4f}] points,"
          f" mean absolute {np.abs(differences).mean():.4f}, alone {alone.mean():.2f}"
          f" (sd {alone.std(ddof=1):.2f})")  # fmt: skip
    assert low <= 0 <= high
    # Another rounding may turn an image at the border; another seed moves the accuracy by a point.
    assert np.abs(differences).mean() < 0.5


@pytest.mark.slow
def test_accuracy_in_bf16_is_that_in_fp32_within_one_and_a_half_points(tmp_path):
    """Equivalence: the whole 95% interval of the difference lies within the margin."""
    seeds = range(10)
    full = accuracies(tmp_path / "full", seeds, stacked=True)
    half = accuracies(tmp_path / "half", seeds, "precision=bf16", stacked=True)
    differences = half - full
    low, high = interval(differences)
    print(f"\nbf16 - fp32: {differences.mean():+.4f} [{low:+.4f}, {high:+.4f}] points")
    assert np.any(differences != 0)  # bf16 was used
    assert low > -1.5
    assert high < 1.5


MODEL = '''import torch
from torch import nn


class Plain(nn.Module):
    """A shortcut around a convolution, as most networks have; no word of how many there are."""

    def __init__(self, shape, classes, norm, activation, *, width: int = 6):
        super().__init__()
        self.first = nn.Conv2d(shape[0], width, 3, padding=1)
        self.norm = norm(width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.activation = activation()
        self.scale = nn.Parameter(torch.ones(width, 1, 1))
        self.last = nn.Linear(width, classes)

    def forward(self, x):
        x = self.activation(self.norm(self.first(x)))
        x = x + self.scale * self.activation(self.second(x))
        return self.last(x.mean((2, 3)))
'''


@pytest.mark.slow
def test_a_new_model_that_knows_nothing_of_stacks_trains_in_one_by_the_command(tmp_path):
    for name in ("cnnlab", "conf", "hydra_plugins", "sweeps"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "cnnlab/parts/model/plain.py").write_text(MODEL)
    (tmp_path / "conf/model/plain.yaml").write_text(
        "_target_: cnnlab.parts.model.plain.Plain\nwidth: 6\n"
    )
    metrics = {}
    for size in (3, 1):
        done = command(
            "run", "-m", "model=plain", "norm=bn", "seed=0,1,2", *SMALL, "epochs=3", "lr=0.05",
            "compile=false", "hydra.launcher.workers=1", f"hydra.launcher.stack={size}",
            f"name=s{size}", f"outputs={tmp_path / f'outputs{size}'}", cwd=tmp_path,
            environment={"PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for path in (tmp_path / f"outputs{size}").glob("*/*/result.json"):
            result = json.loads(path.read_text())
            assert result["stack_size"] == size
            assert result["config"]["model"]["_target_"] == "cnnlab.parts.model.plain.Plain"
            metrics[size, result["config"]["seed"]] = pd.read_csv(path.parent / "metrics.csv")
    assert len(metrics) == 6
    for seed in range(3):
        pd.testing.assert_frame_equal(metrics[3, seed], metrics[1, seed], rtol=1e-4, atol=1e-4)
        losses = metrics[1, seed]["train_loss"]
        assert losses.iloc[-1] < losses.iloc[0]
    assert not metrics[3, 0].equals(metrics[3, 1])


# --- the cost of a stack of one

STEPS = 5


def both_loops(norm: str, monkeypatch) -> tuple[Callable[[], None], Callable[[], None]]:
    """An epoch of `Trainer`, and of a plain loop with the same augmented batches of 128."""
    config = config_of(
        "data=synthetic", f"data.images={2 * STEPS * 128}", "data.validation=0.5", f"norm={norm}",
        "augment=crop_flip", "epochs=1000",
    )  # fmt: skip
    device = torch.device("cpu")
    prepare(device, config.precision)
    data = load(config.data)
    images = supply(data, device, torch.float32)
    ours = trainer.Trainer([config], [assemble(config, data.shape, 10)], images)
    batches = list(
        training(
            Images(data.train, device), images.normalise, ours.seeds, ours.operations, 1, 128
        )
    )  # fmt: skip
    monkeypatch.setattr(trainer, "training", lambda *_: iter(batches))
    model = assemble(config, data.shape, 10).to(memory_format=torch.channels_last)
    numbers = {key: value for key, value in config.optimizer.items() if key != "_target_"}
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr["base"], **numbers)

    def plain() -> None:
        total, correct = torch.zeros(()), torch.zeros((), dtype=torch.long)
        for batch, labels in batches:
            logits = model(batch[0])
            loss = F.cross_entropy(logits, labels[0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(labels[0])
            correct += (logits.argmax(1) == labels[0]).sum()

    return lambda: ours.epoch(1, lambda step: None), plain


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "bn"])
def test_a_stack_of_one_costs_no_more_than_a_plain_loop(norm, monkeypatch):
    """The two take turns of some steps, so that both meet the same neighbours."""
    ours, plain = both_loops(norm, monkeypatch)
    ours(), plain()  # the first steps make the optimizers' averages
    rounds = []
    while len(rounds) < 5 and min(rounds, default=np.inf) > 1.03:  # a shared machine is noisy
        ratios = [cpu_time(ours) / cpu_time(plain) for _ in range(20)]
        rounds.append(float(np.median(ratios)))
    print(f"\nnorm={norm}: Trainer / plain loop {[round(each, 3) for each in rounds]}")
    assert rounds[-1] <= 1.03


def cpu_time(loop: Callable[[], None]) -> float:
    begin = time.thread_time()
    loop()
    return time.thread_time() - begin
