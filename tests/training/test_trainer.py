"""The arithmetic of a step that is each variant's own, against PyTorch's for one."""

import torch
from torch.nn import functional as F

from cnnlab.training.updates import clipped, losses_of, without_decay

CROSS_ENTROPY = {"_target_": "cnnlab.parts.loss.cross_entropy.cross_entropy"}


def test_each_variants_label_smoothing_is_pytorchs():
    logits = torch.randn(3, 7, 5, dtype=torch.float64)  # (K, N, L)
    labels = torch.randint(0, 5, (3, 7))
    shares = [0.0, 0.1, 0.5]
    parts = [{**CROSS_ENTROPY, "label_smoothing": share} for share in shares]
    found = losses_of(parts, lambda each: torch.tensor(each, dtype=torch.float64))(logits, labels)
    for slot, share in enumerate(shares):
        own = F.cross_entropy(logits[slot], labels[slot], label_smoothing=share)
        torch.testing.assert_close(found[slot], own, rtol=1e-12, atol=0)


def test_each_variants_gradient_is_clipped_as_by_pytorch():
    gradients = [torch.randn(3, 4, 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)]
    limits = [0.5, 100.0, torch.inf]
    found = clipped(gradients, torch.tensor(limits, dtype=torch.float64))
    for slot, limit in enumerate(limits):
        own = [torch.nn.Parameter(torch.zeros_like(gradient[slot])) for gradient in gradients]
        for parameter, gradient in zip(own, gradients, strict=True):
            parameter.grad = gradient[slot].clone()
        torch.nn.utils.clip_grad_norm_(own, limit)
        for each, parameter in zip(found, own, strict=True):
            torch.testing.assert_close(each[slot], parameter.grad, rtol=1e-12, atol=0)


def test_weight_decay_is_left_off_by_a_parameters_name_or_its_layers():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    assert without_decay(model, None) == set()
    assert without_decay(model, "norm") == {"1.weight", "1.bias"}
    assert without_decay(model, "norm|bias") == {"0.bias", "1.weight", "1.bias"}
    assert without_decay(model, "^0") == {"0.weight", "0.bias"}
