"""What `hydra/launcher=cnnlab` does: Hydra's jobs in a pool of worker processes."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import cloudpickle
from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from cnnlab.execution.hydra_jobs import Setup, Sweep, Together, failed
from cnnlab.execution.workers.fork_server import warm_up
from cnnlab.execution.workers.pool import Pool
from cnnlab.execution.workers.watcher import Watcher
from cnnlab.training import devices
from cnnlab.training.devices import Limits


class Unwatched:
    """Tells nobody how the jobs go; begins each of them."""

    def started(self, numbers: Sequence[int]) -> None:
        pass

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        pass

    def waiting(self, number: int) -> None:
        pass

    def again(self, number: int, reason: str) -> None:
        pass

    def done(self, number: int, found: Any) -> bool:
        return True

    def lost(self, number: int, reason: str) -> bool:
        return True

    def stopping(self) -> None:
        pass

    def tick(self) -> None:
        pass


@dataclass
class Crew:
    """What a sweeper that knows more of its jobs than Hydra's gives its launcher.

    Attributes:
        watcher: is told how the jobs go
        inherited: what each worker is handed when it starts
        prepare: what it calls with that
        together: what does several jobs at once
        groups: the numbers of the jobs that are done at once; None: each by itself
    """

    watcher: Watcher = field(default_factory=Unwatched)
    inherited: Any = None
    prepare: Callable[[Any], None] | None = None
    together: Together | None = None
    groups: Sequence[Sequence[int]] | None = None


class Returns(Sequence[JobReturn]):
    """JobReturns, pickled until they are asked for: thousands of whole configs fill the memory."""

    def __init__(self, pickled: Sequence[bytes]):
        self._pickled = pickled

    def __len__(self) -> int:
        return len(self._pickled)

    @overload
    def __getitem__(self, index: int) -> JobReturn: ...
    @overload
    def __getitem__(self, index: slice) -> "Returns": ...
    def __getitem__(self, index: int | slice) -> "JobReturn | Returns":
        if isinstance(index, slice):
            return Returns(self._pickled[index])
        return cloudpickle.loads(self._pickled[index])


class _Collector:
    """Keeps what came of each job, and passes everything on to the crew's watcher."""

    def __init__(self, watcher: Watcher, jobs: Sequence[Sequence[str]]):
        self.watcher, self.jobs = watcher, jobs
        self.found: dict[int, bytes] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.watcher, name)

    def done(self, number: int, found: tuple[Any, bytes]) -> bool:
        self.found[number] = found[1]
        return self.watcher.done(number, found)

    def lost(self, number: int, reason: str) -> bool:
        self.found[number] = cloudpickle.dumps(failed(self.jobs[number], RuntimeError(reason)))
        return self.watcher.lost(number, reason)


def launch(
    crew: Crew,
    settings: Mapping[str, Any],
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    jobs: Sequence[Sequence[str]],
    first_number: int,
) -> Sequence[JobReturn]:
    """Runs all jobs, several at a time.

    Args:
        crew: who is told how they go
        settings: of the launcher; see its config
        context, task_function, config: as Hydra hands them to a launcher
        jobs: the overrides of each
        first_number: of the first job

    Returns:
        one a job, in their order; a job that was not begun counts as failed

    Raises:
        KeyboardInterrupt: if a person stopped them
    """
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    Path(str(config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    if not jobs:
        return []
    setup = Setup(Sweep(context, task_function, config, first_number, crew.prepare, crew.together))
    device = OmegaConf.select(config, "device")
    environments = devices.environments(**devices.chosen(settings), device=device)
    warm_up([])
    collector = _Collector(crew.watcher, jobs)
    limits = Limits(settings["timeout"], settings["tries"], settings["stack"])
    groups = crew.groups or [[number] for number in range(len(jobs))]
    pool = Pool(
        cloudpickle.dumps(setup), environments[: len(groups)], limits, collector, crew.inherited
    )
    with interrupts(pool):
        pool.run([list(overrides) for overrides in jobs], groups)
    if pool.interrupts:
        raise KeyboardInterrupt
    for number in range(len(jobs)):
        if number not in collector.found:
            reason = RuntimeError("not begun: another job failed before")
            collector.found[number] = cloudpickle.dumps(failed(jobs[number], reason))
    return Returns([collector.found[number] for number in range(len(jobs))])


@contextmanager
def interrupts(pool: Pool) -> Iterator[None]:
    """Ctrl-C, and SIGTERM as a cluster's scheduler sends it, ask the pool to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def count(*_: Any) -> None:
        pool.interrupts += 1

    before = {number: signal.signal(number, count) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
