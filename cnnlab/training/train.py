"""Trains a stack of runs of one structure; a single run is the stack of one.

K variants, N images of a batch, C H W image, L classes.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cnnlab.config.schema import CROSS_ENTROPY, Config
from cnnlab.core import events
from cnnlab.core.errors import one_line
from cnnlab.data.batches import Images, supply
from cnnlab.data.dataset import Data, Split
from cnnlab.records.schema import Outcome
from cnnlab.records.writer import Record
from cnnlab.training.assemble import assemble
from cnnlab.training.cost import layer_costs
from cnnlab.training.device import describe, prepare, resolve
from cnnlab.training.structure import Unstackable, structure
from cnnlab.training.trainer import Trainer, dtype_of

log = logging.getLogger(__name__)

FIRST_LOSS_TOLERANCE = 0.25
"""How far the first loss may be from log(L), as a share of it, without a warning."""


def train(
    configs: Sequence[Config],
    data: Data,
    records: Sequence[Record],
    *,
    compiled: bool = False,
    ended: Callable[[int, Exception | None], None] | None = None,
) -> list[Outcome]:
    """Trains K runs as one model, or as few as can be.

    Runs that have come as far as each other are trained together. A run that diverges, stops early
    or fails leaves the others, which go on from their last epoch. An error that several runs meet
    together, such as too little memory, halves their stack until it is one run's own. A record that
    cannot be written ends its run at once: it may have come further than what is on the disk.

    Args:
        configs: K; alike as `Trainer` has them
        data: that all share
        records: K; get each epoch's metrics, the best weights and the outcome. Training goes on
            from where they are
        compiled: whether steps are compiled
        ended: called with the slot of each run that came to its end, and with the error that ended
            it, if one did; without it, such an error is raised

    Returns:
        the records' outcomes

    Raises:
        core.events.Stopped: between two epochs, if whoever started the runs asks them to stop
    """
    device = resolve(configs[0].device)
    prepare(device, configs[0].precision)
    left = _alike(range(len(configs)), records)
    while left:
        slots = left.pop(0)
        try:
            finished, others = _train(slots, configs, data, records, device, compiled)
        except Exception as raised:
            if len(slots) > 1:
                half = len(slots) // 2
                log.warning(
                    "%d runs as one: %s; halved",
                    len(slots),
                    one_line(raised),
                    extra=_own(records[slots[0]]),
                )
                finished, others = {}, [slots[:half], slots[half:]]
            else:
                finished, others = {slots[0]: raised}, []
        if device.type == "cuda" and not any(finished.values()):
            torch.cuda.empty_cache()  # also of what was too large
        for slot, error in finished.items():
            if ended is not None:
                ended(slot, error)
            elif error is not None:
                raise error
        left[:0] = others
    return [record.outcome for record in records]


def _alike(slots: Sequence[int], records: Sequence[Record]) -> list[list[int]]:
    """Slots of runs at the same epoch."""
    parts: dict[int, list[int]] = {}
    for slot in slots:
        parts.setdefault(records[slot].epoch, []).append(slot)
    return list(parts.values())


def _of_one_structure(slots: Sequence[int], models: Sequence[nn.Module]) -> list[list[int]]:
    """Slots in parts whose models can be stacked, whatever the plan took them for."""
    parts: dict[Any, list[int]] = {}
    for slot, model in zip(slots, models, strict=True):
        try:
            its = structure(model) if len(slots) > 1 else ()
        except Unstackable:
            its = slot
        parts.setdefault(its, []).append(slot)
    return list(parts.values())


def _train(
    slots: Sequence[int],
    configs: Sequence[Config],
    data: Data,
    records: Sequence[Record],
    device: torch.device,
    compiled: bool,
) -> tuple[dict[int, Exception | None], list[list[int]]]:
    """Trains some of the runs, until one of them comes to its end.

    Returns:
        the slots that ended, each with the error that ended it, and those that go on
    """
    own = [configs[slot] for slot in slots]
    first = own[0]
    models = [assemble(config, data.shape, len(data.classes)) for config in own]
    if len(kinds := _of_one_structure(slots, models)) > 1:
        log.warning(
            "%d runs as one: their models differ; in %d parts",
            len(slots),
            len(kinds),
            extra=_own(records[slots[0]]),
        )
        return {}, kinds
    epoch = records[slots[0]].epoch
    total = layer_costs(models[0], data.shape)[-1]
    trainer = Trainer(
        own, models, supply(data, device, dtype_of(first), first.resident), compiled=compiled
    )
    for slot in slots:
        records[slot].train_with([records[each].run_id for each in slots])
        outcome = records[slot].outcome
        outcome.parameters, outcome.macs = total.parameters, total.macs
        _say_what(records[slot], len(slots), models[0], data, device, compiled)
    _resume(trainer, [records[slot] for slot in slots])
    report = events.reporter(first.epochs, trainer.steps, records[slots[0]].place)
    errors: dict[int, Exception] = {}
    while not (finished := [s for s in slots if s in errors or _over(configs[s], records[s])]):
        if events.listener.stopping():
            raise events.Stopped
        epoch += 1
        began = time.perf_counter()
        losses, correct = trainer.epoch(epoch, lambda step, epoch=epoch: report(epoch, step))
        if epoch == 1:
            for slot, loss in zip(slots, losses[0].tolist(), strict=True):
                _check_first_loss(loss, configs[slot], len(data.classes), records[slot])
        validation = trainer.evaluate(trainer.supply.val)
        seconds = time.perf_counter() - began
        timing = {"epoch": epoch, "seconds": round(seconds, 4), "memory_mb": _memory(device)}
        for place, slot in enumerate(slots):
            records[slot].own_seconds += seconds / len(slots)
            measured = trainer.measured(epoch, place, losses, correct, validation)
            try:
                _after_epoch(trainer, place, measured, timing, records[slot])
            except Exception as error:  # of this run's record; the others have theirs
                errors[slot] = error
    _test(trainer, slots, [slot for slot in finished if slot not in errors], data.test, records)
    others = [slot for slot in slots if slot not in finished]
    return {slot: errors.get(slot) for slot in finished}, [others] if others else []


def _over(config: Config, record: Record) -> bool:
    """Whether a run has come to its end."""
    outcome = record.outcome
    if outcome.status != "done" or record.epoch == config.epochs:
        return True
    if config.patience is None or outcome.best_epoch is None:
        return False
    return record.epoch - outcome.best_epoch >= config.patience


def _own(record: Record) -> dict[str, Any]:
    """Says of a log line which run's it is."""
    return {"run": record.place}


def _say_what(
    record: Record, size: int, model: nn.Module, data: Data, device: torch.device, compiled: bool
) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    how = f", one of {size} trained together" if size > 1 else ""
    how += ", compiled" if compiled else ""
    name = type(model).__name__
    log.info(
        "%s, %s parameters, on %s%s", name, f"{count:,}", describe(device), how, extra=_own(record)
    )
    sizes, shape = (f"{len(data.train):,}", f"{len(data.val):,}"), "x".join(map(str, data.shape))
    log.info("%s training and %s validation images of %s", *sizes, shape, extra=_own(record))
    log.info("           train loss  accuracy    val loss  accuracy      time", extra=_own(record))


def _resume(trainer: Trainer, records: Sequence[Record]) -> None:
    """Puts back what the records kept."""
    for place, record in enumerate(records):
        if record.epoch:
            trainer.restore(place, record.state)
            trainer.best_weights[place] = {
                name: torch.from_numpy(array) for name, array in record.best_weights.items()
            }
            log.info("Continued after epoch %d", record.epoch, extra=_own(record))


def _after_epoch(
    trainer: Trainer,
    place: int,
    measured: Mapping[str, Any],
    timing: Mapping[str, Any],
    record: Record,
) -> None:
    """Notes what an epoch brought for one run; keeps its weights where they are the best.

    Args:
        place: in the trainer's stack
    """
    outcome = record.outcome
    if "diverged" in measured:
        where = measured["diverged"]
        outcome.status = "diverged"
        outcome.error = f"the loss is not finite at {where}; try a smaller lr, or a norm"
        return
    accuracy = measured["val_accuracy"]
    if outcome.best_val_accuracy is None or accuracy > outcome.best_val_accuracy:
        outcome.best_val_accuracy, outcome.best_epoch = accuracy, measured["epoch"]
        weights = trainer.best_weights[place] = trainer.stack.weights(place)
        record.best({name: tensor.numpy() for name, tensor in weights.items()})
    outcome.final_train_loss = measured["train_loss"]
    outcome.final_train_accuracy = measured["train_accuracy"]
    outcome.final_val_accuracy = accuracy
    record.add(measured, timing, trainer.snapshot(place))
    images = len(trainer.supply.train)
    events.listener.hear(
        {
            "run": record.place,
            "epochs": trainer.configs[0].epochs,
            **measured,
            "images": images,
            **timing,
        }
    )
    memory = f" {timing['memory_mb']:.0f} MB" if timing["memory_mb"] is not None else ""
    log.info(
        "epoch %3d  %10.4f  %8.4f  %10.4f  %8.4f  %6.1f s%s%s",
        measured["epoch"], measured["train_loss"], measured["train_accuracy"],
        measured["val_loss"], accuracy, timing["seconds"], memory,
        "  best" if outcome.best_epoch == measured["epoch"] else "", extra=_own(record),
    )  # fmt: skip


def _test(
    trainer: Trainer,
    slots: Sequence[int],
    finished: Sequence[int],
    test: Split | None,
    records: Sequence[Record],
) -> None:
    """Test accuracy of the best weights of the runs that ended, where it was asked for."""
    asked = [
        (place, slot)
        for place, slot in enumerate(slots)
        if slot in finished
        and trainer.configs[place].evaluate_test
        and records[slot].outcome.status == "done"
    ]
    if not asked:
        return
    for place, _ in asked:
        trainer.stack.load(place, trainer.best_weights[place])
    accuracy = trainer.evaluate(Images(test, trainer.device))[1]
    for place, slot in asked:
        outcome = records[slot].outcome
        outcome.test_accuracy = round(float(accuracy[place]), 6)
        found = outcome.test_accuracy
        log.info("Test accuracy of the best weights: %.4f", found, extra=_own(records[slot]))


def _check_first_loss(loss: float, config: Config, classes: int, record: Record) -> None:
    """A network that knows nothing gives each of L classes 1 / L: its cross-entropy is log(L)."""
    if not math.isfinite(loss):
        return
    record.outcome.initial_loss = round(loss, 6)
    expected = math.log(classes)
    known = config.loss["_target_"] == CROSS_ENTROPY
    if known and abs(loss - expected) > FIRST_LOSS_TOLERANCE * expected:
        log.warning(
            "The first loss is %.4f, not near log(%d) = %.4f: look at the model's first "
            "weights and its last layer.", loss, classes, expected, extra=_own(record),
        )  # fmt: skip


def _memory(device: torch.device) -> float | None:
    """Megabytes that PyTorch holds on a GPU; None elsewhere."""
    if device.type != "cuda":
        return None
    return round(torch.cuda.memory_allocated(device) / 1e6, 1)
