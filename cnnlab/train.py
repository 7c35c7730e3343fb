"""Trains a stack of runs of one structure; a single run is the stack of one.

K variants, N images of a batch, C H W image, L classes.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from cnnlab import channel
from cnnlab.config import Config
from cnnlab.cost import cost
from cnnlab.data.batches import Images
from cnnlab.data.split import Data, Split
from cnnlab.device import describe, prepare, resolve
from cnnlab.model.assemble import assemble
from cnnlab.record import Outcome, Record
from cnnlab.trainer import Trainer

log = logging.getLogger(__name__)

FIRST_LOSS_TOLERANCE = 0.25
"""How far the first loss may be from log(L), as a share of it, without a warning."""


def train(configs: Sequence[Config], data: Data, records: Sequence[Record]) -> list[Outcome]:
    """Trains K runs as one model.

    Args:
        configs: K; alike but for numbers of the optimizer, the schedule and the augmentation, the
            seed and the sweep's name
        data: that all share
        records: K; get each epoch's metrics, the best weights and the outcome. They are all at
            the same epoch, and training goes on from there

    Returns:
        the records' outcomes

    Raises:
        cnnlab.channel.Stopped: between two epochs, if whoever started the runs asks them to stop
    """
    first = configs[0]
    device = resolve(first.device)
    prepare(device, first.precision)
    models = [assemble(config, data.shape, len(data.classes)) for config in configs]
    total = cost(models[0], data.shape)[-1]
    outcomes = [record.outcome for record in records]
    for outcome in outcomes:
        outcome.parameters, outcome.macs = total.parameters, total.macs
    name, parameters = type(models[0]).__name__, f"{total.parameters:,}"
    log.info("%s, %s parameters, on %s", name, parameters, describe(device))
    sizes, shape = (f"{len(data.train):,}", f"{len(data.val):,}"), "x".join(map(str, data.shape))
    log.info("%s training and %s validation images of %s", *sizes, shape)
    trainer = Trainer(configs, models, data, device)
    log.info("           train loss  accuracy    val loss  accuracy      time")
    last = _resume(trainer, records)
    report = channel.reporter(first.epochs, trainer.steps)
    for epoch in range(last + 1, first.epochs + 1):
        if channel.listener.stopping():
            raise channel.Stopped
        began = time.perf_counter()
        losses, correct = trainer.epoch(epoch, lambda step, epoch=epoch: report(epoch, step))
        if epoch == 1:
            _check_first_loss(losses[0].tolist(), len(data.classes), outcomes)
        validation = trainer.evaluate(trainer.val)
        timing = {
            "epoch": epoch,
            "seconds": round(time.perf_counter() - began, 4),
            "memory_mb": _memory(device),
        }
        for slot, outcome in enumerate(outcomes):
            if outcome.status == "done":
                measured = trainer.measured(epoch, slot, losses, correct, validation)
                _after_epoch(trainer, slot, outcome, measured, timing, records[slot])
        if all(outcome.status != "done" for outcome in outcomes):
            break
    _test(trainer, data.test, outcomes)
    return outcomes


def _resume(trainer: Trainer, records: Sequence[Record]) -> int:
    """Puts back what the records kept; gives the last finished epoch."""
    (last,) = {record.epoch for record in records}
    for slot, record in enumerate(records if last else ()):
        trainer.restore(slot, record.state)
        trainer.best_weights[slot] = {
            name: torch.from_numpy(array) for name, array in record.best_weights.items()
        }
        log.info("Continued after epoch %d", last)
    return last


def _after_epoch(
    trainer: Trainer,
    slot: int,
    outcome: Outcome,
    measured: Mapping[str, Any],
    timing: Mapping[str, Any],
    record: Record,
) -> None:
    """Notes what an epoch brought for one slot; keeps its weights where they are the best."""
    if "diverged" in measured:
        where = measured["diverged"]
        outcome.status = "diverged"
        outcome.error = f"the loss is not finite at {where}; try a smaller lr, or a norm"
        return
    accuracy = measured["val_accuracy"]
    if outcome.best_val_accuracy is None or accuracy > outcome.best_val_accuracy:
        outcome.best_val_accuracy, outcome.best_epoch = accuracy, measured["epoch"]
        weights = trainer.best_weights[slot] = trainer.stack.weights(slot)
        record.best({name: tensor.numpy() for name, tensor in weights.items()})
    outcome.final_train_loss = measured["train_loss"]
    outcome.final_train_accuracy = measured["train_accuracy"]
    outcome.final_val_accuracy = accuracy
    record.add(measured, timing, trainer.snapshot(slot))
    channel.listener.hear(
        {"epochs": trainer.configs[0].epochs, **measured, "images": len(trainer.train), **timing}
    )
    memory = f" {timing['memory_mb']:.0f} MB" if timing["memory_mb"] is not None else ""
    log.info(
        "epoch %3d  %10.4f  %8.4f  %10.4f  %8.4f  %6.1f s%s%s",
        measured["epoch"], measured["train_loss"], measured["train_accuracy"],
        measured["val_loss"], accuracy, timing["seconds"], memory,
        "  best" if outcome.best_epoch == measured["epoch"] else "",
    )  # fmt: skip


def _test(trainer: Trainer, test: Split | None, outcomes: Sequence[Outcome]) -> None:
    """Test accuracy of each slot's best weights, where it was asked for."""
    asked = [
        slot
        for slot, (config, outcome) in enumerate(zip(trainer.configs, outcomes, strict=True))
        if config.evaluate_test and outcome.status == "done"
    ]
    if not asked:
        return
    for slot in asked:
        trainer.stack.load(slot, trainer.best_weights[slot])
    accuracy = trainer.evaluate(Images(test, trainer.device))[1]
    for slot in asked:
        outcomes[slot].test_accuracy = round(float(accuracy[slot]), 6)
        log.info("Test accuracy of the best weights: %.4f", outcomes[slot].test_accuracy)


def _check_first_loss(first: Sequence[float], classes: int, outcomes: Sequence[Outcome]) -> None:
    """A network that knows nothing gives each of L classes 1 / L: its loss is log(L)."""
    expected = math.log(classes)
    for loss, outcome in zip(first, outcomes, strict=True):
        if not math.isfinite(loss):
            continue
        outcome.initial_loss = round(loss, 6)
        if abs(loss - expected) > FIRST_LOSS_TOLERANCE * expected:
            log.warning(
                "The first loss is %.4f, not near log(%d) = %.4f: look at the model's first "
                "weights and its last layer.", loss, classes, expected,
            )  # fmt: skip


def _memory(device: torch.device) -> float | None:
    """Megabytes that PyTorch holds on a GPU; None elsewhere."""
    if device.type != "cuda":
        return None
    return round(torch.cuda.memory_allocated(device) / 1e6, 1)
