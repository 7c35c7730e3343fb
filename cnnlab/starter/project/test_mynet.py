"""What must stay true: python -m pytest."""

import subprocess
import sys
from pathlib import Path

import torch
from attention import SE, none
from mynet import MyNet
from torch import nn


def test_the_network_gives_a_number_for_each_class():
    for attention in (none, SE):
        model = MyNet((3, 32, 32), 10, nn.BatchNorm2d, nn.ReLU, attention)
        assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_attention_makes_no_number_larger():
    x = torch.rand(2, 8, 5, 5)
    assert (SE(8)(x) <= x).all()


def test_the_sweep_trains(tmp_path):
    """Its runs, shorter, on images that need no download."""
    command = [sys.executable, "-m", "cnnlab.run", "sweeps=question", "seeds=1", "epochs=1"]
    images = ["data=synthetic", "data.images=200", f"outputs={tmp_path}"]
    done = subprocess.run([*command, *images], cwd=Path(__file__).parent, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
