"""`plan=true`: the grid, what there is of it, and what the rest will cost; nothing is trained."""

import shutil
from collections import Counter
from pathlib import Path

from rich import box
from rich.table import Table

from cnnlab.config.schema import key_text
from cnnlab.core.console import console, duration, labelled, say
from cnnlab.core.formats import byte_size, short
from cnnlab.planning.estimate import estimated_cost
from cnnlab.planning.runs import STATES, Plan, Run

MOST_ROWS = 50
"""As many variants are listed one by one."""


def print_plan(planned: Plan, workers: int) -> None:
    """Prints a plan.

    Args:
        planned: the sweep
        workers: how many runs are trained at the same time
    """
    console.print(_grid(planned))
    variants = len({_variant(planned, run) for run in planned.runs})
    if variants > MOST_ROWS:
        console.print(f"... and {variants - MOST_ROWS:,} more variants.")
    states = Counter(run.state for run in planned.runs)
    counts = ", ".join(f"{states[state]:,} {state}" for state in STATES if states[state])
    pending = planned.pending
    if not pending:
        console.print(f"{counts}. Nothing is left to train.")
        return
    console.print(f"{counts}; {planned.to_train} will train.")
    cost = estimated_cost(planned, workers)
    source = f"{cost.like} runs like them" if cost.like else "a try of a few steps"
    several = f" on {workers} workers" if workers > 1 else ""
    each = f"{duration(cost.seconds_each)} a run" if cost.seconds_each >= 1 else "under 1 s a run"
    for line in labelled("Time: ", f"about {duration(cost.seconds)}{several}; {each} ({source})."):
        console.print(line)
    free = shutil.disk_usage(_existing(planned.outputs)).free
    console.print(f"Disk: about {byte_size(cost.disk)}; {byte_size(free)} are free.")
    if cost.disk > free:
        say("There is not enough room for these records.", level=30)


def _grid(planned: Plan) -> Table:
    """A row a variant: how many of its runs are in which state."""
    present = {run.state for run in planned.runs}
    states = [state for state in STATES if state in present]
    title = f"{planned.name}: runs of each variant"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for key in planned.factors:
        table.add_column(key_text(key), overflow="fold")
    for state in states:
        table.add_column(state, justify="right", no_wrap=True)
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for run in planned.runs:
        counts.setdefault(_variant(planned, run), Counter())[run.state] += 1
    for variant, count in list(counts.items())[:MOST_ROWS]:
        table.add_row(*variant, *(str(count[state] or "") for state in states))
    return table


def _variant(planned: Plan, run: Run) -> tuple[str, ...]:
    return tuple(short(run.job.values.get(key, "-")) for key in planned.factors)


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder
