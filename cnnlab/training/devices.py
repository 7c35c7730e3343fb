"""How many worker processes there are, and which device each of them sees."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.core.errors import Refused


def chosen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a launcher's settings, those that `environments` takes."""
    return {key: settings[key] for key in ("workers", "devices", "per_device")}


def environments(
    *,
    workers: int | None,
    devices: Sequence[int] | None,
    per_device: int,
    device: str | None,
) -> list[dict[str, str]]:
    """One environment a worker.

    Without a GPU there is one worker for each CPU core that this process may use; with GPUs there
    is one for each, or `per_device`, and each sees its own GPU only, as `cuda:0`.

    Args:
        workers: how many, whatever the cores and devices
        devices: which of the visible GPUs; None: all
        per_device: workers of each GPU
        device: that the runs ask for, as in `Config.device`; None: unknown

    Raises:
        Refused: with each setting that cannot be met here; `cnnlab.config.launcher.check` comes
            before
    """
    faults = []
    fixed = device is not None and device.startswith("cuda:")
    visible = _visible() if device in (None, "auto", "cuda") else []
    if devices is not None and (fixed or device in ("cpu", "mps")):
        faults.append(f"hydra.launcher.devices: device={device} says already where runs train.")
    elif devices is not None:
        here = f"0 to {len(visible) - 1}" if visible else "none"
        faults += [
            f"hydra.launcher.devices: no CUDA device {index}; visible here: {here}."
            for index in dict.fromkeys(devices)
            if not 0 <= index < len(visible)
        ]
        if not devices or len(set(devices)) < len(devices):
            faults.append(
                f"hydra.launcher.devices={list(devices)}: name each device once; several workers "
                "of one: hydra.launcher.per_device=2."
            )
    if faults:
        raise Refused(faults)
    if visible:
        chosen = [visible[index] for index in (devices or range(len(visible)))]
        each_worker = [{"CUDA_VISIBLE_DEVICES": name} for _ in range(per_device) for name in chosen]
    elif fixed or device in ("cuda", "mps"):
        each_worker = [{}] * per_device
    else:
        each_worker = [{}] * _cores()
    if workers is None:
        return each_worker
    return [each_worker[index % len(each_worker)] for index in range(workers)]


def absent(device: str) -> str | None:
    """What to say of a device that is asked for and is not here; None if it is here."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        count = len(_visible())
        if count <= int(index or 0):
            seen = f"only cuda:0 to cuda:{count - 1} are" if count else "no CUDA device is"
            return f"device={device}: {seen} visible here; use device=auto or device=cpu."
    if kind == "mps":
        import torch

        if not torch.backends.mps.is_available():
            return f"device={device}: no Apple GPU is visible here; use device=auto or device=cpu."
    return None


def cuda(device: str) -> bool:
    """Whether runs that ask for a device are trained on a GPU with CUDA."""
    return device.startswith("cuda") or (device == "auto" and bool(_visible()))


_DRIVERS = ("nvidia*", "dxg", "kfd")
"""Devices that a driver for GPUs makes: NVIDIA's, Windows Subsystem for Linux's, AMD's."""


def _cores() -> int:
    from joblib import cpu_count  # knows of affinity and of containers' limits

    return cpu_count()


def _visible() -> list[str]:
    """The names of the GPUs that this process sees, as CUDA_VISIBLE_DEVICES has them."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None and not listed.strip():
        return []
    if "torch" not in sys.modules and not any(any(Path("/dev").glob(name)) for name in _DRIVERS):
        return []  # saves the import of PyTorch, 2 s
    import torch

    count = torch.cuda.device_count()
    names = [name.strip() for name in listed.split(",")] if listed else list(map(str, range(count)))
    return names[:count]
