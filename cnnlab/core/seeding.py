"""Every random draw comes from a generator of its own, named by what it is for.

Two variants with the same seed then see the same images in the same order with the same crops,
and start from the same weights where they share a layer: comparisons are paired. Draws are made
on the CPU, so that a seed means the same on every device.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def generator(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A generator that depends on nothing but its three arguments.

    Args:
        seed: the run's seed
        purpose: what is drawn, e.g. `"order"` or `"init/conv1"`
        epoch: counted from 1; 0 for draws made once a run
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{epoch}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))


@contextmanager
def global_generators(seed: int, purpose: str, epoch: int = 0) -> Iterator[None]:
    """PyTorch's, NumPy's and Python's own generators begin anew, and are put back afterwards.

    For code that knows nothing of cnnlab, such as `nn.Dropout`, so that it draws the same whatever
    was drawn before, also after an interruption.

    Args:
        seed, purpose, epoch: as of `generator`
    """
    number = generator(seed, purpose, epoch).initial_seed()
    pythons, numpys = random.getstate(), np.random.get_state()
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(number)
        if cuda:
            torch.cuda.manual_seed_all(number)
        random.seed(number)
        np.random.seed(number % 2**32)
        try:
            yield
        finally:
            random.setstate(pythons)
            np.random.set_state(numpys)
