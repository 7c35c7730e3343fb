"""SimpleNN against the same net in torch.nn.functional, and what its first weights depend on."""

from functools import cache

import numpy as np
import pytest
import torch
import yaml
from conftest import config_of
from scipy import stats
from torch.nn import functional as F

from cnnlab.config.checking import validate
from cnnlab.config.compose import compose
from cnnlab.config.options import file_of, options
from cnnlab.config.targets import configured
from cnnlab.core.seeding import generator
from cnnlab.data.batches import supply
from cnnlab.data.loading import load
from cnnlab.parts.model.simplenn import SimpleNN
from cnnlab.parts.norm.bn import bn
from cnnlab.parts.norm.none import none
from cnnlab.training.assemble import assemble
from cnnlab.training.stackable import tried
from cnnlab.training.structure import Unstackable
from cnnlab.training.trainer import Trainer

CIFAR = (3, 32, 32)
SHAPES = [CIFAR, (1, 28, 28), (3, 12, 12), (3, 20, 33)]  # C, H, W


def simplenn(shape=CIFAR, classes=10, norm=none, activation=torch.nn.ReLU):
    return SimpleNN(shape, classes, norm, activation)


def images(shape, count=4):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


# --- the network


def test_parameters_for_cifar_are_82_030():
    counts = {name: p.numel() for name, p in simplenn().named_parameters()}
    assert counts == {
        "conv1.weight": 8 * 3 * 5 * 5,
        "conv1.bias": 8,
        "conv2.weight": 16 * 8 * 3 * 3,
        "conv2.bias": 16,
        "linear1.weight": 576 * 120,
        "linear1.bias": 120,
        "linear2.weight": 120 * 84,
        "linear2.bias": 84,
        "linear3.weight": 84 * 10,
        "linear3.bias": 10,
    }
    assert sum(counts.values()) == 608 + 1_168 + 69_240 + 10_164 + 850 == 82_030


def test_batch_norm_adds_a_scale_and_a_shift_for_each_channel_of_both_convolutions():
    parameters = simplenn(norm=bn).parameters()
    assert sum(p.numel() for p in parameters) == 82_030 + 2 * 8 + 2 * 16


@pytest.mark.parametrize(
    ("shape", "inputs"),
    [
        (CIFAR, 16 * 6 * 6),  # 32 - 4 = 28, 14, - 2 = 12, 6
        ((1, 28, 28), 16 * 5 * 5),  # 28 - 4 = 24, 12, - 2 = 10, 5
        ((3, 12, 12), 16 * 1 * 1),  # 12 - 4 = 8, 4, - 2 = 2, 1
        ((3, 20, 33), 16 * 3 * 6),  # 20: 16, 8, 6, 3;  33: 29, 14, 12, 6
    ],
)
@pytest.mark.parametrize("classes", [2, 10])
def test_output_is_one_logit_a_class_for_any_image_size(shape, inputs, classes):
    model = simplenn(shape, classes)
    assert model.linear1.in_features == inputs
    assert model(images(shape)).shape == (4, classes)


@pytest.mark.parametrize("shape", [(3, 11, 11), (1, 32, 11), (1, 8, 32), (3, 1, 1)])
def test_too_small_images_are_refused(shape):
    _, height, width = shape
    with pytest.raises(ValueError, match=rf"{height}x{width} pixels .* at least 12x12"):
        simplenn(shape)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_forward_equals_the_net_in_functional_form(shape, training):
    torch.manual_seed(0)
    model = simplenn(shape, norm=bn, activation=torch.nn.SiLU).train(training)
    with torch.no_grad():  # numbers that show where one is left out
        for name, tensor in model.state_dict().items():
            if name.startswith("norm") and tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    w = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def convolved(x, i):
        x = F.conv2d(x, w[f"conv{i}.weight"], w[f"conv{i}.bias"])
        x = F.batch_norm(
            x,
            w[f"norm{i}.running_mean"],
            w[f"norm{i}.running_var"],
            w[f"norm{i}.weight"],
            w[f"norm{i}.bias"],
            training,
        )
        return F.max_pool2d(F.silu(x), 2)

    x = images(shape)
    hidden = convolved(convolved(x, 1), 2).reshape(4, -1)
    for i in (1, 2):
        hidden = F.silu(F.linear(hidden, w[f"linear{i}.weight"], w[f"linear{i}.bias"]))
    expected = F.linear(hidden, w["linear3.weight"], w["linear3.bias"])
    torch.testing.assert_close(model(x), expected)


def test_first_loss_is_near_log_10():
    """The lab's sanity check: before training, ten classes are equally likely."""
    model = assemble(config(), CIFAR, 10)
    labels = torch.arange(64) % 10
    loss = F.cross_entropy(model(images(CIFAR, 64)), labels)
    assert loss.item() == pytest.approx(np.log(10), abs=0.05)


def option_of(group, name, **keys):
    """A part as its yaml configures it."""
    return configured({**yaml.safe_load(file_of(group, name).read_text()), **keys})


ACTIVATIONS = [(name, {}) for name in options("activation")] + [
    ("silu", {"beta": 0.5}),
    ("silu", {"learned": True}),
]


@pytest.mark.parametrize(("activation", "keys"), ACTIVATIONS)
@pytest.mark.parametrize("norm", options("norm"))
def test_every_norm_with_every_activation_gives_finite_logits_and_gradients(norm, activation, keys):
    torch.manual_seed(0)
    shape = (3, 16, 16)
    model = simplenn(
        shape, norm=option_of("norm", norm), activation=option_of("activation", activation, **keys)
    )
    logits = model(images(shape))
    F.cross_entropy(logits, torch.arange(4)).backward()
    assert logits.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        # A shift before a norm that takes the mean away rightly has no gradient.
        assert parameter.grad.any() or name in ("conv1.bias", "conv2.bias"), name


# --- its first weights


@cache
def config(*overrides):
    return validate(compose((*overrides, "device=cpu"))[0])


def weights(*overrides, shape=CIFAR, classes=10):
    return assemble(config(*overrides), shape, classes).state_dict()


def random_names(state):
    """Those of layers with random first weights."""
    return [name for name in state if name.startswith(("conv", "linear"))]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_same_seed_gives_the_same_weights(seed):
    first, second = weights(f"seed={seed}"), weights(f"seed={seed}")
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_seed_gives_other_weights_in_every_layer():
    first, second = weights("seed=0"), weights("seed=1")
    assert len(random_names(first)) == 10
    assert not any(torch.equal(first[name], second[name]) for name in random_names(first))


VARIANTS = [
    "norm=bn",
    "norm=gn",
    "norm=ln",
    "norm=in",
    "activation=gelu",
    "activation=silu activation.learned=true",
    "augment=crop_flip",
    "lr=cosine",
    "optimizer=adamw",
    "epochs=1 batch_size=7",
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_share_the_weights_of_layers_of_the_same_name(variant):
    baseline, other = weights(), weights(*variant.split())
    assert len(baseline) == 10
    assert all(torch.equal(baseline[name], other[name]) for name in baseline)


def test_another_number_of_classes_changes_the_last_layer_only():
    ten, two = weights(), weights(classes=2)
    same = [name for name in ten if ten[name].shape == two[name].shape]
    assert len(same) == 8
    assert all(torch.equal(ten[name], two[name]) for name in same)


def test_weights_do_not_depend_on_the_global_generator_nor_touch_it():
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        results.append(weights("norm=bn"))
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_refused_model_leaves_the_global_generator():
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"norm\.groups=3"):
        assemble(config("norm=gn", "norm.groups=3"), CIFAR, 10)
    with pytest.raises(ValueError, match="at least 12x12"):
        assemble(config(), (3, 8, 8), 10)
    assert torch.equal(torch.get_rng_state(), before)


def test_first_weights_are_uniform_as_pytorch_draws_them():
    """Of weights and shifts alike: +-1 / sqrt(inputs of a unit)."""
    state = weights()
    for name in random_names(state):
        inputs = state[name.replace("bias", "weight")][0].numel()
        bound = inputs**-0.5
        uniform = stats.uniform(-bound, 2 * bound)
        assert stats.kstest(state[name].flatten().numpy(), uniform.cdf).pvalue > 0.001, name
        assert state[name].abs().max() <= bound


def test_first_weights_are_those_of_the_layers_own_generator():
    layer = torch.nn.Conv2d(3, 8, 5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(0, "init/conv1").initial_seed())
        layer.reset_parameters()
    state = weights("seed=0")
    assert torch.equal(state["conv1.weight"], layer.weight)
    assert torch.equal(state["conv1.bias"], layer.bias)


def test_layers_do_not_repeat_each_others_draws():
    state = weights()
    starts = {
        name: tensor.flatten()[:200].numpy() for name, tensor in state.items() if "weight" in name
    }
    correlations = np.corrcoef(list(starts.values())) - np.eye(len(starts))
    assert abs(correlations).max() < 0.3  # 4 standard errors


def test_norms_start_as_plain_normalisation_after_assembly():
    state = weights("norm=bn")
    for i in (1, 2):
        assert (state[f"norm{i}.weight"] == 1).all()
        assert (state[f"norm{i}.bias"] == 0).all()
        assert (state[f"norm{i}.running_mean"] == 0).all()
        assert (state[f"norm{i}.running_var"] == 1).all()


def test_learned_beta_starts_as_configured_in_each_of_four_layers():
    state = weights("activation=silu", "activation.learned=true", "activation.beta=1.5")
    assert [state[f"activation{i}.beta"].item() for i in (1, 2, 3, 4)] == [1.5] * 4


OWN = '''
import math
import torch


class Noisy(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = torch.nn.Parameter(1 + 0.5 * torch.randn(channels, 1, 1))

    def forward(self, x):
        return x * self.scale


class Zeroed(torch.nn.Module):
    def __init__(self, shape, classes, norm):
        super().__init__()
        self.norm = norm(shape[0])
        self.last = torch.nn.Linear(math.prod(shape), classes)
        torch.nn.init.zeros_(self.last.weight)

    def forward(self, x):
        return self.last(self.norm(x).flatten(1))


class Initialised(torch.nn.Module):
    """As torchvision's ResNet: layers first, then a loop over them; and a tensor of its own."""

    def __init__(self, shape, classes, *, more: bool = False):
        super().__init__()
        self.first = torch.nn.Conv2d(shape[0], 8, 3)
        self.more = torch.nn.Conv2d(8, 8, 3) if more else torch.nn.Identity()
        self.last = torch.nn.Linear(8, classes)
        self.token = torch.nn.Parameter(torch.empty(8, 1, 1))
        torch.nn.init.trunc_normal_(self.token, std=0.02)
        for layer in self.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, mode="fan_out")

    def forward(self, x):
        return self.last((self.more(self.first(x)) + self.token).mean((2, 3)))
'''
"""A file of a project, by somebody who knows nothing of cnnlab."""


@pytest.fixture
def own_model(tmp_path):
    """A config with a model, or a norm, of one's own."""
    (tmp_path / f"own_{tmp_path.name}.py").write_text(OWN)

    def own(model, *overrides, norm="cnnlab.parts.norm.none.none", **keys):
        model = {"_target_": f"own_{tmp_path.name}.{model}", **keys}
        norm = norm.replace("own.", f"own_{tmp_path.name}.")
        plain = config_of(*overrides).plain()
        return validate({**plain, "model": model, "norm": {"_target_": norm}})

    return own


def test_weights_drawn_in_a_constructor_depend_on_the_seed_alone(own_model):
    config = own_model("Zeroed", norm="own.Noisy")
    torch.manual_seed(1)
    first = assemble(config, (3, 12, 12), 4).norm.scale
    torch.manual_seed(2)
    assert torch.equal(assemble(config, (3, 12, 12), 4).norm.scale, first)
    other = own_model("Zeroed", "seed=1", norm="own.Noisy")
    assert not torch.equal(assemble(other, (3, 12, 12), 4).norm.scale, first)


def test_a_models_own_first_weights_are_as_its_code_sets_them(own_model):
    model = assemble(own_model("Zeroed"), (3, 12, 12), 4)
    assert model.last.weight.abs().max() == 0
    assert model.last.bias.abs().max() > 0
    model = assemble(own_model("Initialised"), (3, 12, 12), 4)
    spread = (2 / (8 * 9)) ** 0.5  # He et al. 2015, eq. 10, of what goes out; PyTorch's is 0.11
    assert model.first.weight.std().item() == pytest.approx(spread, rel=0.2)
    assert model.token.std().item() == pytest.approx(0.02, rel=0.8)


def test_layers_that_two_models_share_start_the_same_whatever_is_between_them(own_model):
    plain, more = (
        assemble(own_model("Initialised", more=more), (3, 12, 12), 4).state_dict()
        for more in (False, True)
    )
    assert all(torch.equal(plain[name], more[name]) for name in plain)
    assert more.keys() - plain.keys() == {"more.weight", "more.bias"}


OWN_DROPOUT = """
import random

import numpy as np
from torch import nn


class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    def forward(self, x):
        if self.training:
            x = x * (1 + 0.1 * random.random() + 0.1 * np.random.rand())
        return self.last(nn.functional.dropout(self.dropout(x.flatten(1))))
"""


def test_a_model_that_draws_from_global_generators_repeats_also_after_an_interruption(tmp_path):
    """Whatever was drawn before, and with other numbers in each epoch."""
    (tmp_path / f"net_{tmp_path.name}.py").write_text(OWN_DROPOUT)
    plain = config_of("data=synthetic", "data.images=80", "data.size=12", "data.classes=4").plain()
    config = validate({**plain, "model": {"_target_": f"net_{tmp_path.name}.Net"}})
    data = load(config.data)

    def trainer():
        model = assemble(config, data.shape, len(data.classes))
        return Trainer([config], [model], supply(data, torch.device("cpu"), torch.float32))

    whole = trainer()
    losses = [whole.epoch(epoch, lambda step: None)[0] for epoch in (1, 2)]
    first, second = trainer(), trainer()
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(first.epoch(1, lambda step: None)[0], losses[0])
    torch.manual_seed(6)
    second.restore(0, first.snapshot(0))
    before = torch.get_rng_state()
    assert torch.equal(second.epoch(2, lambda step: None)[0], losses[1])
    checked = [each.evaluate(each.supply.val)[0] for each in (whole, second)]
    assert torch.equal(*checked)  # its second dropout draws in validation too
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(Unstackable, match=r"draws from a generator|as one of two"):
        tried(assemble(config, data.shape, len(data.classes)), data.shape)
