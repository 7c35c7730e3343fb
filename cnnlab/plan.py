"""The plan: the runs of a sweep, the identity of each, and which are still to train."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cnnlab import record
from cnnlab.compose import GROUPS
from cnnlab.config import Config, shown
from cnnlab.data.split import Data
from cnnlab.faults import Refused
from cnnlab.overrides import Job, expand
from cnnlab.parts import build

IRRELEVANT = ("name", "device", "outputs", "sweep", "data")
"""Keys that cannot change a run's result. Of the data, the fingerprint tells all."""


@dataclass(frozen=True)
class Run:
    """One variant with one seed.

    Attributes:
        run_id: a hash of everything that determines the result
        job: the config and where it comes from
        directory: of the record
        result: of result.json, if there is one that can be read
    """

    run_id: str
    job: Job
    directory: Path
    result: Mapping[str, Any] | None

    @property
    def finished(self) -> bool:
        """Whether training again would only repeat."""
        return self.result is not None and self.result["status"] in record.FINISHED


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep.

    Attributes:
        name: of the sweep
        folder: `<outputs>/<name>`
        factors: the keys that were given several values, in the order that they were typed
        runs: in the order of the sweep, each once
    """

    name: str
    folder: Path
    factors: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def pending(self) -> list[Run]:
        """The runs that are still to train."""
        return [run for run in self.runs if not run.finished]


@cache
def make(hydras: tuple[str, ...], arguments: tuple[str, ...]) -> Plan:
    """Plans a command. Nothing is trained and nothing is written.

    Args:
        hydras: overrides of Hydra's own settings
        arguments: all others

    Raises:
        Refused: with every fault of the command, its data and its model
    """
    expansion = expand(hydras, arguments)
    faults = expansion.faults + _faults_of_data(expansion.data, bool(expansion.faults))
    if not faults:
        faults = _faults_of_jobs(expansion.jobs)
    if faults:
        raise Refused(faults)
    jobs = {
        run_id(job.config, load(job.config).fingerprint): job for job in reversed(expansion.jobs)
    }
    jobs = dict(reversed(jobs.items()))  # of equal runs the first stays, in its place
    first = next(iter(jobs.values())).config
    name = first.name or f"adhoc-{_hash(sorted(jobs))[:8]}"
    folder = Path(first.outputs).expanduser() / name
    factors = _factors([job.values for job in jobs.values()])
    runs = tuple(_run(identity, job, folder, factors) for identity, job in jobs.items())
    return Plan(name, folder, factors, runs)


def run_id(config: Config, fingerprint: str) -> str:
    """A hash of everything that determines a run's result."""
    relevant = {key: value for key, value in asdict(config).items() if key not in IRRELEVANT}
    relevant["augment"] = list(relevant["augment"].items())  # here the order matters
    return _hash([record.SCHEMA_VERSION, fingerprint, relevant])


def load(config: Config) -> Data:
    """The data of a config, read once a process.

    Raises:
        Refused: if the data cannot be used
    """
    return _loaded(json.dumps(config.data, sort_keys=True))


@cache
def _loaded(part: str) -> Data:
    return build(json.loads(part))


def settings(
    config: Mapping[str, Any], choices: Mapping[str, str], fingerprint: str
) -> dict[str, Any]:
    """A config as one flat table row: a group's choice at its name, its numbers at dotted keys.

    Where images lie and where records go is left out; the images' fingerprint stands for them, so
    that runs on different images are never taken for seeds of one variant.
    """
    flat: dict[str, Any] = {}

    def walk(prefix: str, node: Mapping[str, Any]) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping):
                walk(f"{prefix}{key}.", value)
            elif key not in ("_target_", "path", "root"):
                flat[prefix + key] = value

    for key, value in config.items():
        if key in GROUPS:
            flat[key] = choices[key]
            walk(f"{key}.", value)
            if key == "data":
                flat["data.fingerprint"] = fingerprint[:8]
        elif key not in IRRELEVANT:
            flat[key] = value
    return flat


def write(plan: Plan) -> None:
    """Writes plan.json; runs that it listed before stay in it, in their places.

    One that cannot be read is kept aside as plan.unreadable.json.
    """
    path = plan.folder / "plan.json"
    earlier = read(path)
    if earlier is None:
        if path.exists():
            path.replace(path.with_name("plan.unreadable.json"))
        earlier = {"factors": [], "runs": []}
    runs = {run["run_id"]: run for run in earlier["runs"]}
    for run in plan.runs:
        config, fingerprint = run.job.config, load(run.job.config).fingerprint
        known = runs.get(run.run_id, {"published": {}})
        runs[run.run_id] = {
            "run_id": run.run_id,
            "directory": run.directory.name,
            "settings": settings(asdict(config), run.job.choices, fingerprint),
            "published": dict(run.job.published) or known["published"],
        }
    rows = [run["settings"] for run in runs.values()]
    common = {
        key: value
        for key, value in rows[0].items()
        if all(key in row and row[key] == value for row in rows)
    }
    for run in runs.values():
        own = run["settings"].items()
        run["settings"] = {key: value for key, value in own if key not in common}
    record.write_json(
        path,
        {
            "schema_version": record.SCHEMA_VERSION,
            "name": plan.name,
            "factors": list(dict.fromkeys([*earlier["factors"], *plan.factors])),
            "settings": common,
            "runs": list(runs.values()),
        },
    )


def read(path: Path) -> dict[str, Any] | None:
    """A plan.json with each run's settings in full; None if it is missing or cannot be used."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema_version"] != record.SCHEMA_VERSION:
            return None
        found["factors"] = [str(key) for key in found["factors"]]
        for run in found["runs"]:
            run["settings"] = {**found["settings"], **run["settings"]}
            run["published"] = dict(run["published"])
            run["run_id"], run["directory"] = str(run["run_id"]), str(run["directory"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _run(identity: str, job: Job, folder: Path, factors: Sequence[str]) -> Run:
    existing = sorted(folder.glob(f"*-{identity[:8]}"))
    directory = existing[0] if existing else folder / f"{_slug(job, factors)}-{identity[:8]}"
    result = record.read_result(directory)
    if result is not None and result["run_id"] != identity:
        result = None
    return Run(identity, job, directory, result)


def _slug(job: Job, factors: Sequence[str]) -> str:
    """A short readable directory name of what sets a run apart in its sweep."""
    keys = [*factors, "seed"]
    values = {**job.values, "seed": job.config.seed}
    parts = [f"{shown(key)}-{values[key]}" for key in keys if key in values]
    text = "_".join(parts).replace("+", "")  # 1e+30
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80]


def _factors(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The keys whose value differs between rows, or is given in some only; never the seed."""
    keys = dict.fromkeys(key for row in rows for key in row if key != "seed")
    return tuple(key for key in keys if len({row.get(key) for row in rows}) > 1)


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _faults_of_data(parts: Sequence[Mapping[str, Any]], refused: bool) -> list[str]:
    """What is wrong with the images. A command that is refused anyway begins no download."""
    faults = []
    for part in parts:
        if refused and "path" not in part:
            continue
        try:
            _loaded(json.dumps(part, sort_keys=True))
        except Refused as error:
            faults += error.faults
        except MemoryError as error:
            faults.append(f"data: the images do not fit into memory: {error}.")
    return faults


def _faults_of_jobs(jobs: Sequence[Job]) -> list[str]:
    """What is wrong with a model or a device, of configs that are right by themselves."""
    from cnnlab.device import resolve
    from cnnlab.model.assemble import assemble

    faults = []
    built = set()
    for job in jobs:
        config, data = job.config, load(job.config)
        structure = json.dumps([config.model, config.norm, config.activation, data.shape])
        if structure not in built:
            built.add(structure)
            try:
                assemble(config, data.shape, len(data.classes))
            except ValueError as error:
                faults.append(str(error))
        if config.evaluate_test and data.test is None:
            faults.append(f"evaluate_test=true: data={job.choices['data']} has no test split.")
        if config.precision == "tf32" and resolve(config.device).type != "cuda":
            faults.append("precision=tf32: needs a CUDA device; use precision=fp32 or bf16.")
    return faults
