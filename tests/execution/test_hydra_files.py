"""The `.hydra/` that our workers write is what Hydra writes where it composes a run itself."""

import pytest
from conftest import SMALL, command
from omegaconf import OmegaConf

from cnnlab.config.schema import COMMAND

RUN = (
    "-m",
    "norm=bn",
    "augment=crop_flip",
    "lr=0.02",
    *SMALL,
    "epochs=1",
    "name=mine",
    "seeds=[3]",
)

RESOLVER = "${hydra_override_dirname:}"
"""What Hydra 1.4 writes in the place of the overrides that 1.3 puts together."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Of the same run by our workers, and by Hydra's basic launcher."""
    found = []
    for launcher in ("cnnlab", "basic"):
        place = tmp_path_factory.mktemp(launcher)
        done = command("run", *RUN, f"hydra/launcher={launcher}", cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
        (folder,) = place.glob("outputs/mine/*/.hydra")
        found.append(folder)
    return found


def test_config_yaml_is_hydras_without_what_is_said_of_the_sweep(folders):
    ours, hydras = (
        OmegaConf.to_container(OmegaConf.load(each / "config.yaml")) for each in folders
    )
    assert ours == {key: value for key, value in hydras.items() if key not in COMMAND}


def test_overrides_yaml_is_hydras(folders):
    ours, hydras = (OmegaConf.load(each / "overrides.yaml") for each in folders)
    assert ours == hydras
    assert "seed=3" in ours


def test_hydra_yaml_says_of_the_job_what_hydras_says(folders):
    ours, hydras = (OmegaConf.load(each / "hydra.yaml").hydra for each in folders)
    assert ours.keys() == hydras.keys()
    assert ours.sweep == hydras.sweep
    assert ours.overrides.task == hydras.overrides.task
    assert (ours.job.pop("id"), hydras.job.pop("id")) == ("run_0", "0")
    ours, hydras = (OmegaConf.to_container(each, resolve=False) for each in (ours, hydras))
    names = {each["job"].pop("override_dirname") for each in (ours, hydras)}
    assert names <= {",".join(sorted(ours["overrides"]["task"])), RESOLVER}
    assert ours["job"] == hydras["job"]
    choices = [each["runtime"]["choices"] for each in (ours, hydras)]
    assert [each.pop("hydra/launcher") for each in choices] == ["cnnlab", "basic"]
    assert choices[0] == choices[1]
