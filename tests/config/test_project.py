"""A project of one's own: its options, its groups, its parts, and what a config may not name."""

import sys
import textwrap

import pytest
from conftest import SMALL

from cnnlab.config import defaults, options
from cnnlab.config.checking import validate
from cnnlab.core.errors import Refused
from cnnlab.planning import grid, plan
from cnnlab.planning.expansion import expand
from cnnlab.records.identity import settings

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, classes, norm, attention, *, width: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(shape[0], width, 3)
        self.norm = norm(width)
        self.attention = attention(width)
        self.last = nn.Linear(width, classes)

    def forward(self, x):
        return self.last(self.attention(self.norm(self.conv(x))).mean((2, 3)))

def none(channels):
    return nn.Identity()

class Gate(nn.Module):
    def __init__(self, channels, *, start: float = 0.0):
        super().__init__()
        self.gate = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, x):
        return x * self.gate.sigmoid()
"""


@pytest.fixture
def write(tmp_path):
    """Writes files of a project; `MINE` in them is a module of a name that no other test has."""
    mine = f"mine_{tmp_path.name}"

    def written(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("MINE", mine)
            path = path.with_suffix(".py") if path.parent == tmp_path else path.with_suffix(".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).replace("MINE", mine), encoding="utf-8")
        defaults._register.cache_clear()
        options._own_groups.cache_clear()
        plan.forget()
        grid._composed.cache_clear()
        return mine

    yield written
    sys.path[:] = [each for each in sys.path if each != str(tmp_path)]
    defaults._register.cache_clear()
    options._own_groups.cache_clear()


@pytest.fixture
def net(write):
    """A project with a model and a group of its own."""
    return write(
        MINE=NET,
        conf__model__net="_target_: MINE.Net",
        conf__attention__none="_target_: MINE.none",
        conf__attention__gate="_target_: MINE.Gate\nstart: 0.0",
    )  # fmt: skip


def jobs(*arguments):
    found = expand((), (*SMALL, *arguments))
    assert not found.faults, found.faults
    return found.jobs


def refused(*arguments):
    """All faults of a command, as one text."""
    images = () if any(each.startswith("data=") for each in arguments) else SMALL
    with pytest.raises(Refused) as error:
        plan.make((), (*images, *arguments))
    return "\n".join(error.value.faults)


# --- options, groups and defaults


def test_an_own_group_is_swept_like_any_other(net):
    found = jobs("model=net", "attention=none,gate", "attention.start=0,1")
    assert [job.choices["attention"] for job in found] == ["none", "none", "gate", "gate"]
    assert [job.config.own["attention"].get("start") for job in found] == [None, None, 0.0, 1.0]
    command = (*SMALL, "model=net", "attention=none,gate", "attention.start=0,1")
    assert len(plan.make((), command).runs) == 3
    assert "Nearest: gate" in refused("model=net", "attention=gaet")


def test_a_group_that_the_model_does_not_take_is_no_part_of_its_run(net):
    (with_group,) = jobs("model=simplenn")
    assert "attention" not in with_group.config.plain()
    assert "model=simplenn takes no attention" in refused("model=simplenn", "attention=none,gate")
    assert "model=net takes no activation" in refused("model=net", "activation=relu,tanh")


def test_a_group_without_none_needs_a_default(write):
    write(
        MINE=NET, conf__model__net="_target_: MINE.Net",
        conf__attention__gate="_target_: MINE.Gate\nstart: 0.0",
    )  # fmt: skip
    assert "attention: mine_" in refused("model=net")
    assert "Choose attention=gate" in refused("model=net")
    write(conf__config="defaults:\n  - model: net\n  - attention: gate\nepochs: 7\n")
    (job,) = jobs()
    assert (job.choices["model"], job.choices["attention"]) == ("net", "gate")
    assert job.config.epochs == 7
    assert job.config.batch_size == 32


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("defaults:\n  - modle: net\n", "modle: no such group. Nearest: model"),
        ("defaults: net\n", "write a list of groups"),
        ("epochs: 1\nepochs: 2\n", "found duplicate key epochs"),
        ("a: [\n", "no valid YAML"),
        ("- 1\n", "must hold keys and values"),
        ("epoch: 3\n", "epoch: no such key. Nearest: epochs"),
    ],
)
def test_a_config_yaml_that_is_none_is_refused(write, text, part):
    write(conf__config=text)
    assert part in refused()


def test_an_own_option_counts_before_one_that_ships_and_is_said_to(write):
    write(conf__norm__bn="_target_: cnnlab.parts.norm.bn.bn\neps: 0.1\nmomentum: 0.1\n")
    found = plan.make((), (*SMALL, "norm=bn,none"))
    assert found.runs[0].job.config.norm["eps"] == 0.1
    (note,) = found.replaced
    assert note.startswith("norm=bn: ")
    assert "conf/norm/bn.yaml, in cnnlab's place" in note


def test_a_broken_sweep_stops_only_the_command_that_names_it(write):
    write(sweeps__bad="a: [", sweeps__good="hydra: {sweeper: {params: {norm: 'bn,none'}}}")
    assert len(jobs("sweeps=good")) == 2
    assert "bad.yaml: no valid YAML" in refused("sweeps=bad")


# --- what a config may name


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("os.system", "there is no os.py in"),
        ("subprocess.run", "there is no subprocess.py in"),
        ("torch.nn.BatchNorm2d", "there is no torch.py in"),
        ("builtins.eval", "there is no builtins.py in"),
        ("cnnlab.records.writer.set_aside", "what comes with cnnlab is below cnnlab.parts"),
        ("bn", "must name a function in a module"),
        ("..os.system", "must name a function in a module"),
        ("MINE.os.system", "cannot be imported"),
        ("MINE.run", "is written in subprocess"),
        ("MINE.Path", "is written in pathlib"),
        ("data.archive.norm", "names what is in data/"),
        ("MINE.nrom", "Nearest: norm"),
        ("MINE.number", "is no function"),
        ("elsewhere.norm", "there is no elsewhere.py"),
        ("json.norm", "json is also the name of"),
    ],
)
def test_only_what_is_the_projects_own_can_be_named(write, target, part, tmp_path, monkeypatch):
    own = """
        import os
        from pathlib import Path
        from subprocess import run

        number = 1

        def norm(channels):
            raise AssertionError("called")
    """
    mine = write(MINE=own, json=own, conf__norm__mine=f"_target_: {target}")
    other = tmp_path / "other"
    other.mkdir()
    (other / "elsewhere.py").write_text("def norm(channels): pass\n")
    monkeypatch.syspath_prepend(other)
    text = refused("norm=mine")
    assert part in text, text
    assert text.startswith(f"norm._target_={target.replace('MINE', mine)}: ")


def test_a_part_must_be_written_where_its_option_says(write):
    """Even when a file of the project is trusted, what it imports is not."""
    write(MINE="from torch.nn import BatchNorm2d\n", conf__norm__mine="_target_: MINE.BatchNorm2d")
    assert "Write a function in mine_" in refused("norm=mine")


# --- own code with mistakes: one message, with the line


USED = """from torch import nn

class norm(nn.Module):
    def __init__(self, channels):
        super().__init__()
    def forward(self, x):
        """


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("def norm(channels:\n", "cannot be imported in MINE.py, line 1: SyntaxError"),
        ("import nothing_like_it\n", "cannot be imported in MINE.py, line 1: ModuleNotFoundError"),
        ("x = 1\ny = x / 0\n", "cannot be imported in MINE.py, line 2: ZeroDivisionError"),
        ("def norm(channels):\n    raise KeyError('a')\n", "fails in MINE.py, line 2: KeyError"),
        ("def norm(channels):\n    return None\n", "with dropout=0.0, MINE.norm"),
        ("def norm():\n    pass\n", "takes 0 arguments by position; it is given 1: channels"),
        ("def norm(channels, extra):\n    pass\n", "norm.extra: is missing"),
        ("import sys\nsys.exit(3)\n", "cannot be imported in MINE.py, line 2: SystemExit"),
        (USED + "return x @ x[0, 0, :3]\n", "fails in MINE.py, line 7"),
        (
            USED + "return x.mean(3)\n",
            "Before, norm made (2, 8, 8) of (2, 8, 8, 8).",
        ),
    ],
)  # fmt: skip
def test_a_norm_that_cannot_be_used_is_told_with_the_line_of_its_file(write, code, part):
    mine = write(MINE=code, conf__norm__mine="_target_: MINE.norm")
    text = refused("norm=mine")
    assert part.replace("MINE", mine) in text, text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("group", "code", "part"),
    [
        ("model", "def f(shape, classes):\n    return 3\n", "must give an nn.Module"),
        (
            "model",
            "from torch import nn\ndef f(shape, classes):\n"
            "    return nn.Sequential(nn.Flatten(), nn.Linear(432, 3))\n",
            "gives (2, 3) for images of (2, 3, 12, 12); it must give one number for each class, (2",
        ),
        (
            "model",
            "from torch import nn\ndef f(shape, classes):\n    return nn.LazyLinear(3)\n",
            "has lazy layers",
        ),
        (
            "model",
            "from torch import nn\nclass f(nn.Module):\n    def __init__(self, shape, classes):\n"
            "        super().__init__()\n        self.n = classes\n"
            "    def forward(self, x):\n        return x[:, 0, 0, : self.n]\n",
            "has no parameter that its output depends on",
        ),
        ("augment", "def f(images, uniforms):\n    return images[:, :, ::2]\n", "(2, 3, 6, 12)"),
        ("augment", "def f(images, uniforms):\n    return images.float()\n", "gives torch.float32"),
        ("augment", "def f(images, uniforms):\n    return images.zero_()\n", "changes the images"),
        ("lr", "import numpy as np\ndef f(epochs, steps):\n    return np.ones(epochs)\n", "(30,)"),
        ("lr", "def f(epochs, steps):\n    return [float('nan')] * epochs * steps\n", "no finite"),
        ("lr", "def f(epochs, steps):\n    return 'fast'\n", "must give a rate for each"),
        (
            "optimizer",
            "def f(parameter, gradient, state, lr):\n    parameter = parameter - lr * gradient\n",
            "changes no weight",
        ),
        (
            "optimizer",
            "def f(parameter, gradient, state, lr):\n    state['a'] += 1\n",
            "line 2: KeyError",
        ),
        ("data", "def f():\n    return 7\n", "gives a int; it must give what"),
        ("data", "def f():\n    return {}['images']\n", "line 2: KeyError: 'images'"),
        ("loss", "def f(logits, labels):\n    return logits.sum(0)\n", "a loss for each, (2,)"),
        ("loss", "def f(logits, labels):\n    return 3.0\n", "gives float for 2 images"),
        ("loss", "def f(logits, labels):\n    return (labels * 1.0)\n", "not depend on the logits"),
    ],
)  # fmt: skip
def test_a_part_that_gives_something_else_is_refused_before_anything_trains(
    write, group, code, part
):
    target = "own:\n  _target_: MINE.f" if group == "augment" else "_target_: MINE.f"
    write(MINE=code, **{f"conf__{group}__own": target})
    text = refused(f"{group}=own")
    assert part in text, text


def test_annotations_of_own_arguments_are_checked_where_there_are_any(write):
    write(
        MINE="from torch import nn\ndef norm(channels, *, eps: float = 1.0, kind=None):\n"
        "    return nn.GroupNorm(1, channels, eps=eps)\n",
        conf__norm__mine="_target_: MINE.norm\neps: 1.0\nkind: null\n",
    )
    assert "norm.eps=slow" in refused("norm=mine", "norm.eps=slow")
    assert "norm.esp: no such key. Nearest: norm.eps" in refused("norm=mine", "norm.esp=1")
    (job,) = jobs("norm=mine", "norm.kind=any")
    assert job.config.norm["kind"] == "any"


# --- models that know nothing of us


FOREIGN = """
from torch import nn

class ResNet(nn.Module):
    def __init__(self, num_classes: int = 1000, width: int = 4, norm_layer: "Call" = None):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1 = nn.Conv2d(3, width, 3)
        self.bn1 = norm_layer(width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.fc(self.bn1(self.conv1(x)).mean((2, 3)))
"""


def test_a_model_is_given_things_under_the_names_that_its_code_has(write):
    write(
        MINE=FOREIGN,
        conf__model__foreign="""
            _target_: MINE.ResNet
            _given_: {num_classes: classes, norm_layer: norm}
            width: 4
        """,
    )
    runs = plan.make((), (*SMALL, "model=foreign", "model.width=4,8", "norm=bn,gn")).runs
    assert len({run.run_id for run in runs}) == 4
    assert "model=foreign takes no activation" in refused("model=foreign", "activation=relu,tanh")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("{num_clases: classes}", "there is no 'num_clases'. Nearest: num_classes"),
        ("{num_classes: clases}", "there is no 'clases'. Nearest: classes"),
        ("classes", "write pairs"),
    ],
)
def test_names_that_a_model_is_not_given_are_refused(write, given, part):
    write(MINE=FOREIGN, conf__model__foreign=f"_target_: MINE.ResNet\n_given_: {given}\n")
    assert part in refused("model=foreign")


def test_validation_of_a_config_needs_nothing_but_the_config(net):
    (job,) = jobs("model=net", "attention=gate")
    assert validate(job.config.plain()) == job.config


# --- what a file may not do, however it is written


EVIL = "{x: {_target_: shutil.copyfile, src: conf, dst: copied}}"


@pytest.mark.parametrize(
    ("name", "text", "typed", "key"),
    [
        ("sweeps__evil", f"hydra: {{callbacks: {EVIL}}}", "sweeps=evil", "callbacks"),
        ("conf__config", f"hydra: {{callbacks: {EVIL}}}", "norm=bn", "callbacks"),
        (
            "conf__norm__evil",
            f"# @package _global_\nhydra: {{callbacks: {EVIL}}}\n", "norm=evil", "callbacks",
        ),
        ("sweeps__evil", "hydra: {job_logging: {version: 2}}", "sweeps=evil", "job_logging"),
        ("sweeps__evil", "hydra: {hydra_logging: {version: 1}}", "sweeps=evil", "hydra_logging"),
        ("sweeps__evil", "hydra: {job: {env_set: {LD_PRELOAD: x}}}", "sweeps=evil", "job.env_set"),
        ("sweeps__evil", "hydra: {launcher: {_target_: os.system}}", "sweeps=evil", "launcher"),
        ("conf__hydra__job_logging__cnnlab", "version: 1", "norm=bn", "hydra"),
    ],
)  # fmt: skip
def test_a_file_cannot_make_hydra_call_something(write, name, text, typed, key, tmp_path):
    write(**{name: text})
    found = refused(typed, "plan=true")
    assert key in found, found
    assert not (tmp_path / "copied").exists()


@pytest.mark.parametrize(
    ("files", "typed", "part"),
    [
        ({"conf__depth__1": "a: 1", "conf__depth__none": "{}"}, (), "Hydra reads 1 as a value"),
        ({"conf__gate__true": "a: 1"}, (), "Hydra reads true as a value"),
        ({"conf__epochs__few": "a: 1"}, (), "conf/epochs/: epochs is the name of a key"),
        ({"conf__shape__round": "a: 1"}, (), "conf/shape/: shape is the name of a key"),
        ({"conf__config": "defaults:\n  - norm: 3\n"}, (), "an option is a text"),
        ({"conf__config": "own: {a: 1}\n"}, (), "own: no such key"),
        ({"conf__norm__five": "_target_: 5\n"}, ("norm=five",), "must name a function"),
        ({"conf__model__five": "_target_: [x]\n"}, ("model=five",), "must name a function"),
        ({"MINE": "import torch\nclass Net(torch.nn.Modul):\n    pass\n",
          "conf__model__own": "_target_: MINE.Net\n"}, ("model=own",), "line 2: AttributeError"),
        ({"conf__augment__own": "_target_: MINE.f\n"}, ("augment=own",), "has a name of its own"),
        ({"MINE": "import sys\nclass f:\n    def __init__(self):\n        sys.exit()\n",
          "conf__model__own": "_target_: MINE.f\n"}, ("model=own",), "line 4: SystemExit"),
        ({"MINE": "def f(epochs, steps):\n    return [-0.1] * epochs * steps\n",
          "conf__lr__own": "_target_: MINE.f\n"}, ("lr=own",), "gives a rate below 0"),
    ],
)  # fmt: skip
def test_names_and_values_that_mean_something_else_are_refused(write, files, typed, part):
    write(**files)
    found = refused(*typed)
    assert part in found, found


def test_an_option_that_comes_to_mean_other_code_is_another_variant(write):
    """Seeds of the one are never pooled with seeds of the other."""
    write(MINE=NET)
    (before,) = plan.make((), (*SMALL, "norm=ln", "name=q")).runs
    write(conf__norm__ln="_target_: MINE.none\n")
    (after,) = plan.make((), (*SMALL, "norm=ln", "name=q")).runs
    rows = [
        settings(run.job.config.plain(), run.job.choices, run.fingerprint)
        for run in (before, after)
    ]
    assert before.run_id != after.run_id
    assert rows[0] != rows[1]


def test_a_file_that_goes_to_another_folder_takes_no_record_along(write, tmp_path):
    write(
        MINE="import os\nos.chdir('/')\nfrom torch import nn\ndef f(channels):\n"
        "    return nn.Identity()\n",
        conf__norm__own="_target_: MINE.f\n",
    )
    (run,) = plan.make((), (*SMALL, "norm=own")).runs
    assert run.directory.resolve().parents[2] == tmp_path


def test_weight_decay_is_left_off_by_name_where_any_variant_has_such_a_parameter():
    """norm=none has no norm to leave out, norm=bn has."""
    runs = plan.make((), (*SMALL, "norm=bn,none", "optimizer.exclude=norm")).runs
    assert len({run.run_id for run in runs}) == 2
    assert "There are conv1.weight; conv1.bias;" in refused("norm=none", "optimizer.exclude=norm")
    assert "optimizer.exclude" in refused("optimizer.exclude='('")


def test_what_is_typed_may_set_hydras_own_settings_and_a_file_beside_it_may_not(write):
    """Of a node of which something is typed, the rest is still as it ships."""
    typed = ("hydra/launcher=basic", "+hydra.job_logging.version=1")
    assert plan.make(typed, SMALL).runs
    write(sweeps__evil="hydra: {job_logging: {handlers: {x: {class: os.system}}}}")
    with pytest.raises(Refused, match=r"hydra\.job_logging: a file may not set this"):
        plan.make(typed, (*SMALL, "sweeps=evil"))
