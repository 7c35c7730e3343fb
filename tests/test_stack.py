"""A stack of K is K runs: the same numbers, whoever is beside them.

K variants, N images of a batch, C H W image, L classes.
"""

import pytest
import torch
from conftest import SMALL, config_of
from safetensors.torch import load_file

from cnnlab import plan
from cnnlab.compose import options
from cnnlab.model.assemble import assemble
from cnnlab.record import Record
from cnnlab.stack import Stack
from cnnlab.train import train

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
    data = plan.load(configs[0])
    together = train(configs, data, [Record(tmp_path / f"together{k}") for k in range(3)])
    for slot, config in enumerate(configs):
        alone = train([config], data, [Record(tmp_path / f"alone{slot}")])[0]
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
