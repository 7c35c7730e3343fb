"""The lab report's first two variants, on real CIFAR-10 images: `make test-slow`, 10 minutes.

The images are an .npz file named by the environment variable CNNLAB_CIFAR10_NPZ.
"""

import os
from pathlib import Path

import pandas as pd
import pytest
from conftest import command

from cnnlab.records.reading import sweeps

PLAIN, CROP_FLIP = 0.6614, 0.7206
"""Best validation accuracies that the report published, one seed each."""


@pytest.mark.slow
def test_the_plain_network_overfits_as_published_and_crop_and_flip_lift_it(tmp_path):
    images = os.environ.get("CNNLAB_CIFAR10_NPZ")
    if images is None:
        pytest.skip("set CNNLAB_CIFAR10_NPZ to an .npz file with CIFAR-10's training images")
    done = command(
        "run", "-m", "augment=none,crop_flip", "data=npz", f"data.path={Path(images).resolve()}",
        "name=two", cwd=tmp_path, timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = sweeps.read(tmp_path / "outputs" / "two").runs.set_index("augment")
    plain = runs.loc["none"]
    assert plain["best_val_accuracy"] == pytest.approx(PLAIN, abs=0.02)
    assert plain["best_epoch"] < 15
    assert plain["final_train_accuracy"] == pytest.approx(0.90, abs=0.03)
    assert plain["initial_loss"] == pytest.approx(2.3026, abs=0.05)
    lifted = runs.loc["crop_flip", "best_val_accuracy"]
    assert lifted - plain["best_val_accuracy"] >= 0.03
    assert lifted == pytest.approx(CROP_FLIP, abs=0.03)
    metrics = pd.read_csv(tmp_path / "outputs/two" / plain["directory"] / "metrics.csv")
    assert metrics["val_loss"].idxmin() < 15 < metrics["train_loss"].idxmin()
