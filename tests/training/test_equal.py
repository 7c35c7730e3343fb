"""A stack of K runs equals K plain PyTorch loops: each of the first 50 losses, for every option.

The other side of each comparison is the loop that a student writes: it knows neither `Trainer` nor
`Stack`, and trains one variant.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import permutations
from typing import Any

import pytest
import torch
import yaml
from conftest import config_of

from cnnlab.config.options import GROUPS, file_of, options
from cnnlab.config.schema import KEYS, Config
from cnnlab.config.targets import build, configured
from cnnlab.core.seeding import generator
from cnnlab.data.batches import Images, Normalise, Seeds, supply, training
from cnnlab.data.dataset import Data
from cnnlab.data.loading import load
from cnnlab.execution import grouping
from cnnlab.parts.layers.dropout import Dropout
from cnnlab.training.assemble import assemble
from cnnlab.training.trainer import Trainer, dtype_of
from cnnlab.training.updates import without_decay

HELD = tuple(name for name, key in KEYS.items() if key.stack == "each")

SMALL = ("data=synthetic", "data.images=84", "data.classes=4", "batch_size=8", "epochs=5")
"""75 training images: ten steps an epoch, the last one of three images; 50 steps."""

STEPS = 50

CLOSE = {"fp32": 1e-4, "fp64": 1e-9}
"""The largest relative difference of a loss. In float32 another order of the same sums is another
rounding, which training makes larger; in float64 only an error is left to be seen."""

CPU = torch.device("cpu")

PARTS = [group for group in GROUPS if group != "data"]


@cache
def config(*overrides: str) -> Config:
    """A checked config, on the smallest images that its model takes."""
    for size in (12, 16, 24, 32):
        found = config_of(*SMALL, f"data.size={size}", *overrides)
        try:
            assemble(found, (3, size, size), 4)
        except ValueError:
            continue
        return found
    raise AssertionError(f"{overrides}: no image is large enough")


@cache
def _data(size: int) -> Data:
    return load(config_of(*SMALL, f"data.size={size}").data)


def together(configs: Sequence[Config]) -> torch.Tensor:
    """(50, K) losses of a stack."""
    data = _data(configs[0].data["size"])
    models = [assemble(each, data.shape, len(data.classes)) for each in configs]
    trainer = Trainer(configs, models, supply(data, CPU, dtype_of(configs[0])))
    losses = [trainer.epoch(epoch, lambda step: None)[0] for epoch in range(1, 6)]
    return torch.cat(losses).double()


def harder(config: Config, more: float) -> dict[str, Any]:
    """A config's loss with other numbers."""
    return {k: each + more if isinstance(each, float) else each for k, each in config.loss.items()}


_ALONE: dict[str, torch.Tensor] = {}


def alone(config: Config) -> torch.Tensor:
    """(50,) losses of a plain loop; once for each config."""
    key = repr(config)
    if key not in _ALONE:
        _ALONE[key] = torch.tensor(_plain_loop(config), dtype=torch.float64)
    return _ALONE[key]


def _plain_loop(config: Config) -> list[float]:
    data, dtype = _data(config.data["size"]), dtype_of(config)
    model = assemble(config, data.shape, len(data.classes)).to(dtype).train()
    images, normalise = Images(data.train, CPU), Normalise(data.train, CPU, dtype)
    operations = [{name: configured(part) for name, part in config.augment.items()}]
    rates = iter(build(config.lr, config.epochs, STEPS // config.epochs))
    exclude = config.optimizer["exclude"]
    optimizer = {key: value for key, value in config.optimizer.items() if key != "exclude"}
    update = configured(optimizer)
    bare = configured({**optimizer, "weight_decay": 0.0})
    states: list[dict[str, Any]] = [{} for _ in model.parameters()]
    losses = []

    def drawn(draw: str) -> int:
        return config.seed if config.vary is None or draw in config.vary else 0

    for epoch in range(1, config.epochs + 1):
        batches = training(
            images, normalise, [Seeds(drawn("order"), drawn("augment"))], operations, epoch,
            config.batch_size,
        )  # fmt: skip
        for step, (batch, labels) in enumerate(batches):
            for name, module in model.named_modules():
                if isinstance(module, Dropout):
                    key = generator(drawn("dropout"), f"dropout/{name}", epoch).initial_seed()
                    module.key.fill_((key + step + 2**63) % 2**64 - 2**63)
            logits = model(batch[0])
            loss = configured(config.loss)(logits, labels[0]).mean()
            model.zero_grad()
            loss.backward()
            if config.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            rate = torch.tensor(next(rates), dtype=dtype)
            with torch.no_grad():
                for (name, parameter), state in zip(model.named_parameters(), states, strict=True):
                    decay = bare if name in without_decay(model, exclude) else update
                    decay(parameter, parameter.grad, state, rate)
            losses.append(float(loss.detach()))
    return losses


def assert_equal(configs: Sequence[Config], precision: str = "fp32") -> None:
    """Each of the 50 losses of each slot is the plain loop's."""
    configs = [replace(each, precision=precision) for each in configs]
    found = together(configs)
    expected = torch.stack([alone(each) for each in configs], 1)
    assert found.shape == (STEPS, len(configs))
    assert expected.isfinite().all()
    assert len(expected[-1].unique()) == len(configs)  # what differs makes a difference
    torch.testing.assert_close(found, expected, rtol=CLOSE[precision], atol=0)


def stackable(configs: Sequence[Config]) -> bool:
    return len(grouping.alike([(each, _data(each.data["size"])) for each in configs])[0]) == 1


# --- every option


def _cases() -> list[tuple[str, ...]]:
    """Every option of conf/ against the defaults, and each with each of its switches turned."""
    found = []
    for group in PARTS:
        for option in options(group):
            chosen = (f"{group}={option}",)
            if group == "optimizer" and option != "sgd":
                chosen += ("lr=0.001",)  # what takes steps of their own length wants less
            found.append(chosen)
            keys = yaml.safe_load(file_of(group, option).read_text("utf-8"))
            found += [
                (*chosen, f"{group}.{key}={not value}".lower())
                for key, value in keys.items()
                if isinstance(value, bool)
            ]
    return found


CASES = {" ".join(each): each for each in _cases()}


def scaled(config: Config, factor: float) -> Config:
    """All numbers of all parts times a factor, but for those that a stack has in common."""
    found = config
    for group in PARTS:
        own = getattr(config, group)
        for name, part in own.items() if group == "augment" else [("", own)]:
            for key, value in part.items():
                if type(value) not in (int, float):  # a switch is no number
                    continue
                changed = deepcopy(getattr(found, group))
                less = value * factor if isinstance(value, float) else max(int(value * factor), 1)
                (changed[name] if name else changed)[key] = less
                other = replace(found, **{group: changed})
                if stackable([config, other]):
                    found = other
    return found


def five(one: Config) -> list[Config]:
    """Five variants of a config; the first two see the same images."""
    lower = {**one.lr, "base": one.lr["base"] / 2}
    return [
        one,
        replace(one, loss=harder(one, 0.1), lr=lower),
        replace(scaled(one, 0.6), seed=1, clip_norm=0.5),
        replace(scaled(one, 0.2), seed=2),
        replace(scaled(one, 0.6), loss=harder(one, 0.3)),
    ]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("case", CASES)
def test_a_stack_trains_as_as_many_plain_loops_with_every_option(case, size):
    configs = five(config(*CASES[case]))[:size]
    assert stackable(configs)
    assert_equal(configs)


@pytest.mark.parametrize("case", CASES)
def test_a_stack_trains_as_as_many_plain_loops_to_nine_digits_in_double_precision(case):
    assert_equal(five(config(*CASES[case]))[::2], "fp64")


# --- every key that may differ

DIFFERENT = {
    "seed": ["seed=0", "seed=1", "seed=4294967295"],
    "vary": ["vary=[init] seed=3", "vary=[order,augment] seed=1 augment=crop", "vary=null seed=2"],
    "lr": ["lr=constant", "lr=cosine lr.base=0.02", "lr=onecycle lr.rise=0.5"],
    "augment": ["augment=none", "augment=crop_flip", "augment=crop_flip augment.crop.padding=1"],
    "optimizer.momentum": [f"optimizer.momentum={number}" for number in (0, 0.5, 0.95)],
    "optimizer.weight_decay": [f"optimizer.weight_decay={number}" for number in (0, 1e-3, 0.1)],
    "optimizer.beta1": [f"lr=0.001 optimizer=adamw optimizer.beta1={n}" for n in (0, 0.5, 0.99)],
    "optimizer.beta2": [f"lr=0.001 optimizer=adamw optimizer.beta2={n}" for n in (0.5, 0.9, 0.99)],
    "optimizer.eps": [f"lr=0.001 optimizer=adamw optimizer.eps={n}" for n in (1e-8, 1e-3, 1)],
    "loss.label_smoothing": [f"loss.label_smoothing={number}" for number in (0, 0.1, 0.5)],
    "loss.gamma": [f"loss=focal loss.gamma={number}" for number in (0, 0.5, 2)],
    "clip_norm": [f"clip_norm={length}" for length in ("null", 0.1, 1)],
    "activation.beta": [f"activation=silu activation.beta={beta}" for beta in (0.5, 2, 5)],
    "model.dropout": [f"model.dropout={rate}" for rate in (0.2, 0.5, 0.8)],
}

NO_STEP_DEPENDS_ON = {"patience", "evaluate_test", "name"}


def test_every_key_that_may_differ_in_a_stack_is_tested_here():
    numbers = {
        f"optimizer.{key}"
        for option in options("optimizer")
        for key, value in config(f"optimizer={option}").optimizer.items()
        if isinstance(value, float)
    }
    assert {*HELD, *numbers} - NO_STEP_DEPENDS_ON <= set(DIFFERENT)


@pytest.mark.parametrize("precision", [pytest.param("fp32", marks=pytest.mark.slow), "fp64"])
@pytest.mark.parametrize("key", DIFFERENT)
def test_variants_that_differ_train_as_each_alone(key, precision):
    configs = [config(*overrides.split()) for overrides in DIFFERENT[key]]
    assert stackable(configs)
    assert_equal(configs, precision)


# --- every place, every neighbour

PAIRS = [
    ("seed=0", "augment=crop_flip"),
    ("seed=0", "augment=crop_flip", "lr=0.02"),
    ("seed=1", "augment=crop_flip"),
    ("seed=1", "augment=crop_flip", "lr=0.02"),
]
"""Two see the same images, and two others: neighbours or not, as they are ordered."""


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_in_any_order_of_three(order):
    assert_equal([config(*PAIRS[place], "norm=bn", "model.dropout=0.3") for place in order])


@pytest.mark.slow
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_in_any_order_of_four(order):
    assert_equal([config(*PAIRS[place], "norm=bn", "model.dropout=0.3") for place in order])


def assert_nothing_leaks(case: str, seeds: tuple[int, int, int]) -> None:
    """Beside a variant whose loss is infinite, or no number, the others lose no bit."""
    configs = [replace(config(*case.split()), seed=seed) for seed in seeds]
    configs[2] = replace(configs[2], loss=harder(configs[2], 0.3))
    tame = together(configs)
    configs[1] = replace(configs[1], lr={**configs[1].lr, "base": 1e30})
    wild = together(configs)
    assert not wild[-1, 1].isfinite()
    assert wild[:, [0, 2]].isfinite().all()
    assert torch.equal(wild[:, [0, 2]], tame[:, [0, 2]])


NEIGHBOURS = [case for case in CASES if case.partition("=")[0] in ("norm", "optimizer")]
NEIGHBOURS += ["clip_norm=0.5", "model.dropout=0.5", "augment=crop_flip"]


@pytest.mark.parametrize("case", NEIGHBOURS)
def test_a_neighbour_that_diverges_changes_no_bit_of_who_sees_the_same_images(case):
    assert_nothing_leaks(case, (0, 0, 0))


@pytest.mark.parametrize("case", ["norm=none", "norm=bn", *NEIGHBOURS[-3:]])
def test_a_neighbour_that_diverges_changes_no_bit_of_who_sees_other_images(case):
    assert_nothing_leaks(case, (0, 1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_neighbour_that_diverges_changes_no_bit_with_any_option(case):
    assert_nothing_leaks(case, (0, 1, 2))
