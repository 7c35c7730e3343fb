"""Puts a config's model together, with first weights that depend on the seed alone."""

import torch
from torch import nn

from cnnlab.config.schema import Config
from cnnlab.config.targets import build, configured
from cnnlab.core.seeding import generator


def assemble(config: Config, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A config's model, on the CPU.

    Each layer's first weights depend on the seed and the layer's name only: what two variants
    share starts the same. For that, every module's `reset_parameters` is called with a generator
    of its own, a layer's before that of the module which holds it.

    Args:
        config: of the run
        shape: (C, H, W) of one image
        classes: L

    Raises:
        ValueError: if the parts do not fit together or the images
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator(config.seed, "init/").initial_seed())
        norm, activation = configured(config.norm), configured(config.activation)
        model = build(config.model, shape, classes, norm, activation)
        for name, module in reversed(list(model.named_modules())):  # the whole after its layers
            if hasattr(module, "reset_parameters"):
                seed = generator(config.seed, f"init/{name}").initial_seed()
                torch.default_generator.manual_seed(seed)
                module.reset_parameters()
    return model
