"""The configs: what may be set, of which type, in which unit, within which limits.

`Config` is of one run, `Command` of the sweep as a whole; `checking` refuses what is not allowed. A
part's own keys are checked by its function (`targets`).
"""

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    Strict,
)
from pydantic.dataclasses import dataclass

from cnnlab.config.keys import Key
from cnnlab.config.options import GROUPS
from cnnlab.core.errors import nearest
from cnnlab.core.files import writable
from cnnlab.core.limits import CLOSED, Count, Positive, Seed

DEVICES = ("auto", "cpu", "cuda", "mps")


def _known_device(device: str) -> str:
    """Whether there is such a device at all; `cnnlab.training.devices` looks whether it is here."""
    kind, colon, index = device.partition(":")
    if kind not in DEVICES or (colon and kind != "cuda"):
        raise ValueError(
            f"no such device; allowed: auto, cpu, cuda, cuda:N, mps.{nearest(kind, DEVICES)}"
        )
    if colon and not index.isdecimal():
        raise ValueError("the number after cuda: must be a whole number, as in cuda:0")
    return device


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a sweep's name looks like: it is the name of a folder."""


RESERVED = {
    "index.html": "the list of all sweeps",
    "readme.md": "the description of the records",
    "plan.json": "a sweep's plan",
    "report": "a sweep's report",
    "aside": "the records that were set aside",
}
"""Names that mean something else below the folder of all records, in small letters: some disks
know no others."""


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("must be letters, digits, '.', '_' and '-' only, at most 64")
    if meaning := RESERVED.get(name.lower()):
        raise ValueError(f"is the name of {meaning}; choose another one")
    return name


def _writable_folder(folder: str) -> str:
    if not folder:
        raise ValueError("must name a folder")
    reason = writable(Path(folder).expanduser())
    if reason:
        raise ValueError(
            f"cannot write there: {reason}. Choose another folder, or change its rights"
        )
    return folder


DRAWS = ("init", "order", "augment", "dropout")
"""What is drawn in a run: first weights; the order of the images; what augmentations draw; masks of
dropout, and whatever else a model draws."""

SPLIT = "split"
"""The cut into training and validation images, which `data.split_seed` decides."""

BY_SEED = "seed"
"""`data.split_seed=seed`: each seed has a cut of its own."""

HELD = 0
"""The seed of a draw that does not differ between runs."""


def _draws(given: Any) -> list[str] | None:
    """Whether a list names draws, each once; `[order,init]` means the same as `[init,order]`."""
    names = (*DRAWS, SPLIT)
    if given is None:
        return None
    if not isinstance(given, list):
        raise ValueError(f"must be a list of some of {', '.join(names)}, as in vary=[init,order]")
    for each in map(str, given):
        if each not in names:
            allowed = ", ".join(names)
            raise ValueError(f"there is no draw {each}.{nearest(each, names)} Allowed: {allowed}")
    if not given:
        raise ValueError(f"no seed would differ from another; name some of {', '.join(names)}")
    if twice := [each for each in names if given.count(each) > 1]:
        raise ValueError(f"names {twice[0]} twice; once is enough")
    return given


@dataclass(kw_only=True, config=CLOSED)
class Variant:
    """One variant of a sweep that is no full grid, or a grid of its own."""

    overrides: str
    """What is set, as on the command line: `norm=bn lr=0.02`."""
    published: dict[
        Literal["best_val_accuracy", "final_train_loss", "final_train_accuracy"], float
    ] = Field(default_factory=dict)
    """What somebody else measured, by the name of our metric."""


@dataclass(kw_only=True, config=CLOSED)
class Design:
    """Which variants a sweep has."""

    design: Literal["grid", "zip", "ofat"]
    """grid: all combinations; zip: factors in step; ofat: one factor at a time."""
    baseline: str | None
    """What the others are compared with: "norm=none lr=0.01"."""
    exclude: list[str]
    """Combinations to leave out: ["norm=none lr=0.1"]."""
    limit: Count
    """The most runs that a sweep may have."""
    variants: list[Variant]
    """Explicit variants; each is crossed with the grid, if there is one."""


@dataclass(kw_only=True, config=CLOSED)
class Command:
    """What is said of a sweep as a whole; no run's result depends on it."""

    question: str | None
    """What the sweep is to answer; stands above its report."""
    seeds: Count | list[Seed] | None
    """How many (5: 0 to 4) or which ([3,4]); null: seed. Best fixed before a report is read."""
    plan: Annotated[bool, Strict()]
    """Show the grid, its state, time and disk; train nothing."""
    retry: Literal["failed"] | None
    """failed: train failed runs again."""
    on_error: Literal["continue", "stop"]
    """After a failed run: continue or stop."""
    force: Annotated[bool, Strict()]
    """Train again what is finished; old records are kept aside."""
    outdated: Literal["retrain", "keep"]
    """What the code has changed of since: retrain, the old records kept aside, or keep."""
    sweep: Design
    """The sweep's design."""


@dataclass(kw_only=True, config=CLOSED)
class Config:
    """Everything that is set for one run."""

    name: Annotated[
        Annotated[str, AfterValidator(_name)] | None,
        Key(result=False, shared=True, stack="each"),
    ]
    """The sweep's name: letters, digits, . _ and -; null: its factors and a hash."""
    epochs: Count
    """Passes over the training images."""
    batch_size: Annotated[Count, Key(speed=True)]
    """Images a step."""
    seed: Annotated[Seed, Key(stack="each")]
    """Of weights, order and augmentation."""
    vary: Annotated[
        Annotated[list[str] | None, BeforeValidator(_draws)],
        Key(stack="each", before={"vary": None}),
    ]
    """The draws that take the run's seed, the others held: init, order, augment, dropout, split;
    null: all but split."""
    device: Annotated[
        str, AfterValidator(_known_device), Key(result=False, shared=True, speed=True)
    ]
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Annotated[Literal["fp32", "tf32", "bf16", "fp64"], Key(speed=True)]
    """Arithmetic: fp32, tf32 (CUDA), bf16 (mixed) or fp64."""
    compile: Annotated[Annotated[bool, Strict()] | None, Key(result=False)]
    """Use torch.compile; null: where a measurement says that it pays."""
    resident: Annotated[Annotated[bool, Strict()] | None, Key(result=False)]
    """Images in the GPU's memory; null: where they fit."""
    clip_norm: Annotated[Positive | None, Key(stack="each", before={"clip_norm": None})]
    """Longest gradient, as its L2 norm; null: any."""
    patience: Annotated[Count | None, Key(stack="each", before={"patience": None})]
    """Epochs without a better validation accuracy that end a run; null: all."""
    evaluate_test: Annotated[bool, Strict(), Key(stack="each")]
    """Test accuracy, once, at the end, of the best weights."""
    outputs: Annotated[str, AfterValidator(_writable_folder), Key(result=False, shared=True)]
    """Folder of all records."""
    data: Annotated[dict[str, Any], Key(result=False)]
    """The images."""
    model: Annotated[dict[str, Any], Key(speed=True, stack="model", before={"model.dropout": 0.0})]
    """The network."""
    norm: Annotated[dict[str, Any], Key(speed=True, stack="model")]
    """Normalisation after each convolution."""
    activation: Annotated[dict[str, Any], Key(speed=True, stack="model")]
    """Activation function."""
    augment: Annotated[dict[str, dict[str, Any]], Key(stack="each", speed=True)]
    """Operations on training images, in their order."""
    lr: Annotated[dict[str, Any], Key(stack="each")]
    """Learning-rate schedule; a number is its base."""
    optimizer: Annotated[dict[str, Any], Key(stack="numbers", before={"optimizer.exclude": None})]
    """How a gradient becomes a step."""
    loss: Annotated[
        dict[str, Any],
        Key(
            stack="numbers",
            before={"loss": "cross_entropy", "loss.label_smoothing": 0.0},
        ),
    ]
    """What training makes small."""
    own: Annotated[dict[str, dict[str, Any]], Key(speed=True, stack="model")] = Field(
        default_factory=dict
    )
    """The parts of a project's own groups that the model takes, by group."""

    def plain(self) -> dict[str, Any]:
        """As it is written down: own groups are keys beside the others."""
        return {**{key: value for key, value in vars(self).items() if key != "own"}, **self.own}

    def seed_of(self, draw: str) -> int:
        """The seed of one of DRAWS: the run's own, or HELD where `vary` leaves it out."""
        return self.seed if self.vary is None or draw in self.vary else HELD

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """The part of each group that has one; that of `augment` is several, by name."""
        return {**{group: getattr(self, group) for group in GROUPS}, **self.own}


COMMAND = tuple(field.name for field in fields(Command))
"""The keys that are the command's."""


KEYS = {
    name: next((each for each in field.metadata if isinstance(each, Key)), Key())
    for name, field in Config.__pydantic_fields__.items()
}
"""The keys of a run's config, each with what is to be known of it."""


CROSS_ENTROPY = "cnnlab.parts.loss.cross_entropy.cross_entropy"
"""What every run was trained with before there was a group of losses."""


BEFORE = {name: value for key in KEYS.values() for name, value in key.before.items()}
"""The keys that are younger than the first records, at the value that means what was done before.
"""


def described() -> dict[str, str]:
    """Each key that can be set and is no part's, with its description."""
    told = {}
    for prefix, kind in (("", Config), ("", Command), ("sweep.", Design)):
        keys = kind.__pydantic_fields__
        told.update({prefix + key: keys[key].description for key in keys})
    return {key: text for key, text in told.items() if key not in (*GROUPS, "own", "sweep")}


def key_text(key: str) -> str:
    """A key as people type it: the base of the learning rate is `lr`."""
    return "lr" if key == "lr.base" else key
