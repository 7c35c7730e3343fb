"""The one training entrypoint: `python -m cnnlab.run`.

A command is planned as a whole before anything trains (`planning.plan`); the sweeper then has our
workers train its pending runs (`execution.sweep`), or another launcher of Hydra call
`execution.task.train_one` for each.
"""

import gc
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

from cnnlab.core import interrupt

if __name__ == "__main__":
    interrupt.leave_at_once()

import hydra
from omegaconf import DictConfig

from cnnlab.config.compat import arguments_parser, hydra_options
from cnnlab.config.defaults import PRIMARY, register
from cnnlab.config.launcher import SETTINGS
from cnnlab.config.options import groups, options
from cnnlab.config.schema import described
from cnnlab.core import project
from cnnlab.core.console import ending, labelled, meanwhile
from cnnlab.core.errors import Refused
from cnnlab.starter import new

PRELOADED = ("cnnlab.execution.task", "cnnlab.training.train", "torch._dynamo")
"""What worker processes import while the command is planned; the last is for counting MACs."""

EXAMPLES = """\
  python -m cnnlab.run norm=bn lr=0.02 epochs=10
  python -m cnnlab.run -m norm=bn,none lr=0.01,0.02,0.1
  python -m cnnlab.run -m lr=cosine lr.base=0.05,0.1 seeds=3 plan=true
  python -m cnnlab.run sweeps=bn_lr
  python -m cnnlab.run -m augment=none,crop_flip data=npz data.path=my.npz"""


@hydra.main(
    config_path=str(project.shipped("conf")),
    config_name=PRIMARY,
    **hydra_options(),
)
def hydra_main(config: DictConfig) -> dict[str, Any]:
    """What another launcher of Hydra calls for each run."""
    from cnnlab.execution.task import train_one

    return train_one(config)


def main(arguments: list[str] | None = None) -> None:
    """Checks a command as a whole, then hands it to Hydra."""
    given = sys.argv[1:] if arguments is None else arguments
    with ending("Interrupted. The same command trains what is missing."):
        _run(given)


def _run(given: list[str]) -> None:
    gc.disable()  # what the imports make lives to the end; looking through it takes 0.2 s
    try:
        sys.argv[1:] = _checked(given)
    finally:
        gc.enable()
    hydra_main()


def _checked(arguments: list[str]) -> list[str]:
    """The arguments with rates where Hydra expects them; prints the help where it is asked for.

    Raises:
        Refused: if nothing may be trained
    """
    if arguments[:1] == ["new"]:
        print(new(arguments[1:]))
        raise SystemExit(0)
    args, strange = arguments_parser().parse_known_intermixed_args(arguments)
    if args.config_dir and not Path(args.config_dir).expanduser().is_dir():
        raise Refused(f"--config-dir={args.config_dir}: no such folder.")
    project.choose(args.config_dir)
    if faults := project.shadowing():
        raise Refused(faults)
    if args.help:
        print(help_text())
        raise SystemExit(0)
    # Half of the time of --help, which needs none of it.
    from cnnlab.planning import expansion, plan
    from cnnlab.planning.grammar import is_hydras, normalise

    interrupt.as_usual()
    register()
    if strange:
        raise Refused(f"{' '.join(strange)}: no such option; see --help.")
    if args.config_name or args.config_path or args.experimental_rerun:
        raise Refused(
            "--config-name, --config-path, --experimental-rerun: not used here. Put options into "
            "conf/ and sweeps into sweeps/, in this folder or where --config-dir=.../conf says."
        )
    if sum((args.run, args.multirun, bool(args.cfg))) > 1:
        raise Refused("--run, --multirun and --cfg: give one of them.")
    if args.shell_completion or args.hydra_help or args.info is not None:
        if line := os.environ.get("COMP_LINE"):
            os.environ["COMP_LINE"] = re.sub(r"(?<=\s)lr=(?=[\d.])", "lr.base=", line)
        return arguments
    flags = [text for text in arguments if text not in args.overrides]
    overrides = [normalise(text) for text in args.overrides]
    hydras = tuple(text for text in overrides if is_hydras(text))
    others = tuple(text for text in overrides if not is_hydras(text))
    if not args.cfg:
        workers = not any(
            text.startswith(("plan=", "hydra/launcher=")) for text in (*hydras, *others)
        )
        plan.make(hydras, others, partial(_prepare, workers))
    elif faults := expansion.expand(hydras, others).faults:
        raise Refused(faults)
    return [*flags, *overrides]


def _prepare(workers: bool) -> None:
    """Begins what takes seconds, once a command is known to be right but for its parts."""
    from cnnlab.execution.workers.fork_server import warm_up

    meanwhile("Reading the images, building the models ...")
    if workers:
        warm_up(PRELOADED)


def help_text() -> str:
    """What `--help` prints: what this does, what can be set, examples."""
    lines = [
        "cnnlab: trains variants of a small CNN and compares them.",
        "",
        "Usage: cnnlab [-m] [group=option ...] [key=value ...]",
        "       cnnlab new FOLDER        a project of your own, to begin with",
        "",
        "Several values with commas (norm=bn,none) make a grid: every combination is",
        "trained. Then `cnnlab-report` makes the tables and pictures. `cnnlab` is",
        "`python -m cnnlab.run`, `cnnlab-report` is `python -m cnnlab.report`.",
        "",
        "Groups, with their options:",
    ]
    width = max(len(group) for group in (*groups(), "sweeps"))
    for group in (*groups(), "sweeps"):
        found = ", ".join(options(group)) + (", or a positive number" if group == "lr" else "")
        lines += labelled(f"  {group:{width}}  ", found)
    lines += ["", "Keys:"]
    keys = described()
    width = max(len(key) for key in keys)
    for key, text in keys.items():
        lines += labelled(f"  {key:{width}}  ", text)
    workers = [row for key, text in SETTINGS.items() for row in labelled(f"  {key:10}  ", text)]
    lines += [
        "",
        "An option's own keys are in conf/<group>/<option>.yaml, e.g.",
        "augment.crop.padding=2. --cfg job prints the config of a command.",
        "",
        "Workers (hydra.launcher.<key>=...):",
        *workers,
        "",
        "Examples:",
        EXAMPLES,
        "",
        "Hydra's own flags: --hydra-help",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
