"""A stacked tensor computes what each of its K tensors would: every function, with its gradients.

The other side of each comparison is PyTorch's own module, one variant after the other.
"""

import pytest
import torch
from conftest import SMALL, config_of
from torch import nn
from torch.nn import functional as F

from cnnlab.config.options import options
from cnnlab.training.assemble import assemble
from cnnlab.training.stack import Stack

K, N, CLASSES = 4, 6, 5


def assert_equal_to_each_alone(make, images: torch.Tensor) -> None:
    """Logits, gradients and running statistics to 1e-10, in float64.

    Args:
        make: gives a module
        images: (G, N, C, H, W); G divides K
    """
    torch.manual_seed(0)
    modules = [make().double() for _ in range(K)]
    stack = Stack(modules)
    logits = stack(images, training=True)
    gradients = torch.autograd.grad(logits.square().sum(), list(stack.parameters.values()))
    for slot, module in enumerate(modules):
        own = module(images[slot * len(images) // K])
        torch.testing.assert_close(logits[slot], own, rtol=0, atol=1e-10)
        expected = torch.autograd.grad(own.square().sum(), list(module.parameters()))
        for found, each in zip(gradients, expected, strict=True):
            torch.testing.assert_close(found[slot], each, rtol=1e-9, atol=1e-10)
        for name, buffer in module.named_buffers():
            torch.testing.assert_close(stack.buffers[name][slot], buffer, rtol=0, atol=1e-10)


def images_of(groups: int, size: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(groups, N, 3, size, size, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("groups", [1, 2, K])
@pytest.mark.parametrize("norm", options("norm"))
def test_simplenn_with_every_norm(norm, groups):
    config = config_of(*SMALL, f"norm={norm}", "activation=silu", "activation.learned=true")
    assert_equal_to_each_alone(lambda: assemble(config, (3, 12, 12), CLASSES), images_of(groups))


@pytest.mark.parametrize("activation", options("activation"))
def test_simplenn_with_every_activation(activation):
    config = config_of(*SMALL, f"activation={activation}")
    assert_equal_to_each_alone(lambda: assemble(config, (3, 12, 12), CLASSES), images_of(2))


class Residual(nn.Module):
    """What people write: sums, products, concatenations, reductions, views, several norms."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.strided = nn.Conv2d(8, 8, 3, stride=2, padding=1, padding_mode="reflect")
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.gate = nn.Parameter(torch.rand(()))
        self.inner = nn.LayerNorm([16, 6, 6])
        self.flat = nn.BatchNorm1d(16)
        self.last = nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.gate + 0.5  # of images that some variants share
        x = self.norm(self.first(x))
        x = x + F.relu(self.deep(x)) * self.scale
        x += self.gate
        x = torch.cat([self.strided(x), F.avg_pool2d(x, 2)], 1)
        x = self.inner(x)
        x = x / x.square().mean((1, 2, 3), keepdim=True).sqrt()
        x = torch.where(x > 0, x, self.gate * x)
        x = F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
        return self.last(self.flat(x)).softmax(-1)


class Rows(nn.Module):
    """No convolution at all."""

    def __init__(self):
        super().__init__()
        self.hidden, self.last = nn.Linear(3 * 12 * 12, 7), nn.Linear(7, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.hidden(x.flatten(1))))


@pytest.mark.parametrize("groups", [1, 2, K])
@pytest.mark.parametrize("model", [Residual, Rows])
def test_models_that_know_nothing_of_stacks(model, groups):
    assert_equal_to_each_alone(model, images_of(groups))


def test_what_cannot_be_stacked_is_refused_and_not_computed_wrongly():
    class Random(Rows):
        def forward(self, x):
            return super().forward(F.dropout(x * self.last.bias[0]))

    with pytest.raises(RuntimeError, match="random"):
        Stack([Random().double() for _ in range(K)])(images_of(1), training=True)
