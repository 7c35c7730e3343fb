"""Tensors that stand for K tensors of one shape, so that a model's own code computes K models.

A `Stacked` tensor looks to a module like one of its K tensors. Convolutions and what belongs to
them see it as one tensor with K times the channels: K convolutions become one with many channels,
which fills a processor as a small one never does (HFTA, Wang et al. 2021,
https://arxiv.org/abs/2102.02344). Functions without a rule here are given to `torch.func.vmap`.

K variants, N images of a batch, C channels, G groups of variants that see the same images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.func import vmap
from torch.nn import functional as F

from cnnlab.training.compat import (
    tree_flatten,
    tree_map,
    tree_unflatten,
    without_torch_function,
    wrapper,
)


class Stacked(torch.Tensor):
    """K tensors of one shape, held as one.

    Attributes:
        held: (K, ...), or with `channels` (N, G C, ...), variant k being in the group k // (K / G)
        variants: K
        channels: in which of the two ways
        groups: G; always K without `channels`
    """

    held: torch.Tensor
    variants: int
    channels: bool
    groups: int

    @staticmethod
    def __new__(
        cls, held: torch.Tensor, size: int, *, channels: bool = False, groups: int | None = None
    ) -> "Stacked":
        groups = size if groups is None else groups
        shape = held.shape[1:]
        if channels:
            shape = (held.shape[0], held.shape[1] // groups, *held.shape[2:])
        made = wrapper(cls, shape, held)
        made.held, made.variants, made.channels, made.groups = held, size, channels, groups
        return made

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__" or name in _FACTS:
            with without_torch_function():
                return func(*args, **kwargs)
        rule = _RULES.get(name)
        found = rule(*args, **kwargs) if rule is not None else NotImplemented
        if found is NotImplemented and name.strip("_") in _ELEMENTWISE:
            found = _elementwise(func, args, kwargs)
        if found is NotImplemented and name in _SPATIAL:
            found = _spatial(func, *args, **kwargs)
        return _mapped(func, args, kwargs) if found is NotImplemented else found

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise TypeError(
            f"{func}: cannot be computed for many variants as one; stack=1 trains each alone"
        )


def leading(stacked: Stacked) -> torch.Tensor:
    """(K, ...) whichever way it is held; a view, but where variants share their images."""
    if not stacked.channels:
        return stacked.held
    each = stacked.held.unflatten(1, (stacked.groups, -1)).movedim(1, 0)  # (G, N, C, ...)
    return (
        each.repeat_interleave(stacked.variants // stacked.groups, 0)
        if stacked.groups < stacked.variants
        else each
    )


def _channels(given: torch.Tensor, size: int) -> torch.Tensor:
    """(N, K C, ...) of a stacked tensor, or of one (N, C, ...) that all variants share."""
    if not isinstance(given, Stacked):
        return given.repeat(1, size, *[1] * (given.ndim - 2))
    if given.channels and given.groups == size:
        return given.held
    return leading(given).movedim(0, 1).flatten(1, 2)


def _size(given: Any) -> int:
    """K of the stacked tensors among arguments."""
    return next(each.variants for each in tree_flatten(given)[0] if isinstance(each, Stacked))


# --- rules: NotImplemented where one does not apply


def _conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    if not isinstance(weight, Stacked) or input.ndim != 4:
        return NotImplemented
    size = weight.variants
    if groups == 1 and not isinstance(input, Stacked):  # one convolution of one image for all
        images, among = input, 1
    elif groups == 1 and input.channels:
        images, among = input.held, input.groups
    else:
        images, among = _channels(input, size), size * groups
    merged = None if bias is None else bias.held.flatten()
    filters = weight.held.flatten(0, 1)  # (K, O, I, ...) -> (K O, I, ...)
    out = F.conv2d(images, filters, merged, stride, padding, dilation, among)
    return Stacked(out, size, channels=True)


def _flat(numbers: Stacked | None) -> torch.Tensor | None:
    """(K, C) -> (K C,), the same memory."""
    return None if numbers is None else numbers.held.view(-1)


def _batch_norm(input, running_mean, running_var, weight=None, bias=None, *rest, **more):
    size = _size((input, weight, running_mean))
    out = F.batch_norm(
        _channels(input, size), *map(_flat, (running_mean, running_var, weight, bias)),
        *rest, **more,
    )  # fmt: skip
    return Stacked(out, size, channels=True)


def _instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, *rest, **more
):
    size = _size((input, weight))
    out = F.instance_norm(
        _channels(input, size), *map(_flat, (running_mean, running_var, weight, bias)),
        *rest, **more,
    )  # fmt: skip
    return Stacked(out, size, channels=True)


def _group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    size = _size((input, weight))
    given = _channels(input, size)
    out = F.group_norm(given, num_groups * size, _flat(weight), _flat(bias), eps)
    return Stacked(out, size, channels=True)


def _linear(input, weight, bias=None):
    if not isinstance(weight, Stacked) or input.ndim != 2:
        return NotImplemented
    rows = leading(input) if isinstance(input, Stacked) else input.expand(weight.variants, -1, -1)
    turned = weight.held.mT  # (K, I, O)
    out = rows @ turned if bias is None else torch.baddbmm(bias.held[:, None], rows, turned)
    return Stacked(out, weight.variants)


def _attention(query, key, value, attn_mask=None, dropout_p=0.0, *rest, **more):
    given = (query, key, value)
    if not all(isinstance(each, Stacked) and each.ndim == 4 for each in given):
        return NotImplemented
    if dropout_p or (
        attn_mask is not None and (isinstance(attn_mask, Stacked) or attn_mask.ndim > 2)
    ):
        return NotImplemented
    flat = (leading(each).flatten(0, 1) for each in given)  # (K, N, ...) -> (K N, ...)
    out = F.scaled_dot_product_attention(*flat, attn_mask, 0.0, *rest, **more)
    return Stacked(out.unflatten(0, (query.variants, -1)), query.variants)


_RULES = {
    "scaled_dot_product_attention": _attention,
    "conv2d": _conv2d,
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "group_norm": _group_norm,
    "linear": _linear,
}

_FACTS = {
    "dim",
    "size",
    "numel",
    "is_floating_point",
    "is_contiguous",
    "element_size",
    "stride",
    "__len__",
}
"""What is asked of a tensor and is the same for all K."""

_ELEMENTWISE = frozenset(
    """relu relu6 leaky_relu elu selu celu gelu silu mish tanh sigmoid softplus softsign hardtanh
    hardswish hardsigmoid logsigmoid exp log sqrt rsqrt square abs neg pow clamp sin cos add sub
    rsub mul div truediv true_divide maximum minimum where float double radd rmul iadd isub imul
    itruediv rshift lshift xor and or eq ne lt le gt ge bitwise_xor bitwise_and remainder""".split()  # noqa: SIM905
)
"""Functions of one number at a time; in place or not."""

_SPATIAL = {
    "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "lp_pool2d", "pad"
}  # fmt: skip
"""Functions that treat each channel by itself."""


def _elementwise(func: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
    given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    stacked = [each for each in given if isinstance(each, Stacked)]
    size, shape = stacked[0].variants, torch.broadcast_shapes(*(each.shape for each in given))
    widest = [each for each in stacked if each.channels and each.shape == shape]
    channels = bool(widest)
    # Numbers of each variant and images that some share: then each has its own.
    groups = widest[0].groups if channels and len(stacked) == len(widest) else size
    if any(each.groups != groups for each in widest):
        groups = size

    def held(each: Any) -> Any:
        if not isinstance(each, torch.Tensor) or (each.ndim == 0 and not isinstance(each, Stacked)):
            return each
        if isinstance(each, Stacked) and channels and each.channels and each.shape == shape:
            return each.held if each.groups == groups else _channels(each, size)
        each = leading(each) if isinstance(each, Stacked) else each[None]  # (K or 1, ...)
        each = each.reshape(each.shape[0], *[1] * (len(shape) - each.ndim + 1), *each.shape[1:])
        if not channels:
            return each
        each = each.expand(groups, -1, shape[1], *[-1] * (len(shape) - 2))  # (G, N or 1, C, ...)
        return each.movedim(0, 1).flatten(1, 2)

    out = func(*tree_map(held, args), **tree_map(held, kwargs))
    name = func.__name__
    if name.startswith("__i") or (name.endswith("_") and not name.endswith("__")):  # in place
        args[0].held, args[0].channels, args[0].groups = out, channels, groups
        return args[0]
    return Stacked(out, size, channels=channels, groups=groups)


def _spatial(func: Callable[..., Any], input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    sides = args[0] if args else kwargs.get("pad", ())
    if input.ndim != 4 or not input.channels or (func.__name__ == "pad" and len(sides) > 4):
        return NotImplemented
    out = func(input.held, *args, **kwargs)
    if not isinstance(out, torch.Tensor):  # with indices
        return NotImplemented
    return Stacked(out, input.variants, channels=True, groups=input.groups)


def _mapped(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Any function, by `vmap`."""
    leaves, tree = tree_flatten((args, kwargs))
    places = [place for place, each in enumerate(leaves) if isinstance(each, Stacked)]
    size = leaves[places[0]].variants
    for place in places:  # so that what is changed in place is the tensor's own memory
        each = leaves[place]
        each.held, each.channels, each.groups = leading(each), False, size

    def one(*given: torch.Tensor) -> Any:
        filled = dict(zip(places, given, strict=True))
        again = [filled.get(place, each) for place, each in enumerate(leaves)]
        args, kwargs = tree_unflatten(again, tree)
        found, form = tree_flatten(func(*args, **kwargs))
        forms.append((found, form))
        return tuple(each for each in found if isinstance(each, torch.Tensor))

    forms: list[Any] = []
    mapped = iter(vmap(one)(*(leaves[place].held for place in places)))
    found, form = forms[0]
    # What is no tensor stays, such as the None that attention gives in the place of its weights.
    filled = [Stacked(next(mapped), size) if isinstance(e, torch.Tensor) else e for e in found]
    return tree_unflatten(filled, form)
