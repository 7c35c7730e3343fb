"""cnnlab: ablation sweeps of small convolutional networks, driven by Hydra."""

__version__ = "0.2.0"
