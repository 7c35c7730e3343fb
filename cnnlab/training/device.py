"""The device that a run trains on, and its arithmetic."""

import ctypes
import platform
from functools import cache

import torch


def resolve(device: str) -> torch.device:
    """`auto` is the first GPU there is, else the CPU; anything else is itself."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def describe(device: torch.device) -> str:
    """The device's name for the record, e.g. `cuda (NVIDIA H200)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.processor() or platform.machine()})"


def prepare(device: torch.device, precision: str) -> None:
    """Sets PyTorch's arithmetic for this process.

    One thread on the CPU: the sum of a convolution depends on the number of threads, and a run's
    result must not depend on the machine's cores. On a shared machine more threads are also slower.
    PyTorch's own default on CUDA is TF32 for convolutions, whatever one thinks that fp32 means.
    """
    torch.set_num_threads(1)
    if device.type == "cpu":
        _keep_freed_memory()
    if device.type == "cuda":
        arithmetic = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cuda.matmul.fp32_precision = arithmetic
        torch.backends.cudnn.conv.fp32_precision = arithmetic
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""As glibc's malloc.h has them."""


@cache
def _keep_freed_memory() -> None:
    """Lets the C library keep the memory of freed tensors for the next ones.

    glibc gives large blocks back to the operating system at once, and gets each page of the next
    one anew: for SimpleNN that was a third of a training step (17.4 -> 11.6 ms, batch 128).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's own; not on macOS
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
