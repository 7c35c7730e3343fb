"""How many workers there are and which device each sees, on machines of every kind."""

import os
import sys

import pytest

from cnnlab.core.errors import Refused
from cnnlab.training import devices


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many cores and these GPUs."""

    def made(cores=3, gpus=()):
        monkeypatch.setattr(devices, "_cores", lambda: cores)
        monkeypatch.setattr(devices, "_visible", lambda: list(gpus))

    made()
    return made


def environments(device="auto", **settings):
    given = {"workers": None, "devices": None, "per_device": 1, **settings}
    return devices.environments(**given, device=device)


def gpu(name):
    return {"CUDA_VISIBLE_DEVICES": name}


def faults(device="auto", **settings):
    with pytest.raises(Refused) as refused:
        environments(device, **settings)
    return refused.value.faults


@pytest.mark.parametrize("device", ["cpu", "auto", None])
def test_without_a_gpu_there_is_a_worker_for_each_core(device, machine):
    assert environments(device) == [{}] * 3


def test_a_number_of_workers_counts_whatever_the_cores(machine):
    assert environments("cpu", workers=1) == [{}]
    assert environments("cpu", workers=7) == [{}] * 7


@pytest.mark.parametrize("device", ["auto", "cuda", None])
def test_each_gpu_has_a_worker_that_sees_no_other(device, machine):
    machine(gpus=["0", "1", "2"])
    assert environments(device) == [gpu("0"), gpu("1"), gpu("2")]


def test_several_workers_of_a_gpu_come_after_one_of_each(machine):
    machine(gpus=["0", "1"])
    assert environments(per_device=2) == [gpu("0"), gpu("1"), gpu("0"), gpu("1")]


def test_workers_are_shared_out_evenly_between_gpus(machine):
    machine(gpus=["0", "1"])
    assert environments(workers=3) == [gpu("0"), gpu("1"), gpu("0")]
    assert environments(workers=1) == [gpu("0")]
    assert environments(workers=5, per_device=2) == [gpu(str(i % 2)) for i in range(5)]


def test_devices_are_numbers_of_the_gpus_that_this_process_sees(machine):
    """With CUDA_VISIBLE_DEVICES=4,7 the second one is 7."""
    machine(gpus=["4", "7"])
    assert environments(devices=[1]) == [gpu("7")]
    assert environments(devices=[1, 0]) == [gpu("7"), gpu("4")]
    assert environments(devices=[1], per_device=2) == [gpu("7")] * 2


def test_gpus_may_have_names_that_are_no_numbers(machine):
    machine(gpus=["GPU-8f2e", "MIG-1c"])
    assert environments() == [gpu("GPU-8f2e"), gpu("MIG-1c")]


def test_with_gpus_device_cpu_still_means_the_cores(machine):
    machine(gpus=["0", "1"])
    assert environments("cpu") == [{}] * 3


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_one_named_device_has_one_worker_that_sees_all(device, machine):
    """`cuda:1` is a number among all; hiding the others would change what it means."""
    machine(gpus=["0", "1"])
    assert environments(device) == [{}]
    assert environments(device, per_device=3) == [{}] * 3
    assert environments(device, workers=2) == [{}] * 2


def test_devices_without_a_gpu_are_refused(machine):
    (fault,) = faults(devices=[0])
    assert "no CUDA device 0; visible here: none" in fault


def test_devices_that_are_not_there_are_refused_each_with_what_is(machine):
    machine(gpus=["4", "7"])
    assert faults(devices=[1, 2, -1]) == [
        "hydra.launcher.devices: no CUDA device 2; visible here: 0 to 1.",
        "hydra.launcher.devices: no CUDA device -1; visible here: 0 to 1.",
    ]


@pytest.mark.parametrize("devices", [[0, 0], []])
def test_a_device_named_twice_or_none_at_all_is_refused(devices, machine):
    machine(gpus=["0"])
    (fault,) = faults(devices=devices)
    assert "name each device once" in fault
    assert "hydra.launcher.per_device=2" in fault


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "mps"])
def test_devices_beside_a_device_that_says_it_already_are_refused(device, machine):
    machine(gpus=["0", "1"])
    (fault,) = faults(device, devices=[0])
    assert f"device={device} says already where runs train" in fault


def test_all_faults_are_told_at_once(machine):
    assert len(faults(devices=[3, 3])) == 2


# --- what a process sees


class Torch:
    """PyTorch on a machine with some GPUs."""

    class cuda:  # noqa: N801
        count = 0

        @classmethod
        def device_count(cls):
            return cls.count


@pytest.fixture
def gpus(monkeypatch):
    """So many GPUs that PyTorch finds, and what CUDA_VISIBLE_DEVICES says."""

    def made(count, listed=None):
        monkeypatch.setitem(sys.modules, "torch", Torch)
        monkeypatch.setattr(Torch.cuda, "count", count)
        if listed is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)

    return made


@pytest.mark.parametrize(
    ("count", "listed", "seen"),
    [
        (0, None, []), (2, None, ["0", "1"]), (2, "4,7", ["4", "7"]), (2, "4, 7", ["4", "7"]),
        (1, "GPU-8f2e", ["GPU-8f2e"]), (3, "", []), (3, " ", []), (1, "0,9", ["0"]),
        (0, "-1", []),
    ],
)  # fmt: skip
def test_visible_gpus_have_the_names_by_which_a_worker_is_told_of_them(count, listed, seen, gpus):
    """PyTorch counts no device after one that is not there, as CUDA does."""
    gpus(count, listed)
    assert devices._visible() == seen


def test_pytorch_is_not_imported_to_learn_that_there_is_no_driver(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(devices, "_DRIVERS", ("no-such-driver*",))
    assert devices._visible() == []
    assert "torch" not in sys.modules


def test_cores_are_those_that_this_process_may_use():
    """Not those that the machine has."""
    assert 1 <= devices._cores() <= len(os.sched_getaffinity(0))
