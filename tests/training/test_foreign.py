"""Models that know nothing of cnnlab: alone and as one of three, in double precision.

What cannot be computed for several at once must be refused, so that it is trained alone.
"""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torchvision import models

from cnnlab.training.stack import Stack
from cnnlab.training.stackable import tried
from cnnlab.training.structure import Unstackable, structure

CLASSES = 10


class Residual(nn.Module):
    """Shortcuts, a ModuleList, a buffer that training changes, a branch on training."""

    def __init__(self, norm_layer=nn.BatchNorm2d):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), norm_layer(8))
            for _ in range(2)
        )
        self.register_buffer("seen", torch.zeros(8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(F.relu(x))
        pooled = x.mean((2, 3))
        if self.training:
            self.seen.mul_(0.9).add_(0.1 * pooled.detach().mean(0))
        else:
            pooled = pooled - 0.01 * self.seen
        return self.head(pooled)


class Checkpointed(Residual):
    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + checkpoint(block, F.relu(x), use_reentrant=False)
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    """Patches as words: einsum, LayerNorm, scaled_dot_product_attention, a class token."""

    def __init__(self, width=16, heads=2):
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 8, stride=8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.norm = nn.LayerNorm(width)
        self.of_three = nn.Linear(width, 3 * width)
        self.mix = nn.Parameter(torch.randn(width, width) / 4)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        q, k, v = self.of_three(self.norm(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + torch.einsum("nlc,cd->nld", seen, self.mix)
        return self.head(x[:, 0])


class Recurrent(nn.Module):
    """Rows as a sequence. PyTorch has no rule that computes several LSTMs as one."""

    def __init__(self):
        super().__init__()
        self.rows = nn.LSTM(3 * 32, 8, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.rows(x.transpose(1, 2).flatten(2))[0][:, -1])


class Swin(models.SwinTransformer):
    """A cut-down one; its stochastic depth would draw for all alike."""

    def __init__(self):
        super().__init__(
            [2, 2], 16, [1, 1], [1, 2], [4, 4], stochastic_depth_prob=0.0, num_classes=CLASSES
        )


MODELS = {
    "residual": Residual,
    "residual with another norm": partial(Residual, partial(nn.GroupNorm, 4)),
    "attention": Attention,
    "resnet18": partial(models.resnet18, num_classes=CLASSES),
    "resnet18 with group norm": partial(
        models.resnet18, num_classes=CLASSES, norm_layer=partial(nn.GroupNorm, 8)
    ),
    "vit": partial(models.VisionTransformer, 32, 8, 2, 2, 16, 32, num_classes=CLASSES),
    "swin": Swin,
    "mobilenet_v2": partial(models.mobilenet_v2, num_classes=CLASSES, dropout=0.0),
    "squeezenet": partial(models.squeezenet1_1, num_classes=CLASSES, dropout=0.0),
    "shufflenet": partial(models.shufflenet_v2_x0_5, num_classes=CLASSES),
    "densenet121": partial(models.densenet121, num_classes=CLASSES),
    "googlenet": partial(
        models.googlenet, num_classes=CLASSES, aux_logits=False, init_weights=False, dropout=0.0
    ),
    "convnext_tiny": partial(models.convnext_tiny, num_classes=CLASSES, stochastic_depth_prob=0.0),
    "vgg11_bn": partial(models.vgg11_bn, num_classes=CLASSES, dropout=0.0),
}
LARGE = ("densenet121", "googlenet", "convnext_tiny", "vgg11_bn")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in MODELS]
)
def test_three_as_one_are_each_as_alone(name):
    torch.manual_seed(0)
    side = 64 if name in LARGE or name == "squeezenet" else 32
    images = torch.rand(3, 4, 3, side, side, dtype=torch.float64)
    alone = [MODELS[name]().double() for _ in range(3)]
    assert len({structure(each) for each in alone}) == 1
    stack = Stack(alone)
    logits = stack(images, training=True)
    gradients = torch.autograd.grad(logits.square().sum(), list(stack.parameters.values()))
    for slot, model in enumerate(alone):
        own = model.train()(images[slot])
        torch.testing.assert_close(logits[slot], own, rtol=1e-9, atol=1e-11)
        wanted = torch.autograd.grad(own.square().sum(), list(model.parameters()))
        for found, each in zip(gradients, wanted, strict=True):
            rounding = 1e-9 * max(1.0, each.abs().max().item())
            torch.testing.assert_close(found[slot], each, rtol=1e-6, atol=rounding)
        for key, buffer in model.named_buffers():
            torch.testing.assert_close(stack.buffers[key][slot], buffer, rtol=1e-9, atol=1e-11)
        checked = stack(images, training=False)[slot]
        torch.testing.assert_close(checked, model.eval()(images[slot]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["residual", "attention", "resnet18", "vit"])
def test_such_models_are_stacked(name):
    tried(MODELS[name](), (3, 32, 32))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Checkpointed, "Checkpointed fails as one of two"),
        (Recurrent, "LSTM._flat_weight_refs holds"),
        (partial(models.mobilenet_v2, num_classes=CLASSES), "as one of two|draws from a generator"),
        (partial(models.convnext_tiny, num_classes=CLASSES), "as one of two|draws from"),
    ],
)
def test_what_cannot_be_computed_for_several_is_trained_alone(made, reason):
    with pytest.raises(Unstackable, match=reason):
        tried(made(), (3, 32, 32))
