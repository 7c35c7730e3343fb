"""Whether models can be trained as one: what a stack does not hold for each must be the same.

A stack holds parameters and buffers for each variant and runs one module's code. So everything
else of the modules has to agree: their types, their places, which tensors they share, and every
plain attribute. What cannot be compared for certain makes a model one that is trained alone.
"""

import dataclasses
import functools
import hashlib
import logging
import sys
import types
from collections.abc import Mapping
from enum import Enum, Flag
from functools import partial
from typing import Any

import torch
from torch import nn

Structure = tuple[tuple[str, str, str], ...]
"""A model's structure: (where, what kind of thing, what it is). Equal ones can be stacked."""

ATTRIBUTE, STATE = "attribute", "state"
"""The kinds that leave two models alike to the eye; others are types, places, tensors."""

_NUMBERS = (type(None), bool, int, float, complex, str, bytes, type(...))
_NAMED = (torch.dtype, torch.device, torch.memory_format, torch.layout, torch.Size, range)
_OWN = frozenset(vars(nn.Module())) - {"training"}
"""What PyTorch itself keeps in a module."""


class Unstackable(ValueError):
    """A model holds something that a stack may not know of."""


def structure(model: nn.Module) -> Structure:
    """What has to agree between models that are trained as one.

    Models of equal structures, in one process, are equal but for the values of their parameters
    and buffers.

    Raises:
        Unstackable: if the model holds what cannot be compared, or what a stack would not replace:
            hooks, a tensor that is neither parameter nor buffer
    """
    return _Reader(model).read()


def differing(one: Structure, other: Structure) -> str | None:
    """The attribute that keeps two models apart; None where they differ in more than attributes."""
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            kind = mine[1] if mine[:2] == theirs[:2] else ""
            return mine[0] if kind in (ATTRIBUTE, STATE) and _alike(one, other) else None
    return None


def _alike(one: Structure, other: Structure) -> bool:
    """Whether there are the same types in the same places, with the same attributes' names."""
    eyes = [
        [(where, kind, "" if kind in (ATTRIBUTE, STATE) else what) for where, kind, what in each]
        for each in (one, other)
    ]
    return eyes[0] == eyes[1]


class _Reader:
    """Reads a model's structure; knows the name of each of its modules, and of each tensor."""

    def __init__(self, model: nn.Module):
        self.modules = {id(module): name for name, module in model.named_modules()}
        self.model = model
        self.tensors: dict[int, str] = {}
        self.homes: dict[str, None] = {}
        self.classes: dict[type, None] = {}
        self.functions: list[types.FunctionType] = []
        self.open: list[int] = []

    def read(self) -> Structure:
        found: list[tuple[str, str, str]] = []
        for name, module in self.model.named_modules():
            kind = type(module).__name__
            found.append((name, "type", self._class(type(module))))
            if hidden := _slots(type(module)):
                raise Unstackable(f"{kind}.{hidden[0]} is in __slots__, where a stack cannot look")
            for place, each in module._modules.items():
                inner = None if each is None else self.modules[id(each)]
                found.append((f"{name}.{place}", "module", str(inner)))
            for table in (module._parameters, module._buffers):
                for place, tensor in table.items():
                    found.append((f"{name}.{place}", "tensor", self._tensor(tensor, name, place)))
            for key, value in sorted(vars(module).items()):
                where = f"{kind}.{key}"
                if key not in _OWN or key == "_non_persistent_buffers_set":
                    found.append(
                        (f"{where} is a plain attribute", ATTRIBUTE, self._text(value, where))
                    )
                elif "hook" in key and value:
                    raise Unstackable(f"{kind} has a hook")
        # A module's own functions may read what its file, and its class, hold besides functions.
        for home in list(self.homes):
            namespace = vars(sys.modules[home])
            used = _used(namespace, self._codes(home))
            for key, value in sorted(namespace.items()):
                plain = type(value) in _NUMBERS and not key.startswith("__")
                if plain or (key in used and not _is_code(value)):
                    where = f"{home}.{key}"
                    found.append((f"{where} is a global variable", STATE, self._text(value, where)))
        for kind in list(self.classes):
            for key, value in sorted(vars(kind).items()):
                if not (key.startswith("_") or _is_code(value) or isinstance(value, Enum)):
                    where = f"{kind.__name__}.{key}"
                    found.append((f"{where} belongs to the class", STATE, self._text(value, where)))
        return tuple(found)

    def _codes(self, home: str) -> list[types.CodeType]:
        """What is run of a file's functions and methods, as far as the model holds them."""
        methods = [
            getattr(each, "__func__", each)
            for kind in self.classes
            if kind.__module__ == home
            for each in vars(kind).values()
        ]
        functions = [each for each in self.functions if each.__module__ == home]
        return [
            each.__code__ for each in (*methods, *functions) if isinstance(each, types.FunctionType)
        ]

    def _tensor(self, tensor: torch.Tensor | None, name: str, place: str) -> str:
        """A parameter or a buffer, or where it was met before."""
        if tensor is None:
            return "None"
        where = f"{name}.{place}"
        if id(tensor) in self.tensors:
            return f"shared with {self.tensors[id(tensor)]}"
        if type(tensor) not in (torch.Tensor, nn.Parameter):
            raise Unstackable(f"{where} is a {type(tensor).__name__}")
        if tensor._backward_hooks or getattr(tensor, "_post_accumulate_grad_hooks", None):
            raise Unstackable(f"{where} has a hook")
        self.tensors[id(tensor)] = where
        kept = (tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.requires_grad)
        return f"{type(tensor).__name__} {kept}"

    def _text(self, value: Any, where: str) -> str:
        """A value such that equal texts are equal values.

        Raises:
            Unstackable: if there is none
        """
        if id(value) in self.open:
            raise Unstackable(f"{where} holds itself")
        self.open.append(id(value))
        try:
            return f"{type(value).__name__} {self._content(value, where)}"
        finally:
            self.open.pop()

    def _content(self, value: Any, where: str) -> str:
        kind = type(value)

        def texts(values: Any) -> list[str]:
            return [self._text(each, where) for each in values]

        if kind in _NUMBERS or kind in _NAMED:
            return repr(value)
        if kind in (list, tuple):
            return str(texts(value))
        if kind in (set, frozenset):
            return str(sorted(texts(value)))
        if kind is dict or isinstance(value, types.MappingProxyType):
            return str(texts(value.items()))
        if isinstance(value, nn.Module):
            if id(value) in self.modules:
                return self.modules[id(value)]
            raise Unstackable(f"{where} holds a module that is not registered")
        if isinstance(value, torch.Tensor):
            raise Unstackable(f"{where} is a tensor that is neither parameter nor buffer")
        if isinstance(value, type):
            return self._class(value)
        if kind is partial:
            return str(texts([value.func, value.args, value.keywords]))
        if kind is types.MethodType:
            return str(texts([value.__self__, value.__func__]))
        if kind is types.FunctionType:
            return self._function(value, where)
        if kind is types.BuiltinFunctionType and isinstance(
            value.__self__, types.ModuleType | type | None
        ):
            return f"{value.__self__} {value.__qualname__}"
        if kind in (types.MethodDescriptorType, types.WrapperDescriptorType):
            return f"{value.__objclass__} {value.__name__}"
        if kind is types.ModuleType and sys.modules.get(value.__name__) is value:
            return value.__name__
        if isinstance(value, Enum):
            # Before Python 3.11 a combination of flags has no name.
            own = value.value if isinstance(value, Flag) else value.name
            return f"{self._class(kind)} {own}"
        if dataclasses.is_dataclass(value):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
            if hidden := [each for each in _slots(kind) if each not in fields]:
                raise Unstackable(
                    f"{where} holds {kind.__name__}.{hidden[0]}, which is in __slots__"
                )
            return f"{self._class(kind)} {texts([fields, getattr(value, '__dict__', {})])}"
        raise Unstackable(f"{where} holds a {kind.__name__}, which cannot be compared")

    def _class(self, kind: type) -> str:
        """A class by its name, if that leads to it."""
        found: Any = sys.modules.get(kind.__module__)
        for part in kind.__qualname__.split("."):
            found = getattr(found, part, None)
        if found is not kind:
            raise Unstackable(f"{kind.__name__} is a class that is made anew for each model")
        own = [each for each in kind.__mro__ if not _given(each.__module__)]
        self.homes.update(dict.fromkeys(each.__module__ for each in own))
        self.classes.update(dict.fromkeys(own))
        return f"{kind.__module__}.{kind.__qualname__}"

    def _function(self, function: types.FunctionType, where: str) -> str:
        home = sys.modules.get(function.__module__)
        if home is None or function.__globals__ is not vars(home):
            raise Unstackable(f"{where} holds a function of no module")
        if not _given(function.__module__):
            self.homes[function.__module__] = None
            self.functions.append(function)
        try:
            held = [cell.cell_contents for cell in function.__closure__ or ()]
        except ValueError as error:
            raise Unstackable(f"{where} holds a function that is not complete") from error
        more = [held, function.__defaults__, function.__kwdefaults__, vars(function)]
        code = _code(function.__code__)
        return f"{function.__module__} {code} {[self._text(each, where) for each in more]}"


def _slots(kind: type) -> list[str]:
    """The attributes that a class's instances have outside of their `__dict__`."""
    return [
        key
        for each in kind.__mro__
        for key, value in vars(each).items()
        if type(value) is types.MemberDescriptorType
    ]


def _code(code: types.CodeType) -> str:
    """A hash of what a function does, wherever it is written."""
    inner = [
        _code(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts
    ]
    parts = (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags, inner)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


_CODE = (
    types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.MemberDescriptorType,
    types.GetSetDescriptorType, type, staticmethod, classmethod, property,
    functools.cached_property, logging.Logger,
)  # fmt: skip


def _is_code(value: Any) -> bool:
    """Whether a variable's value is code, which is the same for all models of a process."""
    return isinstance(value, _CODE) or type(value).__module__ in ("typing", "types")


def _used(namespace: Mapping[str, Any], codes: list[types.CodeType]) -> set[str]:
    """The variables of a file that some of its code names, itself or through its functions."""
    names: set[str] = set()
    while codes:
        code = codes.pop()
        fresh = {name for name in code.co_names if name in namespace and name not in names}
        names |= fresh
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
        codes += [
            namespace[name].__code__
            for name in fresh
            if isinstance(namespace[name], types.FunctionType)
        ]
    return names


def _given(module: str) -> bool:
    """Whether a module comes with Python or PyTorch."""
    top = module.partition(".")[0]
    return top == "torch" or top in sys.stdlib_module_names
