"""What is wrong with the images and the parts of jobs whose configs are right by themselves."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnlab.core.errors import Refused
from cnnlab.data.dataset import Data
from cnnlab.data.loading import described
from cnnlab.planning.grid import Job


def faults_of_data(
    parts: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Data]
) -> list[str]:
    """What is wrong with the images, which `read` reads."""
    faults = []
    for part in parts:
        try:
            read(part)
        except Refused as error:
            faults += error.faults
        except MemoryError as error:
            faults.append(f"data: the images do not fit into memory: {error}.")
    return faults


def faults_of_cuts(jobs: Sequence[Job]) -> list[str]:
    """Where seeds of the cut are given that change nothing, of datasets that can be used."""
    if len({job.config.data.get("split_seed") for job in jobs}) < 2:
        return []
    seeds: dict[str, set[int]] = {}
    marks: dict[str, set[str]] = {}
    for data in (job.config.data for job in jobs if "split_seed" in job.config.data):
        same = json.dumps({**data, "split_seed": None}, sort_keys=True)
        seeds.setdefault(same, set()).add(data["split_seed"])
        marks.setdefault(same, set()).add(described(data).fingerprint)
    return [
        f"data.split_seed: the validation images of {json.loads(same)['_target_']} are the same for"
        f" all {len(each)} seeds: they come with it, and are not cut off. Leave split_seed, and "
        "split in vary, out."
        for same, each in seeds.items()
        if len(each) > 1 and len(marks[same]) == 1
    ]


def faults_of_jobs(jobs: Sequence[Job]) -> list[str]:
    """What is wrong with parts, of configs that are right by themselves."""
    from cnnlab.training.trial import Trial

    trial = Trial()
    faults: dict[str, None] = {}
    # The seeds of a variant share their parts.
    variants = {tuple(map(id, job.config.parts.values())): job for job in jobs}
    for job in variants.values():
        config, data = job.config, described(job.config.data)
        faults.update(dict.fromkeys(trial.faults(config, data)))
        if config.evaluate_test and data.test is None:
            fault = f"evaluate_test=true: data={job.choices['data']} has no test split."
            faults.setdefault(fault)
    return [*faults, *trial.unmatched()]
