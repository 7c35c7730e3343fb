"""The one training entrypoint: `python -m cnnlab.run`.

A command is planned as a whole before anything trains (`cnnlab.plan`); Hydra's launcher then calls
`task` for each run that is still to train.
"""

import logging
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cnnlab import __version__, plan
from cnnlab.compose import CONF, GROUPS, ROOT, hydra_options, options, register_sweeps
from cnnlab.config import described, validate
from cnnlab.faults import Refused
from cnnlab.grammar import is_hydras, normalise
from cnnlab.overrides import expand
from cnnlab.record import Record, Result, tell
from cnnlab.terminal import console, labelled

log = logging.getLogger("cnnlab.run")  # also where this file is __main__

REFUSED, INTERRUPTED = 2, 130
"""Exit codes; 0 is all done and 1 that runs failed."""

EXAMPLES = """\
  python -m cnnlab.run norm=bn lr=0.02 epochs=10
  python -m cnnlab.run -m norm=bn,none lr=0.01,0.02,0.1
  python -m cnnlab.run -m lr=cosine lr.base=0.05,0.1 seed=0,1,2
  python -m cnnlab.run sweeps=bn_lr
  python -m cnnlab.run -m augment=none,crop_flip data=npz data.path=my.npz"""


@hydra.main(
    config_path=str(CONF),
    config_name="config",
    **hydra_options(execution_whitelist=("cnnlab.terminal.ConsoleHandler",)),
)
def hydra_main(config: DictConfig) -> dict[str, Any]:
    """What Hydra calls for each run."""
    return task(config)


def task(config: DictConfig) -> dict[str, Any]:
    """Trains one run and leaves its record in Hydra's output directory.

    An error costs this run only: it is recorded, with its whole traceback in run.log.

    Returns:
        `status` (done, diverged or failed), `error` and `directory`
    """
    hydra_config = HydraConfig.get()
    checked = validate(OmegaConf.to_container(config, resolve=True))
    data = plan.load(checked)
    directory = Path(hydra_config.runtime.output_dir)
    record = Record(directory)
    from cnnlab.device import describe, resolve
    from cnnlab.train import train

    log.info("%s", directory.name)
    began = time.perf_counter()
    try:
        train([checked], data, [record])
    except Exception as error:  # the boundary that spares the sweep's other runs
        log.debug("The run failed", exc_info=True)
        text = " ".join(str(error).split())
        record.outcome.status = "failed"
        record.outcome.error = f"{type(error).__name__}: {text}"[:500]
    commit, dirty = _git()
    choices = {group: hydra_config.runtime.choices[group] for group in GROUPS}
    result = Result(
        run_id=plan.run_id(checked, data.fingerprint),
        name=directory.parent.name,
        config=asdict(checked),
        choices=choices,
        overrides=list(hydra_config.overrides.task),
        data_fingerprint=data.fingerprint,
        seconds=round(time.perf_counter() - began, 3),
        device=describe(resolve(checked.device)),
        versions=_versions(),
        git_commit=commit,
        git_dirty=dirty,
        **vars(record.outcome),
    )
    record.finish(result)
    tell(asdict(result), directory)
    return {"status": result.status, "error": result.error, "directory": str(directory)}


def main(arguments: list[str] | None = None) -> None:
    """Checks a command as a whole, then hands it to Hydra."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        given = _checked(given)
    except Refused as refused:
        _leave(refused)
    sys.argv[1:] = given
    try:
        hydra_main()
    except KeyboardInterrupt:
        console.print("Interrupted. The same command trains what is missing.", style="bold")
        raise SystemExit(INTERRUPTED) from None


def _checked(arguments: list[str]) -> list[str]:
    """The arguments with rates where Hydra expects them; prints the help where it is asked for.

    Raises:
        Refused: if nothing may be trained
    """
    if {"-h", "--help"} & set(arguments):
        print(help_text())
        raise SystemExit(0)
    register_sweeps()
    args, strange = get_args_parser().parse_known_intermixed_args(arguments)
    if strange:
        raise Refused(f"{' '.join(strange)}: no such option; see --help.")
    if args.config_dir or args.config_name or args.config_path or args.experimental_rerun:
        raise Refused(
            "--config-dir, --config-name, --config-path, --experimental-rerun: not used here. Put "
            f"options into {CONF.name}/ and sweeps into sweeps/."
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
        plan.make(hydras, others)
    elif faults := expand(hydras, others).faults:
        raise Refused(faults)
    return [*flags, *overrides]


def _leave(refused: Refused) -> None:
    print(refused, file=sys.stderr)
    raise SystemExit(REFUSED)


def help_text() -> str:
    """What `--help` prints: what this does, what can be set, examples."""
    lines = [
        "cnnlab: trains variants of a small CNN and compares them.",
        "",
        "Usage: python -m cnnlab.run [-m] [group=option ...] [key=value ...]",
        "",
        "Several values with commas (norm=bn,none) make a grid: every combination is",
        "trained. Then `python -m cnnlab.report` makes the tables and pictures.",
        "",
        "Groups, with their options:",
    ]
    width = max(len(group) for group in (*GROUPS, "sweeps"))
    for group in (*GROUPS, "sweeps"):
        found = ", ".join(options(group)) + (", or a positive number" if group == "lr" else "")
        lines += labelled(f"  {group:{width}}  ", found)
    lines += ["", "Keys:"]
    keys = described()
    width = max(len(key) for key in keys)
    for key, text in keys.items():
        lines += labelled(f"  {key:{width}}  ", text)
    lines += [
        "",
        "An option's own keys are in conf/<group>/<option>.yaml, e.g.",
        "augment.crop.padding=2. --cfg job prints the config of a command.",
        "",
        "Examples:",
        EXAMPLES,
        "",
        "Hydra's own flags: --hydra-help",
    ]
    return "\n".join(lines)


@cache
def _versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    found = {"python": platform.python_version(), "cnnlab": __version__}
    for package in ("torch", "torchvision", "numpy", "hydra-core", "omegaconf"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


@cache
def _git() -> tuple[str | None, bool | None]:
    """The commit of the source and whether it was changed since; None outside a repository."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    source = ("cnnlab", "conf", "sweeps", "hydra_plugins")
    commit, changes = ask("rev-parse", "HEAD"), ask("status", "--porcelain", "--", *source)
    return commit, None if changes is None else bool(changes)


if __name__ == "__main__":
    main()
