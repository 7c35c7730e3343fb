"""Layers, shapes, parameters and multiply-accumulates against arithmetic by hand."""

from functools import partial

import pytest
import torch
from torch import nn

from cnnlab.parts.activation.silu import silu
from cnnlab.parts.model.simplenn import SimpleNN
from cnnlab.parts.norm.bn import bn
from cnnlab.parts.norm.none import none
from cnnlab.training.cost import Layer, layer_costs

CIFAR = (3, 32, 32)


def simplenn(shape=CIFAR, classes=10, norm=none, activation=nn.ReLU):
    return SimpleNN(shape, classes, norm, activation)


def test_simplenn_on_cifar_equals_arithmetic_by_hand():
    assert layer_costs(simplenn(), CIFAR) == [
        # A convolution: outputs x inputs of one output; parameters with the shift.
        Layer("conv1", (8, 28, 28), 8 * (75 + 1), 8 * 28 * 28 * 75),
        Layer("norm1", (8, 28, 28), 0, 0),
        Layer("activation1", (8, 14, 14), 0, 0),  # after the pool: ReLU may change places with it
        Layer("conv2", (16, 12, 12), 16 * (72 + 1), 16 * 12 * 12 * 72),
        Layer("norm2", (16, 12, 12), 0, 0),
        Layer("activation2", (16, 6, 6), 0, 0),
        Layer("pool", (16, 6, 6), 0, 0),  # called twice; the last shape
        Layer("linear1", (120,), 576 * 120 + 120, 576 * 120),
        Layer("activation3", (120,), 0, 0),
        Layer("dropout1", (120,), 0, 0),
        Layer("linear2", (84,), 120 * 84 + 84, 120 * 84),
        Layer("activation4", (84,), 0, 0),
        Layer("dropout2", (84,), 0, 0),
        Layer("linear3", (10,), 84 * 10 + 10, 84 * 10),
        Layer("", (10,), 82_030, 470_400 + 165_888 + 69_120 + 10_080 + 840),
    ]


def test_simplenn_on_other_images_equals_arithmetic_by_hand():
    layers = {layer.name: layer for layer in layer_costs(simplenn((1, 20, 33), 7), (1, 20, 33))}
    assert layers["conv1"] == Layer("conv1", (8, 16, 29), 8 * 26, 8 * 16 * 29 * 25)
    assert layers["conv2"] == Layer("conv2", (16, 6, 12), 16 * 73, 16 * 6 * 12 * 72)
    assert layers["pool"].shape == (16, 3, 6)
    assert layers["linear1"] == Layer("linear1", (120,), 288 * 120 + 120, 288 * 120)
    assert layers["linear3"] == Layer("linear3", (7,), 84 * 7 + 7, 84 * 7)
    assert layers[""].macs == 92_800 + 82_944 + 34_560 + 10_080 + 588


def test_norm_and_learned_beta_count_as_parameters_and_not_as_macs():
    plain = layer_costs(simplenn(), CIFAR)[-1]
    layers = {
        layer.name: layer
        for layer in layer_costs(simplenn(norm=bn, activation=partial(silu, learned=True)), CIFAR)
    }
    assert layers["norm1"] == Layer("norm1", (8, 28, 28), 16, 0)
    assert layers["norm2"] == Layer("norm2", (16, 12, 12), 32, 0)
    assert layers["activation3"] == Layer("activation3", (120,), 1, 0)
    assert layers[""] == Layer("", (10,), plain.parameters + 48 + 4, plain.macs)


@pytest.mark.parametrize("shape", [CIFAR, (1, 28, 28), (3, 12, 12), (3, 20, 33)])
def test_layers_add_up_to_the_whole(shape):
    model = simplenn(shape, norm=bn)
    *layers, whole = layer_costs(model, shape)
    assert whole.parameters == sum(layer.parameters for layer in layers)
    assert whole.parameters == sum(p.numel() for p in model.parameters())
    assert whole.macs == sum(layer.macs for layer in layers)


def test_nested_strided_and_grouped_layers():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=4, bias=False),
        nn.Sequential(nn.ReLU(), nn.Conv2d(8, 2, 1)),
    )
    assert layer_costs(model, (4, 9, 6)) == [
        Layer("0", (8, 5, 3), 8 * 9, 8 * 5 * 3 * 9),  # one input channel a group
        Layer("1.0", (8, 5, 3), 0, 0),
        Layer("1.1", (2, 5, 3), 2 * 9, 2 * 5 * 3 * 8),
        Layer("", (2, 5, 3), 72 + 18, 1_080 + 240),
    ]


class Sum(nn.Module):
    """A container with parameters and a product of its own, besides what its layers do."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.mix = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x):  # (N, 4, H, W)
        return self.layer(x) + torch.einsum("nchw,cd->ndhw", x, self.mix)


def test_what_a_container_computes_itself_is_its_own():
    model = nn.Sequential(Sum(nn.Conv2d(4, 4, 3, padding=1, bias=False)), nn.ReLU())
    assert layer_costs(model, (4, 5, 6)) == [
        Layer("0", (4, 5, 6), 16, 5 * 6 * 4 * 4),
        Layer("0.layer", (4, 5, 6), 144, 5 * 6 * 4 * 4 * 9),
        Layer("1", (4, 5, 6), 0, 0),
        Layer("", (4, 5, 6), 160, 30 * (16 + 144)),
    ]


def test_a_layer_with_two_names_counts_with_each_of_its_calls():
    conv = nn.Conv2d(4, 4, 1, bias=False)
    model = nn.Sequential(nn.Sequential(conv), nn.ModuleDict({"again": conv})["again"], conv)
    assert layer_costs(model, (4, 5, 6)) == [
        Layer("0.0", (4, 5, 6), 16, 3 * 5 * 6 * 16),
        Layer("", (4, 5, 6), 16, 3 * 5 * 6 * 16),
    ]


def test_a_layer_that_two_containers_share_keeps_its_multiplications():
    conv = nn.Conv2d(4, 4, 1, bias=False)
    model = nn.Sequential(nn.Sequential(conv), nn.Sequential(conv, nn.ReLU()))
    layers = {layer.name: layer for layer in layer_costs(model, (4, 5, 6))}
    assert layers["0.0"].macs == layers[""].macs == 2 * 5 * 6 * 16
    assert layers[""].parameters == 16


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):  # (N, 8, H, W) -> (N, H W, 8)
        tokens = x.flatten(2).transpose(1, 2)
        return self.inner(tokens, tokens, tokens, need_weights=True)[0]


def test_a_layer_that_gives_several_tensors_has_the_shape_of_the_first():
    """Attention calls its last layer's weights, not the layer: they count as its own."""
    inner, whole = layer_costs(Attention(), (8, 3, 4))
    products = 12 * 8 * 24 + 12 * 12 * 8 * 2 + 12 * 8 * 8  # q k v; scores and their values; out
    assert inner == Layer("inner", (12, 8), 8 * 24 + 24 + 64 + 8, products)
    assert whole == Layer("", (12, 8), inner.parameters, products)


@pytest.mark.parametrize("training", [True, False])
def test_model_is_not_changed(training):
    model = simplenn(norm=bn).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    layer_costs(model, CIFAR)
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_model_is_not_changed_where_the_images_do_not_fit():
    model = simplenn()
    with pytest.raises(RuntimeError):
        layer_costs(model, (1, 32, 32))
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
