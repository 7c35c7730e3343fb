"""What is wrong with the images and the parts of jobs whose configs are right by themselves."""

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
