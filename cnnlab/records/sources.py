"""Which code a run's numbers come from: a hash of each file that its parts are written in.

A part's own file counts, and each file of the same project that it imports, directly or through
others; what is installed has a version instead. The hash is of the syntax tree without comments,
docstrings and positions, so that another layout of the same code is the same code. Nothing is
imported: a file is found by the name of its module. What is imported by a computed name is not
seen.

Each file is read once a process: what a process has imported stays as it was when that was done.
"""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cnnlab.config.schema import CROSS_ENTROPY, Config

INSTALLED = ("site-packages", "dist-packages")
"""Folders whose packages have nothing to do with each other."""

NO_RESULT = ("cnnlab.core.limits",)
"""Modules that decide which numbers may be given, and never what is made of them."""

_OF_A_VERSION = ("kind", "type_comment", "type_ignores")
"""Fields of a syntax tree that change nothing, and that not every version of Python fills."""


def sources_of(config: Config) -> Mapping[str, str]:
    """The code of a run's parts: by file, relative to the folder of its project, a hash.

    The data is left out: what its code has made is in the fingerprint, whichever code that was.
    """
    single = [part for group, part in config.parts.items() if group not in ("data", "augment")]
    targets = {part["_target_"] for part in (*single, *config.augment.values())}
    # Of records that are older than the group of losses it is not known, and was the trainer's.
    return sources(tuple(sorted(targets - {CROSS_ENTROPY})))


@cache
def sources(targets: tuple[str, ...]) -> Mapping[str, str]:
    """The same of parts by their `_target_`s."""
    found: dict[str, str] = {}
    for first in {target.rpartition(".")[0] for target in targets}:
        left, seen = [first], {first}
        while left:
            module = left.pop()
            path = _file(module)
            if path is None:
                continue
            digest, imported = _read(module)
            found[path.relative_to(_root(module)).as_posix()] = digest
            fresh = {name for name in imported - seen if _same_project(first, name)}
            fresh -= set(NO_RESULT)
            seen |= fresh
            left += fresh
    return dict(sorted(found.items()))


def changed(before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> tuple[str, ...]:
    """The files in which two runs' code differs; none where one of them is not known."""
    if not before or not now or before == now:
        return ()
    return tuple(sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k)))


def code_of(sources: Mapping[str, str] | None) -> str:
    """All sources of a run as one short text."""
    return _hash(json.dumps(sources, sort_keys=True).encode())[:8] if sources else "unknown"


def _same_project(module: str, other: str) -> bool:
    """Whether two modules are of one top-level package, or lie in one folder of a person's own."""
    root = _root(module)
    beside = root == _root(other) and root.name not in INSTALLED
    return beside or module.partition(".")[0] == other.partition(".")[0]


def _root(module: str) -> Path | None:
    """The folder that holds a module's top-level package."""
    path = _file(module)
    return path and path.parents[module.count(".") + (path.name == "__init__.py")]


@cache
def _file(module: str) -> Path | None:
    """A module's file; None where there is none that is written in Python."""
    spec, name = None, ""
    for part in module.split("."):
        spec = _spec(name, part, spec)
        if spec is None:
            return None
        name = f"{name}.{part}".lstrip(".")
    written = spec.has_location and str(spec.origin).endswith(".py")
    return Path(spec.origin) if written else None


def _spec(package: str, name: str, of: ModuleSpec | None) -> ModuleSpec | None:
    """Where a module lies. That of a submodule is found without importing its package."""
    if of is not None:
        places = of.submodule_search_locations
        return None if places is None else PathFinder.find_spec(f"{package}.{name}", places)
    try:
        return find_spec(name)
    except (ImportError, ValueError):  # ValueError: __main__ has none
        return None


@cache
def _read(module: str) -> tuple[str, frozenset[str]]:
    """The hash of a module's file, and the modules that it imports."""
    path = _file(module)
    content = path.read_bytes()
    try:
        tree = ast.parse(content)
        plain = json.dumps(_plain(tree)).encode()
    except (SyntaxError, ValueError, RecursionError):  # whoever imports it is told
        return _hash(content), frozenset()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _hash(plain), frozenset(_imports(tree, package))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """The modules that a file imports, wherever in it.

    Of `from a import b`, a.b where that is a module, else a: a package's own file counts where
    something is taken from it.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -node.level + 1 or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                within = f"{base}.{alias.name}"
                yield base if _file(within) is None else within


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _plain(node: Any) -> Any:
    """A syntax tree as lists and texts that are the same in each version of Python.

    A newer one has fields that an older one has not; they are empty where the code needs none. The
    first of 3.12 put an empty text behind a nested format: f"{x:{width}}".
    """
    if isinstance(node, list):
        return [_plain(each) for each in node if not _does_nothing(each)]
    if not isinstance(node, ast.AST):
        return ascii(node)  # repr of a text depends on the version of Unicode
    if isinstance(node, ast.JoinedStr):
        node.values = [each for each in node.values if getattr(each, "value", None) != ""]
    fields = [
        [name, _plain(value)]
        for name, value in ast.iter_fields(node)
        if name not in _OF_A_VERSION and value is not None
    ]
    return [type(node).__name__, [each for each in fields if each[1] != []]]


def _does_nothing(statement: Any) -> bool:
    """Docstrings, of attributes too, and placeholders."""
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)
