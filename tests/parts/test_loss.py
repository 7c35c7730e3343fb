"""Losses against PyTorch's own, and against the papers' formulas computed another way."""

import math

import pytest
import torch
from torch.nn import functional as F

from cnnlab.parts.loss.cross_entropy import cross_entropy
from cnnlab.parts.loss.focal import focal

DRAW = torch.Generator().manual_seed(0)
LOGITS = torch.randn(9, 5, generator=DRAW, dtype=torch.float64)
LABELS = torch.randint(5, (9,), generator=DRAW)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_cross_entropy_is_pytorchs(share):
    found = cross_entropy(LOGITS, LABELS, label_smoothing=share)
    own = F.cross_entropy(LOGITS, LABELS, label_smoothing=share, reduction="none")
    torch.testing.assert_close(found, own, rtol=1e-12, atol=0)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_is_the_papers(gamma):
    """FL(p) = -(1 - p)^gamma log(p), number by number."""
    for logits, label, found in zip(
        LOGITS, LABELS, focal(LOGITS, LABELS, gamma=gamma), strict=True
    ):
        numbers = [math.exp(each) for each in logits.tolist()]
        p = numbers[label] / math.fsum(numbers)
        assert found.item() == pytest.approx(-((1 - p) ** gamma) * math.log(p), rel=1e-12)


def test_focal_loss_of_gamma_0_is_cross_entropy():
    torch.testing.assert_close(focal(LOGITS, LABELS, gamma=0.0), cross_entropy(LOGITS, LABELS))


def test_focal_loss_halves_least_where_the_answer_is_wrong():
    """Lin et al.: at p = 0.9 and gamma = 2 a loss counts 100 times less, at 0.968 1000 times."""
    for p, times in ((0.9, 100), (0.9683772, 1000)):
        logits = torch.tensor([[math.log(p), math.log(1 - p)]], dtype=torch.float64)
        label = torch.tensor([0])
        ratio = cross_entropy(logits, label) / focal(logits, label, gamma=2.0)
        assert ratio.item() == pytest.approx(times, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_has_a_gradient_where_the_answer_is_certain(gamma):
    logits = torch.tensor([[800.0, 0.0]], requires_grad=True)
    focal(logits, torch.tensor([0]), gamma=gamma).sum().backward()
    assert logits.grad.isfinite().all()
