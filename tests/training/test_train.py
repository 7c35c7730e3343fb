"""Training: what it computes, what it says, what it leaves."""

import csv
import json
import logging
import math

import pytest
import torch
from conftest import SMALL, config_of
from safetensors.torch import load_file
from torch.nn import functional as F

from cnnlab.config.targets import build, configured
from cnnlab.data.batches import Images, Normalise, Seeds, training
from cnnlab.data.loading import load
from cnnlab.records.schema import METRICS, TIMING
from cnnlab.records.writer import open_record
from cnnlab.training.assemble import assemble
from cnnlab.training.train import train


def trained(directory, *overrides):
    config = config_of(*SMALL, *overrides)
    data = load(config.data)
    return train([config], data, [open_record(directory)])[0], config, data


def evaluated(model, split, data):
    """Loss and accuracy of a module on a whole split, in one batch of plain PyTorch."""
    normalise = Normalise(data.train, torch.device("cpu"))
    model.eval()
    with torch.no_grad():
        logits = model(normalise(Images(split, torch.device("cpu"))[:]))
    labels = torch.from_numpy(split.labels)
    accuracy = (logits.argmax(1) == labels).float().mean()
    return float(F.cross_entropy(logits, labels)), float(accuracy)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("norm", ["none", "bn"])
def test_a_run_equals_a_plain_pytorch_loop(optimizer, norm, tmp_path):
    """The loop that a student writes: modules, torch.optim, a learning-rate for each step."""
    outcome, config, data = trained(
        tmp_path, "epochs=3", f"norm={norm}", f"optimizer={optimizer}", "lr=cosine",
        "augment=crop_flip", "lr.base=0.01" if optimizer == "sgd" else "lr.base=0.001",
    )  # fmt: skip
    model = assemble(config, data.shape, len(data.classes))
    tolerance = 1e-5 if optimizer == "sgd" else 1e-4  # Adam divides by roots near 0
    numbers = {k: v for k, v in config.optimizer.items() if k not in ("_target_", "exclude")}
    if optimizer == "sgd":
        theirs = torch.optim.SGD(model.parameters(), lr=1, **numbers)
    else:
        betas = numbers.pop("beta1"), numbers.pop("beta2")
        theirs = torch.optim.AdamW(model.parameters(), lr=1, betas=betas, **numbers)
    images = Images(data.train, torch.device("cpu"))
    normalise = Normalise(data.train, torch.device("cpu"))
    operations = [{name: configured(part) for name, part in config.augment.items()}]
    rates = iter(build(config.lr, config.epochs, math.ceil(len(images) / config.batch_size)))
    for epoch, row in enumerate(rows(tmp_path / "metrics.csv"), 1):
        total = right = 0
        model.train()
        seeds = [Seeds(config.seed, config.seed)]
        for batch, labels in training(images, normalise, seeds, operations, epoch, 32):
            theirs.param_groups[0]["lr"] = next(rates)
            theirs.zero_grad()
            logits = model(batch[0])
            loss = F.cross_entropy(logits, labels[0])
            loss.backward()
            theirs.step()
            total += float(loss.detach()) * len(labels[0])
            right += int((logits.argmax(1) == labels[0]).sum())
        assert float(row["train_loss"]) == pytest.approx(total / len(images), abs=tolerance)
        assert float(row["train_accuracy"]) == pytest.approx(right / len(images), abs=1e-6)
        loss, accuracy = evaluated(model, data.val, data)
        assert float(row["val_loss"]) == pytest.approx(loss, abs=tolerance)
        assert float(row["val_accuracy"]) == pytest.approx(accuracy, abs=1e-6)
    assert outcome.final_val_accuracy == float(row["val_accuracy"])


@pytest.mark.parametrize("norm", ["none", "bn"])
def test_two_runs_of_a_seed_leave_identical_metrics_and_weights(norm, tmp_path):
    for name in ("one", "two"):
        torch.manual_seed(hash(name) % 1000)  # the global generator must not matter
        trained(tmp_path / name, "epochs=3", f"norm={norm}", "augment=crop_flip_cutout")
    for file in ("metrics.csv", "best.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    trained(tmp_path / "other", "epochs=3", f"norm={norm}", "seed=1")
    assert rows(tmp_path / "one/metrics.csv") != rows(tmp_path / "other/metrics.csv")


def test_the_record_holds_the_best_epoch(tmp_path):
    outcome, config, data = trained(tmp_path, "epochs=6", "lr=0.05")
    found = rows(tmp_path / "metrics.csv")
    assert [int(row["epoch"]) for row in found] == [1, 2, 3, 4, 5, 6]
    assert tuple(found[0]) == METRICS
    assert tuple(rows(tmp_path / "timing.csv")[0]) == TIMING
    accuracies = [float(row["val_accuracy"]) for row in found]
    assert outcome.best_val_accuracy == max(accuracies)
    assert outcome.best_epoch == 1 + accuracies.index(max(accuracies))
    model = assemble(config, data.shape, len(data.classes))
    model.load_state_dict(load_file(tmp_path / "best.safetensors"))
    _, accuracy = evaluated(model, data.val, data)
    assert outcome.best_val_accuracy == pytest.approx(accuracy, abs=1e-6)


def test_a_loss_that_is_no_number_ends_the_run_as_diverged_with_epoch_and_step(tmp_path):
    outcome, _, _ = trained(tmp_path, "epochs=5", "lr=1e20")
    assert outcome.status == "diverged"
    assert "epoch 1, step " in outcome.error
    assert not (tmp_path / "metrics.csv").exists()
    assert outcome.best_val_accuracy is None
    step = int(outcome.error.partition("step ")[2].partition(";")[0])
    assert step > 1  # the first loss is before the first step
    assert math.isfinite(outcome.initial_loss)


def test_a_run_that_diverges_later_keeps_what_it_had(tmp_path):
    """Weight decay of 100 at lr 0.1 multiplies each weight by about -9 at every step."""
    outcome, _, _ = trained(tmp_path, "epochs=4", "optimizer.weight_decay=100", "lr=0.1")
    assert outcome.status == "diverged"
    assert outcome.error.startswith("the loss is not finite at epoch 2, step 2;")
    assert [row["epoch"] for row in rows(tmp_path / "metrics.csv")] == ["1"]
    assert outcome.best_epoch == 1


def test_a_validation_loss_that_is_no_number_ends_the_run_too(tmp_path):
    outcome, _, _ = trained(tmp_path, "epochs=4", "optimizer.weight_decay=3000")
    assert outcome.error.startswith("the loss is not finite at epoch 1, validation;")


def test_the_first_loss_is_compared_with_the_logarithm_of_the_classes(tmp_path, caplog):
    outcome, _, _ = trained(tmp_path / "right", "epochs=1")
    assert outcome.initial_loss == pytest.approx(math.log(4), rel=0.1)
    assert "not near" not in caplog.text


def test_a_first_loss_far_from_that_is_warned_of(tmp_path, caplog, monkeypatch):
    import cnnlab.training.train

    def loud(*arguments):
        model = assemble(*arguments)
        with torch.no_grad():
            model.linear3.weight.mul_(100)
        return model

    monkeypatch.setattr(cnnlab.training.train, "assemble", loud)
    trained(tmp_path, "epochs=1")
    assert "not near log(4) = 1.3863" in caplog.text


def test_the_test_split_is_touched_only_when_asked_for(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    small = ("data=digits", "data.size=12", "epochs=2", "lr=0.05", "norm=bn")
    from cnnlab.data.dataset import Data

    class Untouchable:
        def __getattribute__(self, name):
            raise AssertionError("the test split was touched")

    config = config_of(*small)
    data = load(config.data)
    hidden = Data(data.train, data.val, Untouchable(), data.classes, data.fingerprint)
    assert train([config], hidden, [open_record(tmp_path / "no")])[0].test_accuracy is None
    config = config_of(*small, "evaluate_test=true")
    outcome = train([config], data, [open_record(tmp_path / "yes")])[0]
    model = assemble(config, data.shape, 10)
    model.load_state_dict(load_file(tmp_path / "yes" / "best.safetensors"))
    _, accuracy = evaluated(model, data.test, data)
    assert outcome.test_accuracy == pytest.approx(accuracy, abs=1e-6)


def test_bf16_trains_to_about_the_same_loss(tmp_path):
    full, _, _ = trained(tmp_path / "fp32", "epochs=5", "lr=0.05", "norm=bn")
    half, _, _ = trained(tmp_path / "bf16", "epochs=5", "lr=0.05", "norm=bn", "precision=bf16")
    assert half.final_train_loss != full.final_train_loss
    assert half.final_train_loss == pytest.approx(full.final_train_loss, abs=0.1)
    weights = load_file(tmp_path / "bf16" / "best.safetensors")
    assert weights["conv1.weight"].dtype == torch.float32


def test_images_of_one_channel_train(tmp_path):
    outcome, _, _ = trained(tmp_path, "epochs=1", "data.channels=1", "augment=crop_flip_cutout")
    assert outcome.status == "done"


@pytest.mark.parametrize("size", [1, 7, 72, 1000])
def test_any_batch_size_sees_every_image_once(size, tmp_path):
    outcome, _, data = trained(tmp_path, "epochs=1", f"batch_size={size}")
    assert len(data.train) == 72
    assert outcome.status == "done"
    steps = round(outcome.final_train_accuracy * 72, 4)
    assert steps == int(steps)


def test_a_finished_record_is_not_overwritten(tmp_path):
    from test_writer import result_of

    open_record(tmp_path).finish(result_of(status="done"))
    before = json.loads((tmp_path / "result.json").read_text())
    with pytest.raises(FileExistsError, match="finished record"):
        open_record(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == before


@pytest.mark.parametrize("option", ["evaluate_test=true", "patience=1"])
def test_a_run_that_is_killed_before_its_result_is_written_comes_to_the_same_end(option, tmp_path):
    """All its epochs are in its checkpoint: none is trained again, none more."""
    config = config_of("data=digits", "data.size=12", "epochs=6", option)
    data = load(config.data)
    outcome = train([config], data, [open_record(tmp_path / "run")])[0]
    before = rows(tmp_path / "run" / "metrics.csv")
    again = train([config], data, [open_record(tmp_path / "run")])[0]
    assert again == outcome
    assert rows(tmp_path / "run" / "metrics.csv") == before
    assert (outcome.test_accuracy is not None) == (option == "evaluate_test=true")
    assert (len(before) < 6) == (option == "patience=1")
