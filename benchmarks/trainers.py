"""Stacks that are ready to be timed, an epoch and its validation at a time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf

from cnnlab.config.checking import validate
from cnnlab.config.compose import compose
from cnnlab.config.schema import Config
from cnnlab.data.batches import Supply
from cnnlab.data.dataset import Data
from cnnlab.parts.data.npz import npz
from cnnlab.planning.grammar import normalise
from cnnlab.training.assemble import assemble
from cnnlab.training.device import prepare, resolve
from cnnlab.training.trainer import Trainer, dtype_of


def config_of(*overrides: str) -> Config:
    """The checked config of a command."""
    config, _ = compose(tuple(normalise(text) for text in overrides))
    return validate(OmegaConf.to_container(OmegaConf.create(config), resolve=True))


def supply_of(images: Path, config: Config) -> Supply:
    """The images of an .npz file, a tenth of which validates, where a config's runs train."""
    device = resolve(config.device)
    prepare(device, config.precision)
    data: Data = npz(path=str(images), validation=0.1, split_seed=0)
    return Supply(data, device, dtype_of(config))


@dataclass
class Warm:
    """A stack that has trained an epoch.

    Attributes:
        trainer: of the stack
        warm_up: seconds until here, compilation included
        memory: the most that the GPU held for it, in MB; 0 on a CPU
        epoch: the last one
    """

    trainer: Trainer
    warm_up: float
    memory: float
    epoch: int = 1

    def seconds(self) -> float:
        """Of one epoch more, and its validation; both end when the device is done."""
        self.epoch += 1
        began = time.perf_counter()
        self.trainer.epoch(self.epoch, lambda _: None)
        self.trainer.evaluate(self.trainer.supply.val)
        return time.perf_counter() - began


def warm(configs: Sequence[Config], supply: Supply, *, compiled: bool = False) -> Warm:
    """Makes a stack and trains an epoch.

    Args:
        configs: K; their epochs are as many as will be trained
        supply: the images
        compiled: whether steps are

    Raises:
        torch.OutOfMemoryError: if a GPU has too little of it
    """
    data, on_gpu = supply.data, supply.device.type == "cuda"
    before = 0
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    began = time.perf_counter()
    models = [assemble(config, data.shape, len(data.classes)) for config in configs]
    trainer = Trainer(configs, models, supply, compiled=compiled)
    trainer.epoch(1, lambda _: None)
    trainer.evaluate(supply.val)
    warm_up = time.perf_counter() - began
    most = torch.cuda.max_memory_allocated() if on_gpu else 0
    return Warm(trainer, warm_up, (most - before) / 1e6)
