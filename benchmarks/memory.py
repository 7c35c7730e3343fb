"""Prints the most memory that this process had, in MB, after it trained a stack on the CPU.

`python -m benchmarks.memory 12 [--compiled]`; a stack of 0 is what the process takes anyway.
"""

import argparse
import resource
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import images_in
from benchmarks.trainers import config_of, supply_of, warm

IMAGES = 400
"""Two steps and an incomplete one, and a little validation."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("size", type=int)
    parser.add_argument("--compiled", action="store_true")
    asked = parser.parse_args()
    config = config_of("norm=bn", "augment=crop_flip", "device=cpu", "epochs=2")
    with images_in(IMAGES, None) as images:
        supply = supply_of(images, config)
    if asked.size:
        configs = [replace(config, seed=seed) for seed in range(asked.size)]
        warm(configs, supply, compiled=asked.compiled).seconds()
    print(peak())


def peak() -> float:
    """MB. Linux's getrusage begins with what the process was forked from."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes


if __name__ == "__main__":
    main()
