"""The `.hydra/` of a record: what Hydra leaves where it composes a job's config itself."""

from collections.abc import Mapping
from typing import Any

import yaml

from cnnlab.planning.runs import Run

OF_A_JOB = ("sweep", "overrides", "job", "runtime")
"""The parts of Hydra's own settings that differ from run to run."""


class HydraFiles:
    """Writes config.yaml, hydra.yaml and overrides.yaml of a sweep's runs.

    Args:
        hydra: Hydra's own settings, as composed for the sweep
    """

    def __init__(self, hydra: Mapping[str, Any]):
        self.hydra = hydra
        # Dumping what all runs share takes longer than writing all three files.
        self.shared = _yaml({"hydra": {k: v for k, v in hydra.items() if k not in OF_A_JOB}})

    def write(self, run: Run, number: int) -> None:
        """Writes a run's files into its directory.

        Args:
            run: of the sweep
            number: of its job
        """
        folder = run.directory / ".hydra"
        folder.mkdir(parents=True, exist_ok=True)
        own = _yaml({"hydra": self._of(run, number)}).partition("\n")[2]
        for name, text in (
            ("config.yaml", _yaml(run.job.config.plain())),
            ("hydra.yaml", self.shared + own),
            ("overrides.yaml", _yaml(list(run.job.overrides))),
        ):
            (folder / name).write_text(text, encoding="utf-8")

    def _of(self, run: Run, number: int) -> dict[str, Any]:
        """What Hydra's settings are for one run."""
        tasks = list(run.job.overrides)
        name = self.hydra["job"]["name"]
        place = {"dir": str(run.directory.parent), "subdir": run.directory.name}
        job = {"override_dirname": ",".join(sorted(tasks)), "num": number, "id": f"{name}_{number}"}
        choices = {**self.hydra["runtime"]["choices"], **run.job.choices}
        runtime = {"output_dir": str(run.directory), "choices": choices}
        return {
            "sweep": {**self.hydra["sweep"], **place},
            "overrides": {**self.hydra["overrides"], "task": tasks},
            "job": {**self.hydra["job"], **job},
            "runtime": {**self.hydra["runtime"], **runtime},
        }


def _yaml(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    """PyYAML's own in C, where it was built with it; writes each value anew, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
