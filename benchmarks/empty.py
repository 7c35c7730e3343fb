"""A sweep whose runs train nothing: what is left is what planning and the workers cost.

python -m benchmarks.empty seeds=1000          our workers
python -m benchmarks.empty -m hydra/...        any other launcher, with a task that does nothing
"""

import sys
from functools import partial

import cloudpickle
import hydra
from omegaconf import DictConfig

from cnnlab.config.compat import hydra_options
from cnnlab.config.defaults import PRIMARY, register
from cnnlab.config.launcher import Limits
from cnnlab.core import project
from cnnlab.execution.hydra_files import HydraFiles
from cnnlab.execution.launching import environments
from cnnlab.execution.workers.fork_server import warm_up
from cnnlab.execution.workers.pool import Pool
from cnnlab.execution.workers.watcher import Watcher
from cnnlab.planning import plan


@hydra.main(
    config_path=str(project.shipped("conf")),
    config_name=PRIMARY,
    **hydra_options(),
)
def empty(config: DictConfig) -> None:
    """Does nothing."""


class Empty:
    """A worker's job: writes what Hydra writes of each run, and trains none."""

    def __init__(self, inherited, settings):
        self.files = HydraFiles(settings)

    def __call__(self, runs, tell) -> None:
        for number, run in runs.items():
            self.files.write(run, number)
            tell("done", number, None)


if __name__ == "__main__":
    register()
    if "-m" in sys.argv:
        empty()
    else:
        warm_up(["cnnlab.execution.hydra_files"])
        planned = plan.make((), tuple(sys.argv[1:]))
        setup = cloudpickle.dumps(partial(Empty, settings=planned.hydra))
        Pool(setup, environments(planned), Limits(), Watcher()).run(planned.pending)
