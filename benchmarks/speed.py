"""How fast sweeps are: `make bench`, or `python -m benchmarks.speed [grid limit ...]`.

What is compared is measured side by side in each round; tables hold the median and the spread. The
numbers of images, epochs and runs suit the device unless they are given.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import grid, growth, homework, limit, stack
from benchmarks.measure import Settings
from benchmarks.table import keep

BENCHMARKS = {
    "grid": grid.rows,
    "growth": growth.rows,
    "homework": homework.rows,
    "limit": limit.rows,
    "stack": stack.rows,
}
"""Those of whole commands first: the others leave memory of the GPU taken."""


def main(arguments: Sequence[str] | None = None) -> None:
    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all")
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--images", type=int, help="training and validation images, 9 to 1")
    parser.add_argument("--epochs", type=int, help="of a short command")
    parser.add_argument("--long", type=int, default=default.long, help="epochs of a long command")
    parser.add_argument("--most", type=int, help="runs in the largest stack; seeds of the homework")
    parser.add_argument("--data", type=Path, help="an .npz file; random images without")
    parser.add_argument("--results", type=Path, default=default.results, help="folder of tables")
    parser.add_argument("--eager", action="store_true", help="leave out what has to be compiled")
    asked = vars(parser.parse_args(arguments))
    names = asked.pop("names")
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    settings = Settings(compiled=not asked.pop("eager"), **asked)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # nothing was compiled before
        for name in names or BENCHMARKS:
            keep(name, BENCHMARKS[name](settings), settings.results)


if __name__ == "__main__":
    main()
