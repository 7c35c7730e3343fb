"""A stack of K is K runs: the same numbers, whoever is beside them.

K variants, N images of a batch, C H W image, L classes.
"""

from copy import deepcopy
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from conftest import SMALL, config_of
from safetensors.torch import load_file

from cnnlab.config.options import options
from cnnlab.config.schema import KEYS
from cnnlab.core import events
from cnnlab.data.loading import load
from cnnlab.execution.grouping import alike
from cnnlab.records import checkpoint, writer
from cnnlab.records.writer import open_record, stack_id
from cnnlab.training.assemble import assemble
from cnnlab.training.stack import Stack
from cnnlab.training.train import train

HELD = tuple(name for name, key in KEYS.items() if key.stack == "each")

SHAPE, CLASSES = (3, 12, 12), 4


def models(*overrides: str, seeds: tuple[int, ...] = (0, 1, 2)) -> list[torch.nn.Module]:
    return [
        assemble(config_of(*SMALL, *overrides, f"seed={seed}"), SHAPE, CLASSES) for seed in seeds
    ]


@pytest.mark.parametrize("norm", options("norm"))
@pytest.mark.parametrize("training", [True, False])
def test_a_stack_gives_each_modules_own_logits(norm, training):
    images = torch.randn(3, 8, *SHAPE)  # (K, N, C, H, W)
    stack = Stack(models(f"norm={norm}"))
    found = stack(images, training=training)
    for slot, model in enumerate(models(f"norm={norm}")):
        model.train(training)
        assert torch.allclose(found[slot], model(images[slot]), atol=1e-6)
        for name, buffer in model.named_buffers():
            assert torch.allclose(stack.buffers[name][slot].float(), buffer.float(), atol=1e-6)


def test_images_without_a_leading_axis_are_shared():
    images = torch.randn(8, *SHAPE)
    stack = Stack(models())
    each = stack(images.expand(3, *images.shape), training=False)
    assert torch.allclose(stack(images, training=False), each, atol=1e-6)


def test_weights_are_copies_that_load_puts_back():
    stack = Stack(models("norm=bn"))
    kept = stack.weights(1)
    before = {name: tensor.clone() for name, tensor in kept.items()}
    with torch.no_grad():
        for tensor in stack.parameters.values():
            tensor.add_(1)
    assert all(torch.equal(kept[name], before[name]) for name in kept)
    stack.load(1, kept)
    assert all(torch.equal(stack.weights(1)[name], before[name]) for name in kept)
    assert not torch.equal(stack.weights(0)["conv1.weight"], models()[0].conv1.weight)


STACKS = {
    "seeds": ["seed=0", "seed=1", "seed=2"],
    "rates": ["lr=0.01", "lr=0.05", "lr=0.2"],
    "schedules": ["lr=cosine", "lr=onecycle", "lr=step lr.every=1"],
    "momenta and decays": [
        "optimizer.momentum=0", "optimizer.momentum=0.5 optimizer.weight_decay=0.01",
        "optimizer.weight_decay=0",
    ],
    "adamw": [
        "optimizer=adamw lr=0.001", "optimizer=adamw optimizer.beta1=0.5",
        "optimizer=adamw optimizer.weight_decay=0.5",
    ],
    "augmentations": ["augment=none", "augment=crop_flip", "augment=cutout augment.cutout.size=4"],
    "losses": [
        "loss.label_smoothing=0.1", "loss.label_smoothing=0.3 clip_norm=0.5", "lr=0.02 clip_norm=1",
    ],
    "focal losses": [f"loss=focal loss.gamma={gamma}" for gamma in (0, 0.5, 2)],
    "dropouts": ["model.dropout=0.3", "model.dropout=0.5 seed=1", "model.dropout=0.3 lr=0.02"],
    "Swish": [f"activation=silu activation.beta={beta}" for beta in (2, 0.5, 3)],
    "one that diverges": ["lr=0.01", "lr=1e20", "lr=0.02"],
}  # fmt: skip


BIASES_BEFORE_A_NORM = ("conv1.bias", "conv2.bias", "norm1.running_mean", "norm2.running_mean")
"""Batch norm takes a bias away again: its gradient is rounding, which Adam makes a full step."""


@pytest.mark.parametrize("norm", ["bn", "none"])
@pytest.mark.parametrize("which", STACKS)
def test_training_a_stack_of_three_equals_training_three_alone(which, norm, tmp_path):
    configs = [
        config_of(*SMALL, "epochs=2", f"norm={norm}", *overrides.split())
        for overrides in STACKS[which]
    ]
    data = load(configs[0].data)
    together = train(configs, data, [open_record(tmp_path / f"together{k}") for k in range(3)])
    for slot, config in enumerate(configs):
        alone = train([config], data, [open_record(tmp_path / f"alone{slot}")])[0]
        assert together[slot].status == alone.status
        assert together[slot].error == alone.error
        assert together[slot].initial_loss == pytest.approx(alone.initial_loss, abs=2e-6)
        assert together[slot].final_train_loss == pytest.approx(alone.final_train_loss, abs=1e-4)
        apart, beside = (
            load_file(tmp_path / f"{place}{slot}" / "best.safetensors") if alone.best_epoch else {}
            for place in ("alone", "together")
        )
        for name, weights in apart.items():
            if (which, norm) == ("adamw", "bn") and name in BIASES_BEFORE_A_NORM:
                continue
            assert torch.allclose(beside[name].float(), weights.float(), atol=1e-4)
    statuses = [outcome.status for outcome in together]
    assert statuses == ["done", "diverged" if "diverges" in which else "done", "done"]


TWO = {
    "seed": ("seed=0", "seed=1"),
    "vary": ("vary=[init] seed=1", "vary=[order,augment] seed=1 augment=crop"),
    "lr": ("lr=0.01", "lr=cosine lr.base=0.05"),
    "augment": ("augment=flip", "augment=crop"),
    "optimizer.momentum": ("optimizer.momentum=0", "optimizer.momentum=0.5"),
    "optimizer.weight_decay": ("optimizer.weight_decay=0", "optimizer.weight_decay=0.1"),
    "optimizer.beta1": ("optimizer=adamw", "optimizer=adamw optimizer.beta1=0.5"),
    "optimizer.beta2": ("optimizer=adamw", "optimizer=adamw optimizer.beta2=0.5"),
    "optimizer.eps": ("optimizer=adamw", "optimizer=adamw optimizer.eps=0.1"),
    "loss.label_smoothing": ("loss.label_smoothing=0", "loss.label_smoothing=0.3"),
    "clip_norm": ("clip_norm=null", "clip_norm=0.01"),
    "patience": ("patience=1", "patience=null"),
    "evaluate_test": ("evaluate_test=false", "evaluate_test=true"),
    "name": ("name=a", "name=b"),
    "activation.beta": ("activation=silu activation.beta=2", "activation=silu activation.beta=9"),
    "model.dropout": ("model.dropout=0.2", "model.dropout=0.5"),
}
"""Two values for every key that may differ in a stack: whoever lists another gives it two here."""


def test_every_key_that_is_listed_has_two_values():
    assert set(HELD) <= TWO.keys()


@pytest.mark.parametrize("key", TWO)
def test_a_key_that_may_differ_gives_in_a_stack_what_it_gives_alone(key, tmp_path):
    images = ("data=digits", "data.size=12") if key == "evaluate_test" else SMALL
    configs = [config_of(*images, "epochs=3", "lr=0.02", *each.split()) for each in TWO[key]]
    data = load(configs[0].data)
    assert alike([(config, data) for config in configs]) == ([[0, 1]], {})
    together = train(configs, data, [open_record(tmp_path / f"together{k}") for k in range(2)])
    for slot, config in enumerate(configs):
        alone = train([config], data, [open_record(tmp_path / f"alone{slot}")])[0]
        for name, value in vars(alone).items():
            close = pytest.approx(value, abs=1e-4) if isinstance(value, float) else value
            assert getattr(together[slot], name) == close, name
    assert key == "name" or together[0] != together[1], "two values that make no difference"


def test_a_model_that_knows_nothing_of_stacks_trains_in_one(tmp_path):
    class Tiny(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3 * 12 * 12, CLASSES)

        def forward(self, x):
            return self.linear(x.flatten(1))

    stack = Stack([Tiny(), Tiny()])
    logits = stack(torch.randn(2, 5, *SHAPE), training=True)
    assert logits.shape == (2, 5, CLASSES)
    gradients = torch.autograd.grad(logits[0].sum(), list(stack.parameters.values()))
    assert all(gradient[1].abs().max() == 0 for gradient in gradients)  # no slot sees another


class Averaging(torch.nn.Module):
    """Replaces its buffer, where PyTorch's own modules change it in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("steps", torch.tensor(0))
        self.linear = torch.nn.Linear(3 * 12 * 12, CLASSES)

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean((0, 2, 3))[:, None, None]
            self.steps = self.steps + 1
        return self.linear((x - self.mean).flatten(1))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_a_buffer_that_a_module_replaces_is_kept(size, shared):
    images = torch.randn(4, 1 if shared else size, 5, *SHAPE)
    plain = [Averaging() for _ in range(size)]
    stack = Stack(deepcopy(plain))
    for batch in images:
        found = stack(batch, training=True)
        for slot, module in enumerate(plain):
            expected = module(batch[0 if shared else slot])
            assert torch.allclose(found[slot], expected, atol=1e-6)
            assert torch.allclose(stack.buffers["mean"][slot], module.mean, atol=1e-6)
    assert stack.buffers["steps"].tolist() == [4] * size


def test_a_run_that_stops_early_leaves_and_the_others_go_on(tmp_path):
    configs = [config_of(*SMALL, "epochs=6", *o.split()) for o in ("lr=0.05", "lr=1e-6 patience=2")]
    data = load(configs[0].data)
    order = []
    outcomes = train(
        configs,
        data,
        [open_record(tmp_path / "0"), open_record(tmp_path / "1")],
        ended=lambda slot, error: order.append((slot, error)),
    )
    assert order == [(1, None), (0, None)]
    rows = [len((tmp_path / k / "metrics.csv").read_text().splitlines()) - 1 for k in "01"]
    assert rows == [6, outcomes[1].best_epoch + 2]
    alone = train(configs[:1], data, [open_record(tmp_path / "alone")])[0]
    assert outcomes[0].final_train_loss == pytest.approx(alone.final_train_loss, abs=1e-5)
    assert [outcome.status for outcome in outcomes] == ["done", "done"]


@pytest.mark.parametrize("most", [1, 2])
def test_too_little_memory_halves_the_stack_which_goes_on_from_its_last_epoch(
    most, tmp_path, monkeypatch
):
    from cnnlab.training.trainer import Trainer

    configs = [config_of(*SMALL, "epochs=3", f"lr=0.0{k + 1}") for k in range(4)]
    data = load(configs[0].data)
    whole, trained = Trainer.epoch, []

    def short_of_memory(self, epoch, advance):
        if epoch > 1 and self.stack.size > most:
            raise MemoryError("no more")
        trained.append((epoch, self.stack.size))
        return whole(self, epoch, advance)

    monkeypatch.setattr(Trainer, "epoch", short_of_memory)
    records = [open_record(tmp_path / str(k)) for k in range(4)]
    outcomes = train(configs, data, records)
    assert trained == [(1, 4)] + [(2, most), (3, most)] * (4 // most)
    monkeypatch.undo()
    for slot, config in enumerate(configs):
        alone = train([config], data, [open_record(tmp_path / f"alone{slot}")])[0]
        assert outcomes[slot].final_train_loss == pytest.approx(alone.final_train_loss, abs=1e-5)
        assert records[slot].stack_size == 4  # of their first epoch


def test_a_run_whose_neighbours_have_ended_keeps_its_stack_and_counts_its_own_seconds(
    tmp_path, monkeypatch
):
    """Epochs of 6 s each: the first of three runs, of which one diverges, two of the others."""
    import cnnlab.training.train

    clock = SimpleNamespace(perf_counter=count(0, 6).__next__)
    monkeypatch.setattr(cnnlab.training.train, "time", clock)
    configs = [config_of(*SMALL, "epochs=3", f"lr={rate}") for rate in ("1e30", "0.01", "0.02")]
    records = [open_record(tmp_path / each, each) for each in "abc"]
    outcomes = train(configs, load(configs[0].data), records)
    assert [each.status for each in outcomes] == ["diverged", "done", "done"]
    assert [each.own_seconds for each in records] == [6 / 3] + [6 / 3 + 6 / 2 + 6 / 2] * 2
    assert {(each.stack_size, each.stack) for each in records} == {(3, stack_id(["a", "b", "c"]))}
    again = open_record(tmp_path / "b", "b")
    again.train_with(["b"])
    assert (again.stack_size, again.stack) == (3, records[1].stack)
    assert again.own_seconds == records[1].own_seconds


@pytest.mark.parametrize(("module", "function"), [(checkpoint, "write"), (writer, "_append")])
def test_a_record_that_cannot_be_written_costs_only_its_own_run(
    module, function, tmp_path, monkeypatch
):
    """To go on would leave out a row: training is an epoch ahead of the disk."""
    configs = [config_of(*SMALL, "epochs=3", f"seed={seed}") for seed in range(3)]
    data = load(configs[0].data)
    records = [open_record(tmp_path / str(k)) for k in range(3)]
    original, calls = getattr(module, function), []

    def broken(path, *more):
        if "1" in path.parts[-2:] and not calls:
            calls.append(path)
            raise OSError("the cable is out")
        original(path, *more)

    monkeypatch.setattr(module, function, broken)
    ends = {}
    train(configs, data, records, ended=lambda slot, error: ends.update({slot: str(error)}))
    assert ends == {0: "None", 1: "the cable is out", 2: "None"}
    for slot in (0, 2):
        alone = train(configs[slot : slot + 1], data, [open_record(tmp_path / f"alone{slot}")])[0]
        found = records[slot].outcome.final_train_loss
        assert found == pytest.approx(alone.final_train_loss, abs=1e-5)


PROMISED = ("norm=bn", "model.dropout=0.2", "augment=crop_flip", "epochs=4")


def files(place) -> list[bytes]:
    """What is promised of runs, byte for byte."""
    names = ("metrics.csv", "best.safetensors")
    return [(place / str(k) / name).read_bytes() for k in range(3) for name in names]


@pytest.mark.parametrize("second", ["lr=0.02", "lr=0.02 patience=1", "lr=0.1 seed=1"])
def test_a_stack_that_is_trained_twice_leaves_the_same_bytes(second, tmp_path):
    """Also where one of its runs leaves it early."""
    configs = [config_of(*SMALL, *PROMISED, *each.split()) for each in ("lr=0.01", second, "lr=1")]
    data = load(configs[0].data)
    for name in ("one", "two"):
        train(configs, data, [open_record(tmp_path / name / str(k)) for k in range(3)])
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_stack_that_was_stopped_between_two_epochs_leaves_the_bytes_of_one_that_was_not(
    optimizer, tmp_path, monkeypatch
):
    own = (*SMALL, *PROMISED, f"optimizer={optimizer}")
    configs = [config_of(*own, f"lr=0.00{k + 1}", f"seed={k % 2}") for k in range(3)]
    data = load(configs[0].data)
    train(configs, data, [open_record(tmp_path / "whole" / str(k)) for k in range(3)])
    records = [open_record(tmp_path / "parts" / str(k)) for k in range(3)]
    monkeypatch.setattr(events.listener, "stopping", lambda: records[0].epoch == 2)
    with pytest.raises(events.Stopped):
        train(configs, data, records)
    monkeypatch.undo()
    train(configs, data, [open_record(tmp_path / "parts" / str(k)) for k in range(3)])
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_an_error_costs_only_the_run_whose_it_is(tmp_path, monkeypatch):
    from cnnlab.training.trainer import Trainer

    configs = [config_of(*SMALL, "epochs=2", f"seed={seed}") for seed in range(3)]
    whole = Trainer.epoch

    def broken(self, epoch, advance):
        if any(config.seed == 1 for config in self.configs):
            raise ValueError("seed 1 is broken")
        return whole(self, epoch, advance)

    monkeypatch.setattr(Trainer, "epoch", broken)
    ends = {}
    records = [open_record(tmp_path / str(k)) for k in range(3)]
    train(configs, load(configs[0].data), records, ended=ends.__setitem__)
    assert {slot: str(error) for slot, error in ends.items()} == {
        0: "None", 1: "seed 1 is broken", 2: "None",
    }  # fmt: skip
    assert [record.epoch for record in records] == [2, 0, 2]


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("adamw", marks=pytest.mark.slow)])
def test_a_compiled_stack_trains_as_an_eager_one(optimizer, tmp_path):
    options = (*SMALL, "epochs=2", "norm=bn", "model.dropout=0.2", f"optimizer={optimizer}")
    configs = [config_of(*options, f"lr=0.00{k + 1}") for k in range(2)]
    data = load(configs[0].data)
    eager, fast = (
        train(
            configs,
            data,
            [open_record(tmp_path / f"{compiled}{k}") for k in range(2)],
            compiled=compiled,
        )
        for compiled in (False, True)
    )
    for one, other in zip(eager, fast, strict=True):
        assert one.final_train_loss == pytest.approx(other.final_train_loss, abs=1e-4)
