"""Each norm against PyTorch's functional form and against means and variances by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnnlab.parts.norm.bn import bn
from cnnlab.parts.norm.gn import gn
from cnnlab.parts.norm.instance import instance
from cnnlab.parts.norm.ln import ln
from cnnlab.parts.norm.none import none

NORMS = {"bn": bn, "gn": gn, "ln": ln, "in": instance, "none": none}
SHAPES = [(4, 8, 6, 6), (3, 16, 5, 9), (1, 4, 2, 3)]


def images(shape, dtype=torch.float64, seed=0):
    """Of mean 3 and standard deviation 2, so that a norm has something to do."""
    numbers = np.random.default_rng(seed).normal(3, 2, shape)
    return torch.tensor(numbers, dtype=dtype)


def by_hand(option, x, eps, groups):
    """x minus its mean, over its standard deviation, in float64 NumPy."""
    n, c, h, w = x.shape
    if option == "none":
        return x
    groups = {"bn": c, "in": c, "ln": 1, "gn": groups}[option]
    grouped = x.reshape(n, groups, c // groups, h, w)
    axes = (0, 2, 3, 4) if option == "bn" else (2, 3, 4)
    mean = grouped.sum(axes, keepdims=True) / (grouped.size / grouped.sum(axes).size)
    variance = ((grouped - mean) ** 2).mean(axes, keepdims=True)
    return ((grouped - mean) / np.sqrt(variance + eps)).reshape(x.shape)


def functional(option, x, eps, groups):
    """What torch.nn.functional has for a norm, at its first scale and shift."""
    if option == "bn":
        return F.batch_norm(x, None, None, training=True, eps=eps)
    if option == "gn":
        return F.group_norm(x, groups, eps=eps)
    if option == "ln":
        return F.layer_norm(x, x.shape[1:], eps=eps)
    if option == "in":
        return F.instance_norm(x, eps=eps)
    return x


def keys_of(option, eps, groups):
    """An option's own keys."""
    if option == "none":
        return {}
    return {"eps": eps, "groups": groups} if option == "gn" else {"eps": eps}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("option", NORMS)
def test_default_norm_equals_torch_functional(option, shape):
    x = images(shape, torch.float32)
    torch.testing.assert_close(NORMS[option](shape[1])(x), functional(option, x, 1e-5, 4))


@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("option", NORMS)
def test_norm_equals_means_and_variances_by_hand(option, shape, groups, eps):
    x = images(shape)
    module = NORMS[option](shape[1], **keys_of(option, eps, groups)).double()
    result = module(x).detach()
    np.testing.assert_allclose(result, by_hand(option, x.numpy(), eps, groups), atol=1e-12)
    torch.testing.assert_close(result, functional(option, x, eps, groups))


@pytest.mark.parametrize("option", ["bn", "gn", "ln", "in"])
def test_scale_and_shift_are_per_channel_and_start_at_one_and_zero(option):
    module = NORMS[option](8).double()
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "weight": (8,),
        "bias": (8,),
    }
    assert (module.weight == 1).all()
    assert (module.bias == 0).all()
    scale, shift = np.arange(1.0, 9.0), np.linspace(-2, 2, 8)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(scale))
        module.bias.copy_(torch.tensor(shift))
    x = images((4, 8, 6, 6))
    plain = by_hand(option, x.numpy(), 1e-5, groups=4)
    expected = plain * scale[:, None, None] + shift[:, None, None]
    np.testing.assert_allclose(module(x).detach(), expected, atol=1e-12)


def test_none_has_no_parameters_and_returns_its_input():
    x = images((2, 8, 3, 3))
    assert none(8)(x) is x
    assert not list(none(8).state_dict())


@pytest.mark.parametrize("momentum", [0.1, 0.3])
def test_batch_norm_keeps_running_statistics_and_uses_them_in_evaluation(momentum):
    module = bn(8, momentum=momentum).double()
    mean, variance = np.zeros(8), np.ones(8)
    for seed in (1, 2):
        x = images((4, 8, 6, 6), seed=seed)
        module(x)
        by_channel = x.numpy().transpose(1, 0, 2, 3).reshape(8, -1)
        mean = (1 - momentum) * mean + momentum * by_channel.mean(1)
        # Ioffe and Szegedy, algorithm 2: the unbiased variance.
        variance = (1 - momentum) * variance + momentum * by_channel.var(1, ddof=1)
    np.testing.assert_allclose(module.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(module.running_var, variance, rtol=1e-12)

    module.eval()
    x = images((3, 8, 6, 6), seed=3)
    shaped = (8, 1, 1)
    expected = (x.numpy() - mean.reshape(shaped)) / np.sqrt(variance.reshape(shaped) + 1e-5)
    np.testing.assert_allclose(module(x).detach(), expected, atol=1e-12)
    np.testing.assert_allclose(module.running_mean, mean, rtol=1e-12)  # unchanged by evaluation
    np.testing.assert_allclose(module.running_var, variance, rtol=1e-12)


@pytest.mark.parametrize("option", ["gn", "ln", "in", "none"])
def test_norm_without_batch_statistics_sees_each_image_alone(option):
    module, x = NORMS[option](8), images((4, 8, 6, 6), torch.float32)
    assert not list(module.buffers())
    together = module(x)
    torch.testing.assert_close(together, torch.cat([module(x[i : i + 1]) for i in range(4)]))
    torch.testing.assert_close(together, module.eval()(x))


def test_group_norm_is_layer_norm_with_one_group_and_instance_norm_with_one_channel_a_group():
    x = images((4, 8, 6, 6), torch.float32)
    torch.testing.assert_close(gn(8, groups=1)(x), ln(8)(x))
    torch.testing.assert_close(gn(8, groups=8)(x), instance(8)(x))
    assert not torch.allclose(gn(8)(x), ln(8)(x), atol=1e-3)


@pytest.mark.parametrize(("channels", "groups"), [(8, 3), (8, 5), (8, 16), (6, 4)])
def test_groups_that_do_not_divide_the_channels_are_refused(channels, groups):
    with pytest.raises(ValueError, match=rf"norm\.groups={groups}: .*a divisor of {channels}\b"):
        gn(channels, groups=groups)


@pytest.mark.parametrize("option", NORMS)
def test_constant_image_gives_finite_output_and_gradient(option):
    x = torch.full((2, 8, 4, 4), 7.0, requires_grad=True)
    result = NORMS[option](8)(x)
    result.square().sum().backward()
    expected = torch.full_like(x, 7 if option == "none" else 0)
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)  # 7's rounding / sqrt(eps)
    assert x.grad.isfinite().all()
