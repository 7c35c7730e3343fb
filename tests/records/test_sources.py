"""Which files' code belongs to a run, and what of a file counts."""

import os
import subprocess
import sys
from itertools import count

import pytest
from conftest import config_of, python_path

from cnnlab.records.sources import changed, code_of, sources, sources_of

SAMPLE = '''"""Of the module."""
from __future__ import annotations

LIMIT: float = 1e-300
"""Of an attribute."""
NAMES = {**{"é": u"ü\\u0378"}, "b": b"\\xff", "c": 2j, None: ...}


@decorated(1, *[2], key=-0.0)
async def function(a, /, b: int = 3, *rest: str, c=None, d, **more) -> None:
    """Of a function."""
    async with a as (x, y), b:
        await x[1:2, ..., ::y]
    return f"{a!r:>{b}} {c=} {'n' 'm'}" "tail" rf"\\d{d:.3f}" f"{a:}"


class Part(Base, metaclass=Meta):
    """Of a class."""

    def method(self): pass

    def match(self, it):
        match it:
            case {"a": [1, *others], **rest} | Part(x=None) if others:
                yield from (n := [i for i in others if i])
            case None | True:
                raise ValueError(1_000) from None
            case _:
                lambda q=1, *, r: q if r else not q
        try:
            global LIMIT
            del self.a, it[0]
        except (A, B) as error:
            assert it, "no"
        else:
            nonlocal_ = it @ it // 2 ** -1
        finally:
            while 0 < it <= 3 != 4 is not it not in it:
                break
'''
"""Whatever versions of Python have treated differently in their trees, and most of the grammar."""


NUMBERS = count()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes files into a package of a new name, which takes the place of TOP in them."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files):
        top = f"own{next(NUMBERS)}"
        for name, text in files.items():
            path = tmp_path / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("TOP", top), encoding="utf-8")
        return top

    return write


def hash_of(project, text):
    top = project({"part.py": text})
    return sources((f"{top}.part.f",))[f"{top}/part.py"]


def test_the_hash_is_the_same_in_each_version_of_python(project):
    """Measured with 3.10.13, 3.11.7, 3.12.1 and 3.13.0: whoever runs this with another compares."""
    assert hash_of(project, SAMPLE) == "b9c0e472c2e00780"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x=1  # why\n\n\n"), ("f(a, b)", "f(\n    a,\n    b,\n)"), ("x = 'a'", 'x = "a"'),
        ("def f():\n    return 1", 'def f():\n  """Doc."""\n  return 1'),
        ("def f(): pass", 'def f():\n    """Doc."""'), ("x = 1", '"""Of the module."""\nx = 1'),
        ("x = 1", 'x = 1\n"""Of an attribute."""'), ("x = 1000", "x = 1_000"), ("", '"""Doc."""'),
        ("x = (1 + 2)", "x = 1 + 2"), ("x = 'ab'", "x = 'a' 'b'"), ("x = 1.50", "x = 15e-1"),
    ],
)  # fmt: skip
def test_another_layout_of_the_same_code_is_the_same_code(one, other, project):
    assert hash_of(project, one) == hash_of(project, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"), ("x = 1", "x = 1.0"), ("x = 1", "x = True"), ("x = 1", "x = '1'"),
        ("x = 0.0", "x = -0.0"), ("x = 'a'", "x = b'a'"), ("x = None", "x = ..."), ("x", "y"),
        ("f(a, b)", "f(b, a)"), ("f(a)", "f(a, '')"), ("x = a + b", "x = a - b"), ("x = a", ""),
        ("def f(a): pass", "def f(*a): pass"), ("def f(a): pass", "def f(a=None): pass"),
        ("def f(*, a, b=1): pass", "def f(*, a=1, b): pass"), ("x = {**a}", "x = {a: None}"),
        ("if a:\n    b\nc", "if a:\n    b\n    c"), ("@g\ndef f(): pass", "def f(): pass"),
        ("from a import b", "from .a import b"), ("import a", "import a as b"),
        ("x = f'{a}'", "x = f'{a!r}'"), ("x = f'{a}'", "x = f'{a:}' + ''"), ("a and b", "a or b"),
        ("def f(): return", "async def f(): return"), ("x = f''", "x = ''"),
        ("def f():\n    'Doc.'\n    return x", "def f():\n    return 'Doc.'"),
    ],
)  # fmt: skip
def test_another_code_has_another_hash(one, other, project):
    assert hash_of(project, one) != hash_of(project, other)


def test_a_file_that_is_no_python_counts_as_its_bytes(project):
    assert hash_of(project, "def f(:") != hash_of(project, "def g(:")


OTHERS = {
    "__init__.py": "name = 1", "near.py": "import numpy", "other.py": "x = 1",
    "layers/__init__.py": "from .deep import name", "layers/deep.py": "name = 1",
    "layers/far.py": "from .. import near", "circle.py": "from .part import f",
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "files"),
    [
        ("import TOP.near", {"near.py"}), ("from TOP import near", {"near.py"}),
        ("from TOP.near import f", {"near.py"}), ("from .near import *", {"near.py"}),
        ("from . import near", {"near.py"}), ("def f():\n    from . import near", {"near.py"}),
        ("from . import name", {"__init__.py"}),
        ("from TOP import near, name", {"near.py", "__init__.py"}),
        ("from .layers import name", {"layers/__init__.py", "layers/deep.py"}),
        ("from .layers.deep import f", {"layers/deep.py"}),
        ("from .layers import far", {"layers/far.py", "near.py"}),
        ("import TOP.layers.far", {"layers/far.py", "near.py"}),
        ("import torch, json, TOP.nowhere", set()), ("x = 1", set()),
        ("try:\n    import TOP.near\nexcept ImportError:\n    pass", {"near.py"}),
        ("from .circle import f", {"circle.py"}),
    ],
)  # fmt: skip
def test_what_a_part_imports_of_its_project_belongs_to_it_and_nothing_else(part, files, project):
    top = project({"part.py": part, **OTHERS})
    assert sources((f"{top}.part.f",)).keys() == {f"{top}/{name}" for name in ["part.py", *files]}


def test_modules_beside_a_persons_own_part_belong_to_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in {"mine_a": "import mine_b, pytest", "mine_b": "import mine_c.d"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "mine_c").mkdir()
    (tmp_path / "mine_c" / "d.py").touch()
    assert sources(("mine_a.f",)).keys() == {"mine_a.py", "mine_b.py", "mine_c/d.py"}


def test_packages_that_are_installed_side_by_side_are_projects_of_their_own(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(str(installed))
    for name, text in {"theirs_a": "import theirs_b\nfrom . import c", "theirs_b": ""}.items():
        (installed / name).mkdir(parents=True)
        (installed / name / "__init__.py").write_text(text)
    (installed / "theirs_a" / "c.py").touch()
    assert sources(("theirs_a.f",)).keys() == {"theirs_a/__init__.py", "theirs_a/c.py"}


def test_a_part_without_a_file_of_python_has_no_sources():
    assert sources(("itertools.count", "nowhere.f")) == {}


def files_of(*overrides):
    return {name.removeprefix("cnnlab/") for name in sources_of(config_of(*overrides))}


def test_every_part_of_a_run_counts_but_the_data_which_its_fingerprint_tells():
    found = files_of("norm=gn", "activation=elu", "augment=crop_flip", "lr=step", "optimizer=adamw")
    assert found == {
        f"{name}.py"
        for name in (
            "parts/model/simplenn", "parts/layers/dropout", "parts/activation/__init__",
            "parts/norm/gn", "parts/activation/elu", "parts/augment/crop", "parts/augment/flip",
            "data/augmentation", "core/seeding", "parts/lr/step", "parts/optimizer/adamw",
        )
    }  # fmt: skip
    assert files_of("data=synthetic") == files_of("data=digits")


def test_a_part_of_another_file_is_another_code():
    base, other = (sources_of(config_of(f"norm={norm}")) for norm in ("bn", "gn"))
    assert changed(base, other) == ("cnnlab/parts/norm/bn.py", "cnnlab/parts/norm/gn.py")
    assert code_of(base) != code_of(other)


def test_code_that_is_not_known_has_not_changed():
    code = {"a.py": "1"}
    assert [changed(*pair) for pair in ((None, code), (code, None), ({}, code))] == [()] * 3
    assert changed(code, dict(code)) == ()
    assert changed({**code, "b.py": "2"}, {"a.py": "3"}) == ("a.py", "b.py")
    assert code_of(None) == "unknown"


def test_finding_the_code_imports_none_of_it():
    """A report and a plan of 10,000 runs must not wait for PyTorch."""
    script = (
        "import sys; from cnnlab.records.sources import sources\n"
        "model, crop = 'cnnlab.parts.model.simplenn.SimpleNN', 'cnnlab.parts.augment.crop.crop'\n"
        "assert len(sources((model, crop))) == 6\n"
        "assert not {'torch', 'cnnlab.parts.model', "
        "'cnnlab.parts.augment', 'cnnlab.core.seeding'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": python_path()}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
