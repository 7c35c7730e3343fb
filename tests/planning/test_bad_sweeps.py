"""A sweep that cannot be meant is refused, in one sentence, before anything is on the disk."""

import hashlib
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import SMALL, command

from cnnlab.core.errors import Refused
from cnnlab.planning import plan
from cnnlab.records.writer import open_record


def tree(folder):
    """Every file below a folder with its content, and every folder."""
    return {
        path: hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None
        for path in sorted(Path(folder).rglob("*"))
    }


@contextmanager
def at_most(seconds):
    """Ends what computes for longer, instead of waiting for it."""

    def late(*_):
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def fault_of(*arguments, hydras=(), folder="."):
    """The one sentence with which a command is refused."""
    plan.forget()
    before = tree(folder)
    with at_most(5), pytest.raises(Refused) as refused:
        plan.make(tuple(hydras), (*SMALL, *arguments))
    assert tree(folder) == before
    assert len(refused.value.faults) == 1, refused.value.faults
    return refused.value.faults[0]


EITHER = "give a number from 1, or a list such as [3,4,11]"
SENTENCES = [
    ("seeds=0", EITHER), ("seeds=-1", EITHER), ("seeds=1.5", EITHER), ("seeds=true", EITHER),
    ("seeds=abc", EITHER), ("seeds=[0,abc]", EITHER), ("seeds=[-1]", EITHER), ("seeds=''", EITHER),
    ("seeds=[4294967296]", EITHER), ("seeds={a:1}", EITHER), ("seeds=[1.5]", EITHER),
    ("seeds=[1,1]", "1 is given twice"), ("seeds=[]", "give at least one seed"),
    ("seeds=1,2", "A list has brackets: seeds=[3,4,11]"),
    ("seed=0,1,0", "0 is given twice"), ("seed=0,-1", "greater than or equal to 0"),
    ("seed=0,abc", "must be a whole number"),
    ("seed=0,1 seeds=5", "they say the same thing; give one of them"),
    ("seed=3 seeds=[3]", "they say the same thing; give one of them"),
    ("sweep.design=latin", "must be grid, zip or ofat"),
    ("sweep.design=gird", "Nearest: grid"),
    ("sweep.design=grid,zip", "takes one value"),
    ("norm=bn,none lr=1,2,3 sweep.design=zip", "norm has 2, lr has 3"),
    ("norm=bn,none sweep.design=ofat sweep.baseline=norm=gn", "Allowed: bn, none"),
    ("norm=bn,none sweep.baseline=norm=gn", "no variant of the sweep has these values"),
    ("norm=bn,none sweep.design=ofat sweep.baseline=nrm=bn", "Nearest: norm"),
    ("norm=bn,none sweep.baseline=norm=batchnorm", "Nearest: bn"),
    ("norm=bn,none sweep.baseline=norm=bn,none", "norm has several values; give one"),
    ("norm=bn,none sweep.exclude=[norm=bn,none]", "excludes every variant"),
    ("norm=bn,none sweep.exclude=[norm=gn]", "excludes nothing"),
    ("norm=bn,none sweep.exclude=[norm=batchnorm]", "Nearest: bn"),
    ("norm=bn,none sweep.exclude=norm=bn", "write a list of texts"),
    ("norm=bn,none sweep.exclude=null", "write a list of texts"),
    ("norm=bn,none sweep.exclude=[norm=bn] sweep.baseline=norm=bn", "no variant of the sweep"),
    ("sweep.limit=0", "greater than or equal to 1"),
    ("norm=bn,none seeds=3 sweep.limit=5", "has 6 runs or more; the limit is 5"),
    ("device=cpu,cuda", "the device is no factor"), ("device=cpu,cpu", "the device is no factor"),
    ("plan=maybe", "must be true or false"), ("plan=1", "must be true or false"),
    ("retry=all", "must be failed"), ("retry=true", "must be failed"),
    ("on_error=ignore", "must be continue or stop"), ("on_error=sotp", "Nearest: stop"),
    ("force=1", "must be true or false"), ("force=yes", "must be true or false"),
    ("force=true,false", "takes one value"), ("plan=true,false", "takes one value"),
    ("sweep.variants=null", "sweep.variants is a list"),
    ("sweep.variants=[{overrides:'nrm=bn'}]", "Nearest: norm"),
    ("name=x/y", "letters, digits"),
    ("name=ü", "letters, digits"), ("name=", "letters, digits"),
    ("name=index.html", "is the name of the list of all sweeps; choose another one"),
    ("name=report", "is the name of"), ("name=Aside", "is the name of"),
    ("lr=range(0,1,0)", "the step not 0"), ("epochs=range(1,5,0)", "the step not 0"),
    ("lr=range(1,2,nan)", "the step not 0"), ("lr=range(a,b)", "range(start,stop,step) of numbers"),
    ("lr=choice()", "write the values, as in 0.1,0.2"),
    ("norm==bn", "norm==bn: has a = too many; write norm=bn."),
    ("norm=bn,", "write norm=bn."), ("norm=,bn", "write norm=bn."),
    ("lr=0.1,,0.2", "write lr=0.1,0.2."), ("seeds=[1,]", "write seeds=[1]."),
    ("norm=bü", "norm=bü: no such option. Allowed: bn,"), ("lr=ü", "or a positive number"),
    ("data.path=/home/jörg", "needs quotes: \"data.path='/home/jörg'\"."),
    ("=bn", "write key=value"), ("norm", "write key=value"), ("-norm=bn", "write key=value"),
    ("seeds=[0,1", "not as many [ as ]"), ("epochs=1e3", "epochs=1000.0: must be a whole number,"),
    ("lr.base=${lr.base}", "lr=${lr.base}: refers to itself"),
    ("epochs=${epoch}", "there is no key epoch to refer to. Nearest: epochs."),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "told"), SENTENCES, ids=[typed for typed, _ in SENTENCES])
def test_it_is_refused_in_one_sentence_that_says_what_to_do(typed, told):
    sentence = fault_of(*typed.split(" "))
    assert told in sentence
    assert len(sentence) < 500


WHOLE = [
    ('sweep.exclude=["norm=none lr=5"]', "excludes nothing"),
    ('sweep.exclude=["norm=none nope"]', "nope: cannot be read"),
    ("sweep.baseline=norm=none lr=5", "no variant of the sweep has these values"),
    ("sweep.exclude=[norm=none seed=0]", "seed"),
    ("sweep.exclude=[norm=none seed=1]", "seeds"),
    ("sweep.exclude=[nrm=none]", "Nearest: norm"),
    ("sweep.exclude=[nrm=none norm=bn]", "nrm"),
    ("sweep.baseline=nrm=none", "nrm"),
    ("sweep.exclude=[nrm=bn]", "Nearest: norm"),
    ("epochs=range(5,1)", "range(5,1)"),
    ("sweep.variants=[{overrides:'name=x'},{overrides:'name=y'}]", "name"),
    ("sweep.variants=[{overrides:'plan=true'}]", "belongs to the whole sweep"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "told"), WHOLE)
def test_texts_with_spaces_are_refused_in_one_sentence_too(typed, told):
    assert told in fault_of("norm=bn,none", "seed=0,1", typed)


def test_an_empty_range_of_seeds_is_refused():
    assert "seed" in fault_of("seed=range(3,0)")


def test_seeds_null_says_nothing_and_leaves_a_list_of_seeds():
    assert len(plan.make((), (*SMALL, "seeds=null", "seed=0,1")).runs) == 2


@pytest.mark.parametrize("typed", ["seeds=true", "seed=null", "sweep.design=null"])
def test_a_value_is_told_as_it_was_typed(typed):
    assert fault_of(typed).startswith(f"{typed}:")


# --- too many


@pytest.mark.parametrize(
    "typed",
    [
        "lr=range(1,2000) epochs=range(1,2000)",
        "norm=bn,none lr=range(1,3000) epochs=range(1,3000) seeds=3",
        "seed=range(1000000) norm=bn,none",
        "seeds=2000000",
        "seeds=1000000000000",
    ],
)
def test_more_than_a_million_runs_are_refused_at_once(typed):
    """`at_most` gives it five seconds."""
    sentence = fault_of(*typed.split(" "))
    assert "the limit is 1,000,000" in sentence
    assert "allow as many with sweep.limit=" in sentence


@pytest.mark.parametrize("typed", ["optimizer.momentum=range(0,0.9,1e-7)", "seed=range(2000000)"])
def test_a_list_that_would_fill_the_memory_is_refused_whatever_the_limit(typed):
    sentence = fault_of(typed, "sweep.limit=10000000")
    assert sentence.startswith(f"{typed}: lists more than 1,000,000 values")


def test_the_limit_can_be_raised_to_what_the_sentence_says():
    sentence = fault_of("seeds=7", "sweep.limit=6")
    allowed = sentence.partition("allow as many with ")[2].rstrip(".")
    assert len(plan.make((), (*SMALL, "seeds=7", allowed)).runs) == 7


# --- Hydra's own settings


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("hydra.launcher.workers=1,2", "Give one value"),
        ("hydra/launcher=basic,cnnlab", "Give one value"),
        ("hydra.verbose=true,false", "Give one value"),
        ("hydra.launcher.workers=0", "must be a whole number, 1 or more"),
        ("hydra.launcher.workers=-3", "must be a whole number, 1 or more"),
        ("hydra.launcher.workers=abc", "must be a whole number, 1 or more, 1,000 at most"),
        ("hydra.launcher.workers=1e9", "must be a whole number, 1 or more, 1,000 at most"),
        ("hydra.launcher.workers=1001", "1,000 at most"),
        ("hydra.launcher.devices=0", "must be a list of the GPUs' numbers, as in [0,1]"),
        ("hydra.nope=3", "Hydra has no such setting"),
        ("hydra/launcher=nope", "Allowed: basic, cnnlab"),
        ("hydra.launcher.wrokers=2", "Nearest: hydra.launcher.workers"),
        ("hydra.launcher.per_device=0", "must be a whole number, 1 or more"),
        ("hydra.launcher.tries=0", "must be a whole number, 1 or more"),
        ("hydra.launcher.timeout=0", "must be seconds above 0"),
        ("hydra.launcher.timeout=-1", "must be seconds above 0"),
        ("hydra.launcher.devices=[0]", "visible here: none"),
        ("hydra.job.chdir=true", "hydra/launcher=basic"),
        ("+hydra.callbacks.mine=1", "hydra/launcher=basic"),
        ("hydra.launcher.devices=[]", "name each device once"),
        ("hydra.sweep.dir=x", "the plan decides this"),
        ("hydra.launcher=null", "hydra.launcher"),
    ],
)
def test_hydras_own_settings_are_refused_before_anything_trains(typed, told):
    assert told in fault_of(hydras=[typed])


def test_a_setting_of_our_workers_is_refused_where_another_launcher_is_chosen():
    sentence = fault_of(hydras=["hydra/launcher=basic", "hydra.launcher.stack=3"])
    assert sentence.startswith("hydra.launcher.stack=3: hydra/launcher=basic has no such setting")


def test_several_impossible_settings_are_told_at_once():
    typed = ("hydra.launcher.workers=0", "hydra.launcher.per_device=0", "hydra.launcher.tries=0")
    with pytest.raises(Refused) as refused:
        plan.make(typed, SMALL)
    assert len(refused.value.faults) == 3


# --- two sweeps of one name


@pytest.fixture
def mine():
    """The plan of a sweep `mine`, on disk, its first run begun."""
    return begun("name=mine", "norm=bn,none", "epochs=3")


def begun(*typed):
    made = plan.make((), (*SMALL, *typed))
    made.write()
    open_record(made.runs[0].directory, made.runs[0].run_id)
    return made


def test_a_plan_of_which_nothing_was_begun_stands_in_nobodys_way():
    """A command with a slip of the pen, stopped before it trained anything."""
    plan.make((), (*SMALL, "name=mine", "epochs=3")).write()
    assert plan.make((), (*SMALL, "name=mine", "epochs=2")).name == "mine"


def test_another_sweep_of_the_same_name_is_refused_with_both_ways_out(mine):
    sentence = fault_of("name=mine", "norm=bn,none", "epochs=2", folder=mine.outputs)
    assert f"{mine.folder} holds a sweep with epochs=3; this one has epochs=2" in sentence
    assert "another name, e.g. name=mine-epochs-2" in sentence
    assert "its values with a comma between" in sentence


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["epochs=3", "batch_size=16"], "batch_size=32; this one has batch_size=16"),
        (["epochs=3", "optimizer=adamw"], "optimizer=sgd; this one has optimizer=adamw"),
        (["epochs=3", "lr=0.5"], "lr=0.01; this one has lr=0.5"),
        (["epochs=3", "data.images=90"], "data.images=80"),
        (["epochs=2", "precision=bf16"], "epochs=3, precision=fp32; this one has epochs=2, prec"),
    ],
)
def test_each_setting_that_differs_is_told(typed, told, mine):
    assert told in fault_of("name=mine", "norm=bn,none", *typed, folder=mine.outputs)


@pytest.mark.parametrize(
    "typed",
    [
        ["norm=bn,none", "epochs=3"], ["norm=gn", "epochs=3"], ["norm=bn", "epochs=2,3"],
        ["norm=bn,none", "epochs=3", "seeds=4"], ["norm=bn,none", "epochs=3", "seed=9"],
        ["norm=bn,none", "epochs=3", "lr=0.01,0.1"], ["norm=none", "epochs=3", "device=cpu"],
        ["norm=none", "epochs=3", "plan=true"], ["norm=none", "epochs=3", "force=true"],
    ],
)  # fmt: skip
def test_what_widens_or_narrows_a_sweep_is_the_same_sweep(typed, mine):
    assert plan.make((), (*SMALL, "name=mine", *typed)).folder == mine.folder


def test_a_named_sweep_with_other_settings_gets_a_name_that_says_so():
    begun("sweeps=bn_lr", "epochs=3")
    other = plan.make((), (*SMALL, "sweeps=bn_lr", "epochs=2"))
    assert other.name == "bn_lr-epochs-2"
    plan.forget()
    assert plan.make((), (*SMALL, "sweeps=bn_lr", "epochs=3")).name == "bn_lr"


# --- the real command


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["seeds=0"], EITHER),
        (["norm=bn,none", "lr=1,2,3", "sweep.design=zip"], "norm has 2, lr has 3"),
        (["norm=bn,none", "sweep.exclude=[norm=gn]"], "excludes nothing"),
        (["hydra.launcher.workers=1,2"], "Give one value"),
        (["hydra.launcher.workers=0"], "must be a whole number, 1 or more"),
    ],
)
def test_the_command_exits_with_2_and_leaves_nothing(typed, told, tmp_path):
    done = command("run", *SMALL, "epochs=1", *typed, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Refused: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert tree(tmp_path) == {}


@pytest.mark.slow
def test_the_command_refuses_another_sweep_of_the_same_name(tmp_path):
    first = command("run", *SMALL, "epochs=1", "name=mine", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    before = tree(tmp_path)
    done = command("run", *SMALL, "epochs=2", "name=mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "e.g. name=mine-epochs-2" in done.stderr
    assert tree(tmp_path) == before
