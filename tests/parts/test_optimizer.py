"""Each optimizer's step against torch.optim, one run at a time and several at once."""

import pytest
import torch

from cnnlab.parts.optimizer.adamw import adamw
from cnnlab.parts.optimizer.sgd import sgd

STEPS = 20
OPTIMIZERS = {"sgd": (sgd, torch.optim.SGD), "adamw": (adamw, torch.optim.AdamW)}

SGD = [
    {"momentum": 0.0, "weight_decay": 0.0},
    {"momentum": 0.9, "weight_decay": 0.0},
    {"momentum": 0.0, "weight_decay": 0.1},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"momentum": 0.9, "weight_decay": 0.0, "nesterov": True},
    {"momentum": 0.5, "weight_decay": 0.1, "nesterov": True},
]
ADAMW = [
    {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01},
    {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
    {"beta1": 0.0, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.1},
    {"beta1": 0.8, "beta2": 0.0, "eps": 1e-3, "weight_decay": 0.1},
    {"beta1": 0.95, "beta2": 0.98, "eps": 1e-2, "weight_decay": 0.5},
]
CASES = [("sgd", keys) for keys in SGD] + [("adamw", keys) for keys in ADAMW]


def first_weights(seed=0):
    """A matrix, a vector and a scalar, in float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"matrix": (3, 4), "vector": (3,), "scalar": ()}
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def gradients_at(weights):
    """Of a smooth loss that is not convex; weights may have a leading axis K."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in weights.items()}
    inputs = torch.linspace(-2, 2, 20, dtype=torch.float64).view(5, 4)
    hidden = torch.tanh(inputs @ leaves["matrix"].mT + leaves["vector"][..., None, :])  # (K, 5, 3)
    error = hidden.sum(-1) * leaves["scalar"][..., None] - inputs[:, 0].cos()  # (K, 5)
    loss = error.square().mean(-1).sum()
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def rate_at(step, base):
    """Falls, so that a step with the wrong rate shows."""
    return base * 0.9**step


def torch_run(option, keys, base, seed=0):
    """The weights after STEPS steps of torch.optim."""
    weights = {name: torch.nn.Parameter(w) for name, w in first_weights(seed).items()}
    keys = dict(keys)
    if option == "adamw":
        keys["betas"] = keys.pop("beta1"), keys.pop("beta2")
    optimizer = OPTIMIZERS[option][1](weights.values(), lr=base, **keys)
    for step in range(STEPS):
        for name, gradient in gradients_at(weights).items():
            weights[name].grad = gradient
        optimizer.param_groups[0]["lr"] = rate_at(step, base)
        optimizer.step()
    return {name: parameter.detach() for name, parameter in weights.items()}


def run(option, weights, keys, base):
    """The weights after STEPS steps of ours; `keys` and `base` may be (K,) tensors."""
    update, states = OPTIMIZERS[option][0], {name: {} for name in weights}
    for step in range(STEPS):
        gradients = gradients_at(weights)
        for name, parameter in weights.items():

            def shaped(number, ndim=parameter.ndim):  # (K,) -> (K, 1, ..., 1)
                tensor = isinstance(number, torch.Tensor) and number.ndim
                return number.view(-1, *[1] * (ndim - 1)) if tensor else number

            numbers = {key: shaped(number) for key, number in keys.items()}
            rate = shaped(rate_at(step, base))
            assert update(parameter, gradients[name], states[name], rate, **numbers) is None
    return weights


def as_tensors(keys):
    """Each float as a float64 tensor, so that no arithmetic is in float32."""
    return {
        key: torch.tensor(number, dtype=torch.float64) if isinstance(number, float) else number
        for key, number in keys.items()
    }


@pytest.mark.parametrize(("option", "keys"), CASES)
def test_twenty_steps_equal_torch_optim(option, keys):
    expected = torch_run(option, keys, base=0.05)
    result = run(option, first_weights(), as_tensors(keys), base=0.05)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(result["matrix"], first_weights()["matrix"], atol=1e-3)


@pytest.mark.parametrize(
    ("option", "keys"),
    [*(("sgd", keys) for keys in SGD), *(("adamw", keys) for keys in ADAMW)],
)
def test_twenty_steps_with_plain_numbers_equal_torch_optim(option, keys):
    result = run(option, first_weights(), keys, base=0.05)
    torch.testing.assert_close(result, torch_run(option, keys, 0.05), rtol=1e-10, atol=1e-12)


def test_defaults_are_those_of_torch_adamw_and_of_the_course_for_sgd():
    torchs = torch.optim.AdamW([torch.zeros(1)]).defaults
    keys = {key: torchs[key] for key in ("eps", "weight_decay")}
    keys |= dict(zip(("beta1", "beta2"), torchs["betas"], strict=True))
    for option, defaults in [("adamw", keys), ("sgd", {"momentum": 0.9, "weight_decay": 1e-4})]:
        result = run(option, first_weights(), {}, base=0.05)
        expected = run(option, first_weights(), defaults, base=0.05)
        torch.testing.assert_close(result, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("option", "variants"),
    [
        ("sgd", [keys for keys in SGD if "nesterov" not in keys]),
        ("sgd", [keys for keys in SGD if "nesterov" in keys]),
        ("adamw", ADAMW),
    ],
    ids=["sgd", "nesterov", "adamw"],
)
def test_numbers_for_each_of_k_runs_equal_k_runs_of_torch_optim(option, variants):
    rates = torch.tensor([0.05, 0.02, 0.1, 0.01, 0.03], dtype=torch.float64)[: len(variants)]
    starts = [first_weights(seed) for seed in range(len(variants))]
    stacked = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    keys = {
        key: torch.tensor([variant[key] for variant in variants], dtype=torch.float64)
        if isinstance(value, float)
        else value
        for key, value in variants[0].items()
    }
    result = run(option, stacked, keys, rates)
    for slot, (variant, rate) in enumerate(zip(variants, rates.tolist(), strict=True)):
        expected = torch_run(option, variant, rate, seed=slot)
        slot_of_result = {name: tensor[slot] for name, tensor in result.items()}
        torch.testing.assert_close(slot_of_result, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("option", OPTIMIZERS)
def test_one_slot_that_is_no_number_leaves_its_neighbours(option):
    update, state = OPTIMIZERS[option][0], {}
    alone, alone_state = torch.ones(1, 3), {}
    pair = torch.ones(2, 3)
    for step in range(5):
        gradient = torch.full((1, 3), 0.5 + step)
        update(alone, gradient, alone_state, 0.1)
        update(pair, torch.cat([gradient, torch.full((1, 3), torch.nan)]), state, 0.1)
    assert torch.equal(pair[:1], alone)
    assert pair[1].isnan().all()


@pytest.mark.parametrize("option", OPTIMIZERS)
def test_step_changes_the_parameter_in_place_and_not_the_gradient(option):
    parameter, gradient = torch.ones(3), torch.tensor([1.0, -2.0, 0.5])
    address = parameter.data_ptr()
    for _ in range(2):
        OPTIMIZERS[option][0](parameter, gradient, {}, 0.1)
    assert parameter.data_ptr() == address
    assert (parameter != 1).all()
    assert torch.equal(gradient, torch.tensor([1.0, -2.0, 0.5]))


def test_first_adamw_step_is_the_rate_along_the_gradients_sign():
    """Kingma and Ba: bias correction makes the first step lr g / |g|, whatever g's size."""
    parameter, gradient = torch.zeros(3), torch.tensor([1e-3, -2.0, 500.0])
    adamw(parameter, gradient, {}, 0.1, weight_decay=0.0)
    torch.testing.assert_close(parameter, -0.1 * gradient.sign(), rtol=2e-5, atol=0)
