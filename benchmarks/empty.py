"""A Hydra app whose task does nothing: what is left is what the sweeper and the launcher cost."""

import hydra
from omegaconf import DictConfig

from cnnlab.config.compose import CONF, hydra_options, register_sweeps
from cnnlab.execution.workers.fork_server import warm_up


@hydra.main(
    config_path=str(CONF),
    config_name="config",
    **hydra_options(),
)
def empty(config: DictConfig) -> None:
    """Does nothing."""


if __name__ == "__main__":
    warm_up([])
    register_sweeps()
    empty()
