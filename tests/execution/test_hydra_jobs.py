"""A worker composes each job's config as Hydra would, only faster."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnnlab.config.compose import CONF, hydra_options, register_sweeps
from cnnlab.execution.hydra_jobs import Composer
from cnnlab.planning.grid import Grid  # noqa: F401  (its import registers the plugins' configs)


@pytest.fixture(scope="module")
def hydra_():
    """Hydra on our conf/, as `python -m cnnlab.run` has it."""
    register_sweeps()
    with initialize_config_dir(str(CONF), "run", **hydra_options()):
        yield GlobalHydra.instance().hydra


@pytest.fixture(scope="module")
def master(hydra_):
    """The config of a sweep, as a launcher gets it: `norm=gn` is one of the sweep's own."""
    return composed(hydra_, "norm=bn,none")


def composed(hydra_, *overrides):
    return hydra_.compose_config(
        config_name="config", overrides=list(overrides), run_mode=RunMode.MULTIRUN
    )


def hydras(hydra_, master, overrides):
    """The config of a job as Hydra composes it."""
    return hydra_.config_loader.load_sweep_config(master, list(overrides))


def plain(config):
    """As plain dicts, without the folder that each test is in."""
    found = OmegaConf.to_container(config, resolve=False)
    del found["hydra"]["runtime"]["cwd"]
    return found


JOBS = [
    [],
    ["norm=bn"], ["norm=none", "lr=cosine"], ["augment=crop_flip", "optimizer=adamw"],
    ["epochs=3"], ["epochs=3", "batch_size=8", "seed=4"], ["lr.base=0.5"], ["lr.base=1e-2"],
    ["optimizer.momentum=0"], ["optimizer.nesterov=true"], ["name=null"], ["name=mine"],
    ["norm=bn", "norm.eps=1e-3"], ["norm.eps=1e-3", "norm=bn"], ["norm=gn", "norm.groups=2"],
    ["optimizer=adamw", "optimizer.beta1=0.5", "lr.base=0.001"],
    ["augment=crop", "augment.crop.padding=2"],
    ["data=synthetic", "data.seed=${seed}", "seed=3"], ["data=npz", "data.path=/a/b.npz"],
    ["hydra.sweep.dir=elsewhere"], ["hydra.sweep.subdir=mine"],
    ["epochs=2", "hydra.sweep.dir='/a b/c'", "hydra.sweep.subdir='norm-bn_seed-0'", "norm=bn"],
    ["hydra.sweep.dir='it\\'s'", "epochs=2"], ["hydra.verbose=true", "epochs=2"],
    ["hydra.job.chdir=true"],
    ["sweeps=homework", "norm=ln", "epochs=2"],
    ["name='quoted text'"], ['name="double, quoted"'], ["outputs='/a, b/c=d'"], ["outputs=''"],
    ["sweep.exclude=['norm=none lr=0.1','norm=bn']"], ["sweep.variants=[{overrides:'norm=bn'}]"],
    ["seeds=[3,4,11]"], ["seeds=5"], ["retry=failed", "force=true"], ["epochs=2", "epochs=3"],
    ["name='\u00fcn\u00efcode'"], ["name=\\${seed}"], ["epochs=${seed}"], ["name=a-b.c_d"],
]  # fmt: skip


@pytest.fixture(scope="module")
def expected(hydra_, master):
    """The config of each of JOBS, in their order."""
    return [plain(hydras(hydra_, master, overrides)) for overrides in JOBS]


@pytest.mark.parametrize("index", range(len(JOBS)), ids=lambda index: " ".join(JOBS[index]))
def test_a_jobs_config_is_the_one_that_hydra_composes(index, hydra_, master, expected):
    compose, overrides = Composer(hydra_.config_loader, master), JOBS[index]
    assert plain(compose(overrides)) == expected[index]
    assert plain(compose(overrides)) == expected[index]  # the second time from what is kept


def test_one_composer_does_all_jobs_in_any_order(hydra_, master, expected):
    """What one job sets is not in the next one's config."""
    compose = Composer(hydra_.config_loader, master)
    for index in [*range(len(JOBS)), *reversed(range(len(JOBS)))]:
        assert plain(compose(JOBS[index])) == expected[index]


def test_what_a_job_changes_in_its_config_stays_there(hydra_, master):
    compose = Composer(hydra_.config_loader, master)
    first = compose(["epochs=2"])
    first.epochs, first.optimizer.momentum = 99, 0.1
    assert compose(["epochs=2"]).epochs == 2
    assert compose([]).optimizer.momentum == 0.9
    assert master.optimizer.momentum == 0.9


def test_the_sweeps_own_overrides_are_in_every_jobs_config(hydra_):
    typed = ["hydra.verbose=true", "hydra.launcher.workers=2", "norm=bn,none"]
    master = composed(hydra_, *typed)
    compose = Composer(hydra_.config_loader, master)
    for overrides in (["norm=bn", "epochs=2"], ["epochs=2", "hydra.sweep.subdir=x"]):
        found = compose(overrides)
        assert plain(found) == plain(hydras(hydra_, master, overrides))
        assert "hydra.verbose=true" in found.hydra.overrides.hydra
        assert found.hydra.launcher.workers == 2


def test_a_job_of_a_named_sweep_names_it_too(hydra_):
    master = composed(hydra_, "sweeps=bn_lr")
    compose = Composer(hydra_.config_loader, master)
    for overrides in (["sweeps=bn_lr", "norm=bn"], ["sweeps=bn_lr", "epochs=2", "seed=1"]):
        found = compose(overrides)
        assert plain(found) == plain(hydras(hydra_, master, overrides))
        assert found.name == "bn_lr"


def test_groups_are_composed_once_for_all_jobs_that_choose_the_same(hydra_, master):
    calls = []

    class Loader:
        def __getattr__(self, name):
            return getattr(hydra_.config_loader, name)

        def load_sweep_config(self, master, overrides):
            calls.append(overrides)
            return hydra_.config_loader.load_sweep_config(master, overrides)

    compose = Composer(Loader(), master)
    for seed in range(5):
        for norm in ("bn", "none"):
            found = compose([f"norm={norm}", f"seed={seed}", f"hydra.sweep.subdir=r{seed}"])
            assert (found.seed, found.hydra.runtime.choices.norm) == (seed, norm)
            assert found.hydra.sweep.subdir == f"r{seed}"
    assert calls == [["norm=bn"], ["norm=none"]]


def fate(compose, overrides):
    """A config, or why there is none."""
    try:
        return plain(compose(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "overrides",
    [
        ["nope=1"], ["+new=1"], ["++new=1"], ["+optimizer.new=1"], ["norm.nope=1"], ["~epochs"],
        ["norm=batchnorm"], ["norm=batchnorm", "epochs=2"], ["epochs=2", "nope=1"], ["~norm"],
        ["optimizer=adamw", "optimizer.momentum=0.5"], ["hydra.nope=1"], ["epochs.below=1"],
        ["+hydra.launcher.nope=1"], ["hydra.launcher.workers=abc"], ["++epochs=4"],
        ["hydra.launcher.workers=3"],
        ["sweeps=nope"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_hydra_refuses_is_refused_with_its_words(overrides, hydra_, master):
    """And what it takes is taken: a new key with a plus."""
    expected = fate(lambda each: hydras(hydra_, master, each), overrides)
    assert fate(Composer(hydra_.config_loader, master), overrides) == expected


@pytest.mark.parametrize("text", ["epochs", "epochs=[1,2"])
def test_what_is_no_override_is_refused_as_one_of_hydras_errors(text, hydra_, master):
    with pytest.raises(HydraException):
        hydras(hydra_, master, [text])
    with pytest.raises(HydraException):
        Composer(hydra_.config_loader, master)([text])


def test_a_search_path_turns_the_shortcut_off(hydra_, tmp_path):
    """There, a key may be a group that `conf/` does not have."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "one.yaml").write_text("a: 1\n")
    master = composed(hydra_, f"hydra.searchpath=['file://{tmp_path}']")
    compose = Composer(hydra_.config_loader, master)
    for overrides in (["epochs=2"], ["+mine=one", "epochs=2"]):
        assert plain(compose(overrides)) == plain(hydras(hydra_, master, overrides))


def test_directory_names_of_hydras_own_are_as_hydra_makes_them(hydra_):
    """`hydra.job.override_dirname`, with the settings that a person gave."""
    settings = "hydra.job.config.override_dirname"
    master = composed(hydra_, f"{settings}.kv_sep='-'", f"{settings}.exclude_keys=[seed]")
    compose = Composer(hydra_.config_loader, master)
    for overrides in (["norm=bn", "epochs=2", "seed=3"], ["epochs=2", "norm=bn"], ["seed=1"]):
        expected = hydras(hydra_, master, overrides)
        key = "hydra.job.override_dirname"
        assert OmegaConf.select(compose(overrides), key) == OmegaConf.select(expected, key)
