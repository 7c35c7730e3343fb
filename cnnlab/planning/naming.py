"""Names of what a plan makes: of a sweep that nobody named, of a run's folder."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnlab.config.schema import KEYS, key_text
from cnnlab.core.formats import as_typed
from cnnlab.planning.grid import Job
from cnnlab.records import plan_file
from cnnlab.records.identity import digest

LONGEST = 35
"""Characters of a name that nobody gave, without its hash."""


def unnamed(outputs: Path, jobs: Mapping[str, Job], blank: bool) -> str:
    """The name of a sweep that nobody named; it depends on the runs alone.

    Its factors and a hash of its runs, `norm-x-lr-047c`; of a single variant what it is mostly
    chosen by, `mnist-bn-lr-0.1-5e20`.

    Args:
        outputs: the folder of all records
        jobs: by run id
        blank: whether the images, on which the ids depend, are not here yet
    """
    mark = digest(sorted(jobs))
    earlier = f"adhoc-{mark[:8]}"  # as such sweeps were named before 0.3
    if (outputs / earlier / "plan.json").exists():
        return earlier
    job = next(iter(jobs.values()))
    factors = sorted(factors_of([job.values for job in jobs.values()]), key=_place)
    if factors:
        stem = _joined([key_text(key).rpartition(".")[2] for key in factors], "-x-")
    else:
        rate = (
            [f"lr-{as_typed(job.config.lr['base'], padded=True)}"]
            if "base" in job.config.lr
            else []
        )
        stem = _joined([job.choices["data"], job.choices["norm"], *rate], "-")
    if blank:
        return f"{stem}-?"
    known = plan_file.read(outputs / f"{stem}-{mark[:4]}" / "plan.json")
    same = known is None or digest(sorted(run["run_id"] for run in known["runs"])) == mark
    return f"{stem}-{mark[: 4 if same else 8]}"


def _place(key: str) -> tuple[int, str]:
    """Where a key stands in a config; those of a project's own groups come last."""
    known, group = list(KEYS), key.partition(".")[0]
    return known.index(group) if group in known else len(known), key


def _joined(words: Sequence[str], between: str) -> str:
    """As many of the words as such a name has room for, in signs that a folder's name may have."""
    stem = "sweep"
    for count in range(1, len(words) + 1):
        text = between.join(words[:count]).replace("+", "")  # 1e+30
        longer = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")
        if longer and len(longer) <= LONGEST:
            stem = longer
    return stem


def slug(job: Job, factors: Sequence[str]) -> str:
    """A short readable directory name of what sets a run apart in its sweep."""
    keys = [*factors, "seed"]
    values = {**job.values, "seed": job.config.seed}
    parts = [f"{key_text(key)}-{str(values[key]).strip('[]')}" for key in keys if key in values]
    text = "_".join(parts).replace("+", "")  # 1e+30
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80]


def factors_of(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The keys whose value differs between rows, or is given in some only."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return tuple(key for key in keys if len({row.get(key) for row in rows}) > 1)
