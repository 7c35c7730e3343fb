"""Each activation against its paper's formula in float64 NumPy and against torch.nn.functional."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import special
from torch.nn import functional as F

from cnnlab.parts.activation.elu import elu
from cnnlab.parts.activation.gelu import gelu
from cnnlab.parts.activation.leaky_relu import leaky_relu
from cnnlab.parts.activation.mish import mish
from cnnlab.parts.activation.relu import relu
from cnnlab.parts.activation.silu import silu
from cnnlab.parts.activation.tanh import tanh

GRID = np.concatenate([np.linspace(-6, 6, 241), [-300, -30, -1e-6, 1e-6, 30, 300]])

BETAS = [0.5, 1.0, 2.0]


def swish_case(beta, learned):
    """A Swish with its formula; torch has it as silu(beta x) / beta."""
    return pytest.param(
        silu(beta=beta, learned=learned),
        lambda x: x * special.expit(beta * x),
        lambda x: F.silu(beta * x) / beta,
        id=f"silu-{beta}-{'learned' if learned else 'fixed'}",
    )


def elu_by_hand(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


CASES = [  # module, formula, torch.nn.functional
    pytest.param(relu(), lambda x: (x + abs(x)) / 2, F.relu, id="relu"),
    pytest.param(elu(), partial(elu_by_hand, alpha=1), F.elu, id="elu"),
    pytest.param(
        elu(alpha=0.3), partial(elu_by_hand, alpha=0.3), partial(F.elu, alpha=0.3), id="elu-0.3"
    ),
    pytest.param(gelu(), lambda x: x * special.ndtr(x), F.gelu, id="gelu"),
    pytest.param(
        leaky_relu(), lambda x: np.where(x > 0, x, 0.01 * x), F.leaky_relu, id="leaky_relu"
    ),
    pytest.param(
        leaky_relu(slope=0.2),
        lambda x: np.where(x > 0, x, 0.2 * x),
        partial(F.leaky_relu, negative_slope=0.2),
        id="leaky_relu-0.2",
    ),
    pytest.param(leaky_relu(slope=0.0), lambda x: np.maximum(x, 0), F.relu, id="leaky_relu-0"),
    pytest.param(mish(), lambda x: x * np.tanh(np.logaddexp(0, x)), F.mish, id="mish"),
    pytest.param(tanh(), lambda x: 1 - 2 * special.expit(-2 * x), F.tanh, id="tanh"),
    pytest.param(silu(), lambda x: x / (1 + np.exp(-x)), F.silu, id="silu"),
    *(swish_case(beta, learned) for beta in BETAS for learned in (False, True)),
]


@pytest.mark.parametrize(("module", "formula", "functional"), CASES)
def test_activation_equals_its_formula(module, formula, functional):
    x = torch.tensor(GRID)
    np.testing.assert_allclose(module(x).detach(), formula(GRID), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(module(x), functional(x))


@pytest.mark.parametrize(("module", "formula", "functional"), CASES)
def test_activation_keeps_shape_and_type_and_leaves_its_input(module, formula, functional):
    x = torch.tensor(GRID[:240], dtype=torch.float32).view(2, 3, 4, 10)
    before = x.clone()
    result = module(x)
    assert (result.shape, result.dtype) == (x.shape, x.dtype)
    assert torch.equal(x, before)
    torch.testing.assert_close(result, functional(x))


@pytest.mark.parametrize(("module", "formula", "functional"), CASES)
def test_gradient_equals_finite_differences(module, formula, functional):
    x = torch.linspace(-3, 3, 20, dtype=torch.float64, requires_grad=True)  # without 0, a kink
    assert torch.autograd.gradcheck(module, x)


def test_swish_is_half_the_input_at_beta_0_and_near_relu_at_a_large_one():
    x = torch.tensor(GRID)
    torch.testing.assert_close(silu(beta=0.0)(x), x / 2)
    torch.testing.assert_close(silu(beta=1e8)(x), F.relu(x))


def test_fixed_beta_is_no_parameter_and_a_learned_one_is():
    assert not list(silu(beta=2.0).state_dict())
    learned = silu(beta=2.0, learned=True)
    assert {name: p.item() for name, p in learned.named_parameters()} == {"beta": 2.0}


def test_every_layer_learns_a_beta_of_its_own():
    make = partial(silu, learned=True)
    assert make().beta is not make().beta


@pytest.mark.parametrize("beta", [0.0, *BETAS])
def test_learned_beta_gets_the_analytic_gradient(beta):
    module = silu(beta=beta, learned=True).double()
    weights = np.random.default_rng(0).normal(size=GRID.size)
    (torch.tensor(weights) * module(torch.tensor(GRID))).sum().backward()
    share = special.expit(beta * GRID)  # d/d beta of x s(beta x) is x^2 s (1 - s)
    expected = (weights * GRID**2 * share * special.expit(-beta * GRID)).sum()
    np.testing.assert_allclose(module.beta.grad, expected, rtol=1e-10)


def test_learned_beta_gets_the_gradient_of_finite_differences():
    x = torch.linspace(-3, 3, 20, dtype=torch.float64, requires_grad=True)
    module = silu(learned=True).double()

    def swish(x, beta):
        return torch.func.functional_call(module, {"beta": beta}, (x,))

    beta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(swish, (x, beta))


def test_training_moves_a_learned_beta():
    module = silu(learned=True)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.ones(5)).sum().backward()
    optimizer.step()
    # Down the slope: 1 - 0.1 * 5 * s (1 - s) with s = 1 / (1 + exp(-1)) = 0.7310586.
    assert module.beta.item() == pytest.approx(1 - 0.5 * 0.7310586 * 0.2689414, abs=1e-6)
