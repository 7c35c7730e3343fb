"""What keeps models out of one stack: each kind of difference, and every one that chance draws."""

import enum
import functools
import importlib
import inspect
import math
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from conftest import SMALL, config_of
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnnlab.config.options import options
from cnnlab.data.loading import load
from cnnlab.execution.grouping import alike
from cnnlab.records.writer import open_record
from cnnlab.training.assemble import assemble
from cnnlab.training.stack import Stack
from cnnlab.training.stackable import tried, tried_optimizer
from cnnlab.training.structure import Unstackable, differing, structure
from cnnlab.training.train import train

SHAPE, CLASSES = (3, 12, 12), 4


class Own(nn.Module):
    """A model as a user may write it; `step` gets it and the 6 numbers of each image."""

    def __init__(self, step: Callable[[nn.Module, torch.Tensor], torch.Tensor] | None = None):
        super().__init__()
        self.first = nn.Linear(math.prod(SHAPE), 6)
        self.last = nn.Linear(6, CLASSES)
        if step is not None:
            self.step = step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.first(x.flatten(1)))
        return self.last(self.step(self, x) if hasattr(self, "step") else x)


class Soft(nn.Module):
    """An activation whose number is where `place` says."""

    factor = 1.0

    def __init__(self, number: float):
        super().__init__()
        self.number = number

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.softplus(x, self.number) * self.factor


class Slotted(nn.Module):
    """A module with an attribute that is not in its `__dict__`."""

    __slots__ = ("number",)

    def __init__(self, number: float):
        super().__init__()
        self.number = number

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.number * x


class Bits(enum.IntFlag):
    """Of which a combination may have no name: before Python 3.11 none has one."""

    FIRST = 1


def doubled(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


@dataclass
class Settings:
    power: float


def attribute(model: Own, number: float) -> None:
    model.number, model.step = number, _by_attribute


def _by_attribute(model: Own, x: torch.Tensor) -> torch.Tensor:
    return model.number * x


def in_a_tuple(model: Own, number: float) -> None:
    model.number, model.step = (1, {"a": [number]}), lambda m, x: m.number[1]["a"][0] * x


def in_a_closure(model: Own, number: float) -> None:
    model.step = lambda m, x: number * x


def in_a_default(model: Own, number: float) -> None:
    model.step = lambda m, x, factor=number: factor * x


def in_a_partial(model: Own, number: float) -> None:
    model.step = functools.partial(lambda m, x, factor: factor * x, factor=number)


def in_a_function(model: Own, number: float) -> None:
    model.step = [lambda m, x: doubled(x), lambda m, x: x * x][number > 1]


def in_a_dataclass(model: Own, number: float) -> None:
    model.settings, model.step = Settings(number), lambda m, x: m.settings.power * x


def in_an_object(model: Own, number: float) -> None:
    model.settings = types.SimpleNamespace(power=number)
    model.step = lambda m, x: m.settings.power * x


def in_flags(model: Own, number: float) -> None:
    model.bits, model.step = Bits(int(16 * number)), lambda m, x: m.bits * x


def in_a_slot(model: Own, number: float) -> None:
    model.slotted, model.step = Slotted(number), lambda m, x: m.slotted(x)


def in_a_tensor(model: Own, number: float) -> None:
    model.number, model.step = torch.tensor(number), _by_attribute


def in_a_buffer(model: Own, number: float) -> None:
    model.register_buffer("number", torch.tensor(number))
    model.step = _by_attribute


def in_a_parameter(model: Own, number: float) -> None:
    model.number, model.step = nn.Parameter(torch.tensor(number)), _by_attribute


def in_a_module(model: Own, number: float) -> None:
    model.soft, model.step = Soft(number), lambda m, x: m.soft(x)


def in_a_list_of_modules(model: Own, number: float) -> None:
    model.soft, model.step = [Soft(number)], lambda m, x: m.soft[0](x)


def in_a_class(model: Own, number: float) -> None:
    Soft.factor = number
    model.soft, model.step = Soft(1.0), lambda m, x: m.soft(x)


def in_a_global(model: Own, number: float) -> None:
    global _FACTOR
    _FACTOR = number
    model.step = lambda m, x: _FACTOR * x


_FACTOR = 1.0


def in_a_class_made_for_it(model: Own, number: float) -> None:
    class Local(nn.Module):
        def forward(self, x):
            return number * x

    model.local, model.step = Local(), lambda m, x: m.local(x)


def in_a_hook(model: Own, number: float) -> None:
    model.first.register_forward_hook(lambda module, given, out: number * out)


def in_a_hook_of_a_gradient(model: Own, number: float) -> None:
    model.first.weight.register_hook(lambda gradient: number * gradient)


def in_shared_weights(model: Own, number: float) -> None:
    model.left, model.right = nn.Linear(6, 6), nn.Linear(6, 6)
    if number > 1:
        model.right.weight = model.left.weight
    model.step = lambda m, x: m.right(m.left(x))


def in_shared_memory(model: Own, number: float) -> None:
    model.left, model.right = nn.Linear(6, 6), nn.Linear(6, 6)
    model.right.weight = nn.Parameter(model.left.weight.data)
    model.step = lambda m, x: number * m.right(m.left(x))


def in_a_shared_module(model: Own, number: float) -> None:
    model.left = nn.Linear(6, 6)
    model.right = model.left if number > 1 else nn.Linear(6, 6)
    model.step = lambda m, x: m.right(m.left(x))


def in_a_list_of_weights(model: Own, number: float) -> None:
    model.weights = [model.first.bias]
    model.step = lambda m, x: number * x + m.weights[0]


def set_in_forward(model: Own, number: float) -> None:
    model.number = number

    def step(m, x):
        m.number = m.number * 0.9
        return m.number * x

    model.step = step


def counted_in_a_closure(model: Own, number: float) -> None:
    seen = []

    def step(m, x):
        seen.append(number)
        return len(seen) * x

    model.step = step


def drawn(model: Own, number: float) -> None:
    model.step = lambda m, x: x + number * torch.rand(6)


def in_a_frozen_weight(model: Own, number: float) -> None:
    model.scale = nn.Parameter(torch.ones(6), requires_grad=number > 1)
    model.step = lambda m, x: m.scale * x


KINDS = [
    attribute, in_a_tuple, in_a_closure, in_a_default, in_a_partial, in_a_function,
    in_a_dataclass, in_an_object, in_a_tensor, in_a_buffer, in_a_parameter, in_a_module,
    in_flags, in_a_slot,
    in_a_list_of_modules, in_a_class, in_a_global, in_a_class_made_for_it, in_a_hook,
    in_a_hook_of_a_gradient, in_shared_weights, in_shared_memory, in_a_shared_module,
    in_a_list_of_weights, set_in_forward, counted_in_a_closure, drawn,
]  # fmt: skip
HELD = {"in_a_buffer", "in_a_parameter"}
"""Where a stack has a number of its own for each."""


def made(kind: Callable[[Own, float], None] | None, number: float, seed: int = 0) -> Own:
    torch.manual_seed(seed)
    model = Own()
    if kind is not None:
        kind(model, number)
    return model


def refused(*makers: Callable[[], nn.Module]) -> bool:
    """Whether models are kept apart, as in `execution.grouping`: each read, the first tried."""
    try:
        found = {structure(make()) for make in makers}
        tried(makers[0](), SHAPE)
    except Unstackable:
        return True
    return len(found) > 1


@pytest.fixture(autouse=True)
def _as_before():
    global _FACTOR
    Soft.factor = _FACTOR = 1.0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_number_that_a_stack_does_not_hold_for_each_keeps_models_apart(kind):
    apart = refused(lambda: made(kind, 1.0), lambda: made(kind, 2.0))
    assert apart == (kind.__name__ not in HELD)


ALWAYS = {
    "in_an_object", "in_a_tensor", "in_a_list_of_modules", "in_a_class_made_for_it", "in_a_hook",
    "in_a_hook_of_a_gradient", "in_a_list_of_weights", "set_in_forward",
    "counted_in_a_closure", "drawn", "in_a_slot",
}  # fmt: skip
"""What keeps a model alone whatever the others are."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_of_equal_numbers_only_what_cannot_be_known_is_refused(kind):
    apart = refused(lambda: made(kind, 2.0, seed=0), lambda: made(kind, 2.0, seed=1))
    assert apart == (kind.__name__ in ALWAYS)


class Hidden:
    __slots__ = ("number",)


@dataclass
class Partly(Hidden):
    power: float


def test_an_attribute_in_slots_is_named():
    with pytest.raises(Unstackable, match=r"^Slotted\.number is in __slots__"):
        structure(made(in_a_slot, 1.0))
    model = made(None, 1.0)
    model.settings = Partly(2.0)
    with pytest.raises(Unstackable, match=r"^Own\.settings holds Partly\.number, which is in __sl"):
        structure(model)


def test_a_frozen_weight_is_another_structure():
    kinds = [structure(made(in_a_frozen_weight, number)) for number in (1.0, 2.0)]
    assert kinds[0] != kinds[1]


def losses(models: list[nn.Module]) -> torch.Tensor:
    """(K, 4) losses of four steps of plain gradient descent, as one model."""
    stack, draw, found = Stack(models), torch.Generator().manual_seed(1), []
    for _ in range(4):
        images = torch.randn(8, *SHAPE, generator=draw)
        labels = torch.randint(CLASSES, (8,), generator=draw)
        logits = stack(images, training=True)
        each = F.cross_entropy(
            logits.flatten(0, 1), labels.repeat(len(models)), reduction="none"
        ).view(len(models), -1).mean(1)  # fmt: skip
        gradients = torch.autograd.grad(each.sum(), list(stack.parameters.values()))
        with torch.no_grad():
            for parameter, gradient in zip(stack.parameters.values(), gradients, strict=True):
                parameter.sub_(0.5 * gradient)
        found.append(each.detach())
    return torch.stack(found, 1)


PARTS = st.lists(
    st.tuples(st.sampled_from(KINDS), *[st.sampled_from([0.5, 2.0, 3.0])] * 2),
    min_size=1,
    max_size=2,
)
"""What a model is made of, with the number of each part in two models."""


def several(parts: list[tuple[Callable, float]], seed: int) -> Own:
    torch.manual_seed(seed)
    model, steps = Own(), []
    for kind, number in parts:
        vars(model).pop("step", None)
        kind(model, number)
        steps.append(vars(model).pop("step", _same))
    model.step = _after(*steps)
    return model


def _same(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x


def _after(*steps):
    def step(model, x):
        for each in steps:
            x = each(model, x)
        return x

    return step


@settings(max_examples=200, deadline=None, derandomize=True)
@given(PARTS)
def test_models_of_any_parts_train_stacked_as_alone_or_are_refused(parts):
    """What `cnnlab.training.structure` lets through agrees to rounding with a stack of one."""
    makers = [
        functools.partial(several, [(kind, numbers[slot]) for kind, *numbers in parts], slot)
        for slot in range(2)
    ]
    try:
        _ = [make() for make in makers]
    except (TypeError, KeyError):  # two parts that want one name
        reject()
    if refused(*makers):
        return
    alone = torch.cat([losses([make()]) for make in makers])
    together = losses([make() for make in makers])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient is turned round (Ganin and Lempitsky 2015)."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


def through_a_function_of_its_own(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x + _Reversed.apply(x)


def through_a_hook_of_an_output(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    doubled_x = 2 * x
    if doubled_x.requires_grad:
        doubled_x.register_hook(lambda gradient: -gradient)
    return doubled_x


@pytest.mark.parametrize("step", [through_a_function_of_its_own, through_a_hook_of_an_output])
def test_a_model_whose_gradients_would_be_others_in_a_stack_is_refused(step):
    """Its output is the same alone and as one of two; only training would be silently wrong."""
    model = made(None, 1.0)
    model.step = step
    with pytest.raises(Unstackable):
        tried(model, SHAPE)


# --- what is said, and by hand


def test_the_attribute_that_differs_is_named():
    one, other = (structure(nn.Sequential(nn.Flatten(), nn.Softplus(beta))) for beta in (0.5, 1.5))
    assert differing(one, other) == "Softplus.beta is a plain attribute"


def test_models_of_other_layers_need_no_explanation():
    one, other = structure(nn.Sequential(nn.ReLU())), structure(nn.Sequential(nn.Tanh()))
    assert one != other
    assert differing(one, other) is None
    assert differing(structure(nn.Linear(2, 3)), structure(nn.Linear(2, 4))) is None


@pytest.mark.parametrize("norm", options("norm"))
@pytest.mark.parametrize("activation", options("activation"))
def test_all_that_comes_with_cnnlab_can_be_stacked(norm, activation):
    config = config_of(*SMALL, f"norm={norm}", f"activation={activation}")
    tried(assemble(config, SHAPE, CLASSES), SHAPE)


# --- optimizers


def normed(parameter, gradient, state, lr, *, floor: float = 1.0):
    parameter.sub_(lr * gradient / gradient.norm().clamp(min=floor))


def branching(parameter, gradient, state, lr, *, momentum: float = 0.9):
    if momentum:
        gradient = gradient + momentum * state.get("last", 0)
    state["last"] = gradient
    parameter.sub_(lr * gradient)


def sign(parameter, gradient, state, lr, *, share: float = 0.5):
    parameter.sub_(lr * torch.where(share > 0.1, gradient.sign(), gradient))


@pytest.fixture
def own(tmp_path):
    """A file of a project that holds this file's functions; the name of its module."""
    parts = map(inspect.getsource, (normed, branching, sign, soft))
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "\n\n".join(["import torch", "from torch import nn", *parts])
    )
    return name


@pytest.mark.parametrize("option", options("optimizer"))
def test_every_optimizer_that_comes_with_cnnlab_treats_runs_apart(option):
    tried_optimizer(config_of(f"optimizer={option}").optimizer)


@pytest.mark.parametrize(
    ("name", "numbers", "why"),
    [
        ("normed", {"floor": 0.1}, "normed gives other numbers for two runs"),
        ("branching", {"momentum": 0.9}, r"branching fails with two runs \(RuntimeError\)"),
        ("sign", {"share": 0.5}, None),
    ],
)
def test_an_optimizer_that_mixes_runs_trains_each_alone(own, name, numbers, why):
    part = {"_target_": f"{own}.{name}", **numbers}
    if why is None:
        tried_optimizer(part)
        return
    with pytest.raises(Unstackable, match=why):
        tried_optimizer(part)


# --- three runs of the same key


def soft(*, beta: float = 1.0) -> nn.Module:
    return nn.Softplus(beta=beta)


def configs_of(own: str, *betas: float) -> list[Any]:
    found = [config_of(*SMALL, "epochs=3", "norm=bn", f"activation.alpha={b}", "activation=elu")
             for b in betas]  # fmt: skip
    for config, beta in zip(found, betas, strict=True):
        config.activation.clear()
        config.activation.update({"_target_": f"{own}.soft", "beta": beta})
    return found


def test_runs_that_an_attribute_keeps_apart_are_alone_and_it_is_said_why(own):
    configs = configs_of(own, 0.5, 1.5, 2.5, 2.5)
    groups, alone = alike([(config, load(config.data)) for config in configs])
    assert groups == [[0], [1], [2, 3]]
    assert alone == {"activation.beta differs, and Softplus.beta is a plain attribute": 2}


def test_runs_whose_models_differ_are_not_trained_as_one_whoever_gave_them_together(own, tmp_path):
    configs = configs_of(own, 0.5, 1.5, 1.5)
    data = load(configs[0].data)
    records = [open_record(tmp_path / f"together{k}", f"{k}") for k in range(3)]
    together = train(configs, data, records)
    alone = [train([each], data, [open_record(tmp_path / f"alone{k}")])[0]
             for k, each in enumerate(configs[:2])]  # fmt: skip
    assert [record.stack_size for record in records] == [1, 2, 2]
    assert records[0].stack is None
    assert records[1].stack == records[2].stack != None  # noqa: E711
    assert together[0] == alone[0]
    assert together[1].final_train_loss == pytest.approx(alone[1].final_train_loss, abs=1e-5)
    assert together[0].final_train_loss != pytest.approx(together[1].final_train_loss, abs=1e-3)


OWN_STATE = """
from torch import nn

TABLE = {}


class InTable(nn.Module):
    def __init__(self, scale):
        super().__init__()
        TABLE[len(TABLE)] = scale
        self.last = nn.Linear(432, 4)

    def forward(self, x):
        return self.last(x.flatten(1)) * TABLE[len(TABLE) - 1]


class InClass(nn.Module):
    scales = []

    def __init__(self, scale):
        super().__init__()
        self.scales.append(scale)
        self.last = nn.Linear(432, 4)

    def forward(self, x):
        return self.last(x.flatten(1)) * self.scales[-1]
"""


@pytest.mark.parametrize("name", ["InTable", "InClass"])
def test_what_a_file_or_a_class_holds_keeps_models_apart(name, tmp_path, monkeypatch):
    """Each model was read when its own value was there."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"state_{name}.py").write_text(OWN_STATE)
    kind = getattr(importlib.import_module(f"state_{name}"), name)
    one, other = (structure(kind(scale)) for scale in (1.0, 3.0))
    assert one != other
