"""Stochastic gradient descent with momentum."""

import torch

from cnnlab.core.limits import Decay, NonNegative


def sgd(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    state: dict[str, torch.Tensor],
    lr: torch.Tensor,
    *,
    momentum: Decay = 0.9,
    weight_decay: NonNegative = 1e-4,
    nesterov: bool = False,
) -> None:
    """One step as `torch.optim.SGD` makes it, dampening 0.

    Args:
        parameter: changed in place
        gradient: of the loss, same shape
        state: holds the velocity
        lr: the learning rate of this step
        momentum: what is kept of the velocity
        weight_decay: L2 penalty; its gradient is weight_decay times the parameter
        nesterov: look one step of momentum ahead (Sutskever et al. 2013)
    """
    lr, weight_decay = (
        torch.as_tensor(number, dtype=parameter.dtype) for number in (lr, weight_decay)
    )
    gradient = torch.addcmul(gradient, parameter, weight_decay)
    if not state:
        state["velocity"] = torch.zeros_like(parameter)
    velocity = state["velocity"].mul_(momentum).add_(gradient)
    change = gradient + momentum * velocity if nesterov else velocity
    parameter.addcmul_(change, lr, value=-1)
