"""Every random draw comes from a generator of its own, named by what it is for.

Two variants with the same seed then see the same images in the same order with the same crops,
and start from the same weights where they share a layer: comparisons are paired. Draws are made
on the CPU, so that a seed means the same on every device.
"""

import hashlib

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
