"""Each schedule against PyTorch's scheduler of the same name, at every step."""

import warnings

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from cnnlab.parts.lr.constant import constant
from cnnlab.parts.lr.cosine import cosine
from cnnlab.parts.lr.onecycle import onecycle
from cnnlab.parts.lr.step import step
from cnnlab.parts.lr.warmup_cosine import warmup_cosine

RUNS = [(1, 1), (1, 2), (2, 1), (3, 1), (1, 7), (2, 5), (5, 4), (30, 11)]  # epochs, steps
SCHEDULES = [constant, cosine, onecycle, step, warmup_cosine]


def rates_of(scheduler, total, every=1, base=0.01):
    """A PyTorch scheduler's rate at each of `total` steps, advanced after each `every`."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    with warnings.catch_warnings():
        # SequentialLR itself steps its schedulers in a way that PyTorch deprecates.
        warnings.filterwarnings("ignore", message="The epoch parameter", category=UserWarning)
        advanced, rates = scheduler(optimizer), []
        for index in range(total):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if (index + 1) % every == 0:
                advanced.step()
    return np.array(rates)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("epochs", "steps"), RUNS)
def test_every_schedule_gives_a_finite_positive_rate_for_each_step(schedule, epochs, steps):
    rates = schedule(epochs, steps, base=0.02)
    assert rates.shape == (epochs * steps,)
    assert np.isfinite(rates).all()
    assert (rates > 0).all()
    assert rates.max() <= 0.02 * (1 + 1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_base_scales_every_rate(schedule):
    np.testing.assert_allclose(schedule(3, 7, base=0.5), 50 * schedule(3, 7), rtol=1e-12)


@pytest.mark.parametrize(("epochs", "steps"), RUNS)
def test_constant_equals_lambda_lr_of_one(epochs, steps):
    expected = rates_of(lambda o: lr_scheduler.LambdaLR(o, lambda _: 1.0), epochs * steps)
    np.testing.assert_array_equal(constant(epochs, steps, base=0.01), expected)


@pytest.mark.parametrize(("every", "factor"), [(1, 0.5), (2, 0.1), (10, 0.1), (40, 0.9)])
@pytest.mark.parametrize(("epochs", "steps"), RUNS)
def test_step_equals_step_lr_advanced_each_epoch(epochs, steps, every, factor):
    expected = rates_of(
        lambda o: lr_scheduler.StepLR(o, every, gamma=factor), epochs * steps, every=steps
    )
    rates = step(epochs, steps, base=0.01, every=every, factor=factor)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


@pytest.mark.parametrize("final", [0.0, 0.001])
@pytest.mark.parametrize(("epochs", "steps"), RUNS)
def test_cosine_equals_cosine_annealing_lr_advanced_each_step(epochs, steps, final):
    total = epochs * steps
    expected = rates_of(lambda o: lr_scheduler.CosineAnnealingLR(o, total, eta_min=final), total)
    np.testing.assert_allclose(cosine(epochs, steps, base=0.01, final=final), expected, rtol=1e-9)


@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("final", [0.0, 0.001])
@pytest.mark.parametrize(("epochs", "steps"), [(1, 10), (2, 5), (5, 4), (30, 11)])
def test_warmup_cosine_equals_linear_then_cosine_annealing(epochs, steps, final, warmup):
    total = epochs * steps
    rising = round(warmup * total)
    assert rising > 0

    def linear_then_cosine(optimizer):
        return lr_scheduler.SequentialLR(
            optimizer,
            [
                lr_scheduler.LinearLR(optimizer, 1 / (rising + 1), 1.0, total_iters=rising),
                lr_scheduler.CosineAnnealingLR(optimizer, total - rising, eta_min=final),
            ],
            milestones=[rising],
        )

    rates = warmup_cosine(epochs, steps, base=0.01, final=final, warmup=warmup)
    np.testing.assert_allclose(rates, rates_of(linear_then_cosine, total), rtol=1e-9)
    assert rates[rising] == rates.max() == pytest.approx(0.01)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (2, 1), (4, 1)])
def test_warmup_that_rounds_to_no_step_is_cosine(epochs, steps):
    rates = warmup_cosine(epochs, steps, base=0.01, final=0.001, warmup=0.1)
    np.testing.assert_array_equal(rates, cosine(epochs, steps, base=0.01, final=0.001))


def test_warmup_that_rounds_to_every_step_rises_only():
    np.testing.assert_allclose(warmup_cosine(1, 3, base=0.04, warmup=0.9), [0.01, 0.02, 0.03])


def one_cycle_lr(total, rise, start_divisor, final_divisor):
    return rates_of(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            max_lr=0.01,
            total_steps=total,
            pct_start=rise,
            div_factor=start_divisor,
            final_div_factor=final_divisor,
            cycle_momentum=False,
        ),
        total,
    )


@pytest.mark.parametrize("divisors", [(25.0, 1e4), (10.0, 100.0)])
@pytest.mark.parametrize("rise", [0.3, 0.45, 0.8])
@pytest.mark.parametrize(("epochs", "steps"), [(1, 5), (1, 7), (2, 5), (5, 4), (30, 11)])
def test_onecycle_equals_one_cycle_lr(epochs, steps, rise, divisors):
    start, final = divisors
    rates = onecycle(epochs, steps, base=0.01, rise=rise, start_divisor=start, final_divisor=final)
    np.testing.assert_allclose(rates, one_cycle_lr(epochs * steps, rise, start, final), rtol=1e-9)
    assert rates[0] == pytest.approx(0.01 / start)
    assert rates[-1] == pytest.approx(0.01 / start / final)


def test_onecycle_that_falls_in_less_than_a_step_ends_at_the_last_rate():
    rates = onecycle(1, 5, base=0.01, rise=0.9)
    np.testing.assert_allclose(rates, one_cycle_lr(5, 0.9, 25.0, 1e4), rtol=1e-9)


# PyTorch divides by zero where rise * total is 1, and starts between peak and end below it.
@pytest.mark.parametrize(("epochs", "steps", "rise"), [(1, 2, 0.3), (3, 1, 0.3), (2, 5, 0.1)])
def test_onecycle_too_short_to_rise_falls_from_the_peak(epochs, steps, rise):
    rates = onecycle(epochs, steps, base=0.01, rise=rise)
    assert rates[0] == 0.01
    assert (np.diff(rates) < 0).all()
    assert rates[-1] == pytest.approx(0.01 / 25 / 1e4)
