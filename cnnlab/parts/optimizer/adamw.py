"""Adam with decoupled weight decay."""

import torch

from cnnlab.core.limits import Decay, NonNegative, Positive


def adamw(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    state: dict[str, torch.Tensor],
    lr: torch.Tensor,
    *,
    beta1: Decay = 0.9,
    beta2: Decay = 0.999,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
) -> None:
    """One step as `torch.optim.AdamW` makes it (Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101).

    Args:
        parameter: changed in place
        gradient: of the loss, same shape
        state: holds the running averages and the number of steps
        lr: the learning rate of this step
        beta1: what is kept of the average gradient
        beta2: what is kept of the average squared gradient
        eps: added to the root of the average squared gradient
        weight_decay: share of the parameter that is taken away, times lr
    """
    if not state:
        state["step"] = torch.zeros((), dtype=parameter.dtype, device=parameter.device)
        state["mean"] = torch.zeros_like(parameter)
        state["square"] = torch.zeros_like(parameter)
    step = state["step"].add_(1)
    mean = state["mean"].mul_(beta1).add_((1 - beta1) * gradient)
    square = state["square"].mul_(beta2).add_((1 - beta2) * gradient * gradient)
    parameter.mul_(1 - lr * weight_decay)
    # The bias correction of Kingma and Ba 2014, algorithm 1.
    root = (square / (1 - beta2**step)).sqrt_().add_(eps)
    parameter.sub_(lr / (1 - beta1**step) * mean / root)
