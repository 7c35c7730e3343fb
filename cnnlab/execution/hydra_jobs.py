"""Hydra's jobs inside a worker process: composing a job's config, and running it as Hydra does."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ExceptionWithTraceback
from typing import Any

import cloudpickle
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from cnnlab.core import events
from cnnlab.core.files import FULL
from cnnlab.execution.workers.worker import Tell

KEEPS_TRACEBACKS = "_remote_traceback" in JobReturn.__dataclass_fields__
"""Whether Hydra sees to it that an exception from another process says where it was raised; since
1.4."""

VALUES_OF_HYDRA = ("hydra.sweep.dir", "hydra.sweep.subdir")
"""Hydra's own settings that differ from job to job and change nothing else."""


@dataclass
class Sweep:
    """What all jobs of a sweep share.

    Attributes:
        context, task_function, config: as Hydra hands them to a launcher
        first_number: of the sweep's first job
        prepare: called once a worker, with what it inherited
        together: does several jobs at once; see `Together`
    """

    context: HydraContext
    task_function: TaskFunction
    config: DictConfig
    first_number: int
    prepare: Callable[[Any], None] | None = None
    together: "Together | None" = None


@dataclass(frozen=True)
class Together:
    """What does several jobs at once.

    Attributes:
        begin: called for each as its task, with its config and its place among them; gives a dict,
            which is the task's answer, or something that `go_on` takes
        go_on: called with what `begin` gave, by place, and with a function that it calls with a
            place and the task's answer, or with the exception that ended it
    """

    begin: Callable[[DictConfig, int], Any]
    go_on: Callable[[Mapping[int, Any], Callable[[int, Any], None]], None]


class Setup:
    """What a worker needs to do Hydra's jobs.

    Hydra's plugins are searched anew in each worker, which defines their classes anew; only what is
    unpickled after that refers to the right ones. Hence two parts.
    """

    def __init__(self, sweep: Sweep):
        self.state = cloudpickle.dumps(Singleton.get_state())
        self.sweep = cloudpickle.dumps(sweep)

    def __call__(self, inherited: Any) -> "Jobs":
        setup_globals()
        Singleton.set_state(cloudpickle.loads(self.state))
        sweep: Sweep = cloudpickle.loads(self.sweep)
        if sweep.prepare is not None:
            sweep.prepare(inherited)
        return Jobs(sweep)


class Jobs:
    """Does jobs, each a list of overrides."""

    def __init__(self, sweep: Sweep):
        self.sweep = sweep
        self.compose = Composer(sweep.context.config_loader, sweep.config)

    def __call__(self, payloads: Mapping[int, Sequence[str]], tell: Tell) -> None:
        """Does one job, or several at once.

        Of each is told what its task returned, where that is a dict, or `status` and `error` where
        it raised; and the whole JobReturn, pickled.
        """
        if len(payloads) == 1:
            ((number, overrides),) = payloads.items()
            try:
                returned = self._run(number, overrides, self.sweep.task_function)
            except (events.Later, events.Alone) as ended:
                tell(_KINDS[type(ended)], number, str(ended))
            else:
                tell("done", number, _answer(overrides, returned))
            return
        self._run_together(payloads, tell)

    def _run_together(self, payloads: Mapping[int, Sequence[str]], tell: Tell) -> None:
        together, numbers = self.sweep.together, list(payloads)
        returns: dict[int, JobReturn] = {}
        begun: dict[int, Any] = {}

        def ended(place: int, answer: Any) -> None:
            number, returned = numbers[place], returns[place]
            if isinstance(answer, events.Ended):
                tell(_KINDS[type(answer)], number, str(answer))
                return
            returned.return_value = answer
            if isinstance(answer, Exception):
                returned.status = JobStatus.FAILED
            tell("done", number, _answer(payloads[number], returned))

        for place, (number, overrides) in enumerate(payloads.items()):
            try:
                begin = partial(together.begin, place=place)
                returned = returns[place] = self._run(number, overrides, begin)
            except (events.Later, events.Alone) as busy:
                tell(_KINDS[type(busy)], number, str(busy))
                continue
            if returned.status != JobStatus.COMPLETED or isinstance(returned.return_value, dict):
                tell("done", number, _answer(overrides, returned))
            else:
                begun[place] = returned.return_value
        if begun:
            together.go_on(begun, ended)

    def _run(self, number: int, overrides: Sequence[str], task: TaskFunction) -> JobReturn:
        index = self.sweep.first_number + number
        try:
            config = self.compose(overrides)
            with open_dict(config):
                config.hydra.job.id = f"{config.hydra.job.name}_{index}"
                config.hydra.job.num = index
            return run_job(
                hydra_context=self.sweep.context,
                task_function=task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except Exception as error:  # Hydra's own: the boundary that spares the other jobs
            if isinstance(error, OSError) and error.errno in FULL:
                place = error.filename or OmegaConf.select(self.sweep.config, "hydra.sweep.dir")
                raise events.DiskFull(f"{place}: {error.strerror}") from error
            return failed(overrides, error)


_KINDS = {events.Later: "later", events.Alone: "alone"}
"""What a worker's pool is told of a job that it is to try again."""


def _answer(overrides: Sequence[str], returned: JobReturn) -> tuple[dict[str, Any], bytes]:
    value = returned._return_value
    if returned.status != JobStatus.COMPLETED:
        if not KEEPS_TRACEBACKS:
            returned.return_value = ExceptionWithTraceback(value, value.__traceback__)
        value = {"status": "failed", "error": f"{type(value).__name__}: {value}"}
    try:
        whole = cloudpickle.dumps(returned)
    except Exception as error:  # whatever a task's own __reduce__ raises
        whole = cloudpickle.dumps(failed(overrides, TypeError(f"cannot be sent back: {error}")))
    return (value if isinstance(value, dict) else {}), whole


def failed(overrides: Sequence[str], error: BaseException) -> JobReturn:
    """What Hydra returns of a job that failed before or after its task."""
    returned = JobReturn(overrides=list(overrides))
    returned.status = JobStatus.FAILED
    returned.return_value = error
    return returned


class Composer:
    """Composes the configs of a sweep's jobs, the groups once for each choice of them.

    Composing takes 70 ms and is the same for all jobs that choose the same options; only values
    are set job by job, in a copy. Copies are made by pickling, five times faster than by deepcopy.

    Args:
        loader: Hydra's
        master: the config of the sweep
    """

    def __init__(self, loader: Any, master: DictConfig):
        self.loader, self.master = loader, master
        self.parser = OverridesParser.create(config_loader=loader)
        self.templates: dict[tuple[str, ...], bytes] = {}
        self.groups: dict[str, bool] = {}
        self.parsed: dict[str, Override] = {}
        self.searches = bool(OmegaConf.select(master, "hydra.searchpath"))

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The config that Hydra's `load_sweep_config` gives."""
        values = [text for text in overrides if self._is_value(text)]
        rest = tuple(text for text in overrides if text not in values)
        if rest not in self.templates:
            made = self.loader.load_sweep_config(self.master, list(rest))
            self.templates[rest] = pickle.dumps(made, pickle.HIGHEST_PROTOCOL)
        config = pickle.loads(self.templates[rest])
        if not values:
            return config
        ConfigLoaderImpl._apply_overrides_to_config([self._parse(text) for text in values], config)
        for text in overrides:
            if self._parse(text).is_hydra_override() and text in values:
                config.hydra.overrides.hydra.append(text)
        tasks = [text for text in overrides if not self._parse(text).is_hydra_override()]
        config.hydra.overrides.task = tasks
        self._set_dirname(config, tasks)
        return config

    def _set_dirname(self, config: DictConfig, tasks: Sequence[str]) -> None:
        """`hydra.job.override_dirname`, which Hydra 1.3 computes when it composes; 1.4 has a
        resolver for it."""
        try:
            from hydra._internal.config_loader_impl import get_overrides_dirname
        except ImportError:
            return
        settings = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=[self._parse(text) for text in tasks],
            kv_sep=settings.kv_sep,
            item_sep=settings.item_sep,
            exclude_keys=settings.exclude_keys,
        )

    def _is_value(self, text: str) -> bool:
        """Whether an override only sets a value of a config that is composed without it."""
        override = self._parse(text)
        key = override.key_or_group
        if self.searches or override.package is not None or override.type != OverrideType.CHANGE:
            return False
        if override.is_hydra_override():
            return key in VALUES_OF_HYDRA
        if key not in self.groups:
            self.groups[key] = bool(self.loader.get_group_options(key))
        return not self.groups[key]

    def _parse(self, text: str) -> Override:
        if text not in self.parsed:
            self.parsed[text] = self.parser.parse_override(text)
        return self.parsed[text]
