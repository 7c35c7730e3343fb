"""Trains a stack of runs of one structure; a single run is the stack of one.

K variants, N images of a batch, C H W image, L classes.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from torch.nn import functional as F

from cnnlab.config import Config, build, configured
from cnnlab.cost import cost
from cnnlab.data.batches import Images, Normalise, evaluation, training
from cnnlab.data.split import Data, Split
from cnnlab.device import describe, prepare, resolve
from cnnlab.draws import generator
from cnnlab.record import Record
from cnnlab.stack import Stack
from cnnlab.terminal import console

log = logging.getLogger(__name__)

FIRST_LOSS_TOLERANCE = 0.25
"""How far the first loss may be from log(L), as a share of it, without a warning."""


@dataclass
class Outcome:
    """What training found for one slot of the stack; as in `cnnlab.record.Result`."""

    status: str = "done"
    error: str | None = None
    best_val_accuracy: float | None = None
    best_epoch: int | None = None
    final_train_loss: float | None = None
    final_train_accuracy: float | None = None
    final_val_accuracy: float | None = None
    test_accuracy: float | None = None
    initial_loss: float | None = None
    parameters: int | None = None
    macs: int | None = None
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)

    def measured(self) -> dict[str, Any]:
        """Everything but the weights, which are a file of their own."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "best_weights"}

    def diverge(self, where: str) -> None:
        """Ends the slot: its loss is no number any more."""
        self.status = "diverged"
        self.error = f"the loss is not finite at {where}; try a smaller lr, or a norm"


def build_model(config: Config, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A config's model, on the CPU.

    Each layer's first weights depend on the seed and the layer's name only: what two variants
    share starts the same.

    Args:
        config: of the run
        shape: (C, H, W) of one image
        classes: L

    Raises:
        ValueError: if the parts do not fit together or the images
    """
    with torch.random.fork_rng(devices=[]):
        norm, activation = configured(config.norm), configured(config.activation)
        model = build(config.model, shape, classes, norm, activation)
        for name, module in model.named_modules():
            if hasattr(module, "reset_parameters"):
                seed = generator(config.seed, f"init/{name}").initial_seed()
                torch.default_generator.manual_seed(seed)
                module.reset_parameters()
    return model


def train(configs: Sequence[Config], data: Data, records: Sequence[Record]) -> list[Outcome]:
    """Trains K runs as one model.

    Args:
        configs: K; alike but for numbers of the optimizer, the schedule and the augmentation, the
            seed and the sweep's name
        data: that all share
        records: K; get each epoch's metrics and the best weights
    """
    first = configs[0]
    device = resolve(first.device)
    prepare(device, first.precision)
    models = [build_model(config, data.shape, len(data.classes)) for config in configs]
    total = cost(models[0], data.shape)[-1]
    outcomes = [Outcome(parameters=total.parameters, macs=total.macs) for _ in configs]
    log.info(
        "%s on %s: %s parameters, %s training and %s validation images",
        type(models[0]).__name__, describe(device), f"{total.parameters:,}",
        f"{len(data.train):,}", f"{len(data.val):,}",
    )  # fmt: skip
    trainer = _Trainer(configs, models, data, device)
    log.info("           train loss  accuracy    val loss  accuracy      time")
    with _progress() as progress:
        steps = first.epochs * trainer.steps
        task = progress.add_task("training", total=steps, epoch=1, epochs=first.epochs)
        for epoch in range(1, first.epochs + 1):
            progress.update(task, epoch=epoch)
            began = time.perf_counter()
            losses, correct = trainer.epoch(epoch, lambda: progress.advance(task))
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


class _Trainer:
    """The state of a stack in training: weights, the optimizer's averages, images on the device."""

    def __init__(
        self,
        configs: Sequence[Config],
        models: Sequence[nn.Module],
        data: Data,
        device: torch.device,
    ):
        first = configs[0]
        self.configs = configs
        self.device = device
        self.stack = Stack(
            [model.to(device, memory_format=torch.channels_last) for model in models]
        )
        self.train, self.val = Images(data.train, device), Images(data.val, device)
        self.normalise = Normalise(data.train, device)
        self.batch_size = first.batch_size
        self.steps = math.ceil(len(data.train) / first.batch_size)
        self.seeds = [config.seed for config in configs]
        self.operations = [
            {name: configured(part) for name, part in config.augment.items()} for config in configs
        ]
        self.bf16 = first.precision == "bf16"
        rates = [build(config.lr, config.epochs, self.steps) for config in configs]
        self.rates = torch.tensor(np.array(rates), dtype=torch.float32).T.to(device)  # (steps, K)
        self.update = configured(
            {"_target_": first.optimizer["_target_"], **self._numbers(configs)}
        )
        self.state: dict[str, dict[str, torch.Tensor]] = {
            name: {} for name in self.stack.parameters
        }

    def _numbers(self, configs: Sequence[Config]) -> dict[str, Any]:
        """The optimizer's numbers, (K,) each; what is no number is the same for all."""
        return {
            key: torch.tensor([config.optimizer[key] for config in configs], device=self.device)
            if isinstance(value, float)
            else value
            for key, value in configs[0].optimizer.items()
            if key != "_target_"
        }

    def epoch(self, epoch: int, advance: Callable[[], None]) -> tuple[torch.Tensor, torch.Tensor]:
        """Trains one epoch: the losses (steps, K), and how many images were classified right (K,).

        Everything is summed on the device: reading a number there would make the host wait.
        """
        size = self.stack.size
        losses = torch.empty(self.steps, size, device=self.device)
        correct = torch.zeros(size, dtype=torch.long, device=self.device)
        batches = training(
            self.train, self.normalise, self.seeds, self.operations, epoch, self.batch_size
        )
        for step, (images, labels) in enumerate(batches):
            logits = self._logits(images, training=True)  # (K, N, L)
            loss = _losses(logits, labels)  # (K,)
            gradients = torch.autograd.grad(loss.sum(), list(self.stack.parameters.values()))
            self._step(gradients, self.rates[(epoch - 1) * self.steps + step])
            with torch.no_grad():
                losses[step] = loss
                correct += (logits.argmax(-1) == labels).sum(-1)
            advance()
        return losses.cpu(), correct.cpu()

    @torch.no_grad()
    def _step(self, gradients: Sequence[torch.Tensor], rates: torch.Tensor) -> None:
        """Changes each parameter (K, ...), with (K,) learning rates."""
        for (name, parameter), gradient in zip(
            self.stack.parameters.items(), gradients, strict=True
        ):
            shape = (-1,) + (1,) * (parameter.ndim - 1)  # (K, 1, ..., 1), to be broadcast
            numbers = {
                key: value.view(shape)
                for key, value in self.update.keywords.items()
                if isinstance(value, torch.Tensor)
            }
            self.update(parameter, gradient, self.state[name], rates.view(shape), **numbers)

    @torch.no_grad()
    def evaluate(self, images: Images) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss (K,) and accuracy (K,) on a split."""
        loss = torch.zeros(self.stack.size, device=self.device)
        correct = torch.zeros(self.stack.size, dtype=torch.long, device=self.device)
        for batch, labels in evaluation(images, self.normalise):
            logits = self._logits(batch, training=False)  # (K, N, L)
            shared = labels.expand(self.stack.size, -1)  # (N,) -> (K, N)
            loss += _losses(logits, shared) * len(labels)
            correct += (logits.argmax(-1) == shared).sum(-1)
        return (loss / len(images)).cpu(), correct.cpu() / len(images)

    def measured(
        self,
        epoch: int,
        slot: int,
        losses: torch.Tensor,
        correct: torch.Tensor,
        validation: tuple[torch.Tensor, torch.Tensor],
    ) -> dict[str, Any]:
        """One slot's row of metrics.csv, or where its loss stopped being a number."""
        finite = losses[:, slot].isfinite()
        if not finite.all():
            return {"diverged": f"epoch {epoch}, step {int(finite.int().argmin()) + 1}"}
        if not validation[0][slot].isfinite():
            return {"diverged": f"epoch {epoch}, validation"}
        count = len(self.train)
        sizes = torch.full((self.steps,), self.batch_size)
        sizes[-1] = count - self.batch_size * (self.steps - 1)
        return {
            "epoch": epoch,
            "train_loss": round(float((losses[:, slot].double() * sizes).sum()) / count, 6),
            "train_accuracy": round(int(correct[slot]) / count, 6),
            "val_loss": round(float(validation[0][slot]), 6),
            "val_accuracy": round(float(validation[1][slot]), 6),
            "lr": float(f"{float(self.rates[(epoch - 1) * self.steps, slot]):.6g}"),
        }

    def _logits(self, images: torch.Tensor, *, training: bool) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.stack(images, training=training).float()


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(K, N, L) and (K, N) -> (K,) mean cross-entropy of each variant."""
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")  # (K N,)
    return each.view(labels.shape).mean(1)


def _after_epoch(
    trainer: _Trainer,
    slot: int,
    outcome: Outcome,
    measured: Mapping[str, Any],
    timing: Mapping[str, Any],
    record: Record,
) -> None:
    """Notes what an epoch brought for one slot; keeps its weights where they are the best."""
    if "diverged" in measured:
        outcome.diverge(measured["diverged"])
        return
    accuracy = measured["val_accuracy"]
    if outcome.best_val_accuracy is None or accuracy > outcome.best_val_accuracy:
        outcome.best_val_accuracy, outcome.best_epoch = accuracy, measured["epoch"]
        outcome.best_weights = trainer.stack.weights(slot)
        record.best({name: tensor.numpy() for name, tensor in outcome.best_weights.items()})
    record.epoch(measured, timing)
    outcome.final_train_loss = measured["train_loss"]
    outcome.final_train_accuracy = measured["train_accuracy"]
    outcome.final_val_accuracy = accuracy
    memory = f" {timing['memory_mb']:.0f} MB" if timing["memory_mb"] is not None else ""
    log.info(
        "epoch %3d  %10.4f  %8.4f  %10.4f  %8.4f  %6.1f s%s%s",
        measured["epoch"], measured["train_loss"], measured["train_accuracy"],
        measured["val_loss"], accuracy, timing["seconds"], memory,
        "  best" if outcome.best_epoch == measured["epoch"] else "",
    )  # fmt: skip


def _test(trainer: _Trainer, test: Split | None, outcomes: Sequence[Outcome]) -> None:
    """Test accuracy of each slot's best weights, where it was asked for."""
    asked = [
        slot
        for slot, (config, outcome) in enumerate(zip(trainer.configs, outcomes, strict=True))
        if config.evaluate_test and outcome.status == "done"
    ]
    if not asked:
        return
    for slot in asked:
        trainer.stack.load(slot, outcomes[slot].best_weights)
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


def _progress() -> Progress:
    """A bar with the time left, on a terminal; nothing elsewhere."""
    return Progress(
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(bar_width=40),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
