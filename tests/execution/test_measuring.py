"""How runs are trained quickest: what is tried, what is chosen, what is kept."""

import json

import pytest
from conftest import SMALL, command, config_of

from cnnlab.execution import measuring
from cnnlab.execution.grouping import cut
from cnnlab.execution.measuring import Choice, Kept, Measured, Question, choose, measure, sizes
from cnnlab.planning.plan import load
from cnnlab.training.throughput import Pace, pace

ALONE = Measured(1, False, 0.010, 0.1)


def question(runs=6, steps=1000, allowed=None, compiled=None, keys=()):
    configs = [config_of(*SMALL, f"lr={0.01 * (1 + run)}", *keys) for run in range(runs)]
    return Question(configs, steps, allowed or sizes(runs), compiled)


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [1]), (2, [1, 2]), (3, [1, 3]), (6, [1, 2, 6]), (7, [1, 2, 4, 7]), (13, [1, 2, 4, 8, 13])],
)
def test_stacks_of_1_of_powers_of_two_and_of_all_are_tried(most, expected):
    assert sizes(most) == expected


@pytest.fixture
def machine(monkeypatch):
    """A machine on which a step takes what a function of size and compilation says."""
    tried = []

    def made(seconds, warm_up=0.0):
        def measured(runs, data, *, compiled):
            tried.append((len(runs), compiled))
            return Pace(seconds(len(runs), compiled) * len(runs), 0.0, warm_up)

        monkeypatch.setattr(measuring, "pace", measured)
        return tried

    return made


def test_larger_stacks_are_tried_until_they_are_worse(machine):
    tried = machine(lambda size, _: 0.010 / size if size <= 4 else 0.010)
    measure(question(runs=32, compiled=False))
    assert tried == [(1, False), (2, False), (4, False), (8, False)]


def test_no_more_is_measured_than_a_share_of_the_work(machine):
    machine(lambda *_: 0.010)
    for steps in (10, 100, 1000, 10_000):
        asked = question(runs=8, steps=steps)
        spent = sum(each.size * each.step * 15 for each in measure(asked)[1:])
        assert spent <= measuring.SHARE * asked.work * 0.010


def test_compiling_is_tried_where_the_work_is_long_and_only_then(machine):
    tried = machine(lambda size, compiled: 0.010 if not compiled else 0.002)
    measure(question(runs=4, steps=1000))
    assert (1, True) not in tried
    measure(question(runs=4, steps=1_000_000))
    assert tried[-1][1]
    tried.clear()
    measure(question(runs=4, steps=1_000_000, compiled=False))
    assert not any(compiled for _, compiled in tried)


def test_a_stack_that_has_too_little_memory_is_not_chosen_and_nothing_larger_tried(monkeypatch):
    tried = []

    def measured(runs, data, *, compiled):
        tried.append(len(runs))
        if len(runs) > 2:
            raise RuntimeError("CUDA out of memory")
        return Pace(0.010, 0.0, 0.0)

    monkeypatch.setattr(measuring, "pace", measured)
    found = measure(question(runs=16, compiled=False))
    assert tried == [1, 2, 4]
    assert [each.size for each in found] == [1, 2]


def test_a_compiler_that_fails_is_not_chosen(monkeypatch):
    def measured(runs, data, *, compiled):
        if compiled:
            raise ValueError("no C++ compiler")
        return Pace(0.010 * len(runs), 0.0, 0.0)

    monkeypatch.setattr(measuring, "pace", measured)
    asked = question(runs=2, steps=1_000_000)
    assert choose(measure(asked), asked, 2, 1) == Choice()


def test_six_runs_on_two_workers_are_two_stacks_of_three_where_that_is_quickest():
    """By hand: alone 3 x 10 ms a step; 3 as one model 3 x 6; 2 as one 4 x 7, for a worker gets
    two of the three stacks."""
    measured = [ALONE, Measured(2, False, 0.007, 0), Measured(3, False, 0.006, 0)]
    choice = choose(measured, question(runs=6, allowed=[1, 2, 3]), 6, 2)
    assert (choice.size, choice.compiled) == (3, False)
    assert choice.gain == pytest.approx(30 / 18)


def test_a_stack_that_leaves_a_worker_idle_must_pay_for_that():
    measured = [ALONE, Measured(4, False, 0.006, 0)]
    assert choose(measured, question(runs=4, allowed=[1, 4]), 4, 2).size == 1  # 24 against 20 ms
    assert choose(measured, question(runs=4, allowed=[1, 4]), 4, 1).size == 4


def test_a_gain_within_noise_is_none():
    measured = [ALONE, Measured(2, False, 0.0098, 0)]
    assert choose(measured, question(runs=2), 2, 1) == Choice()


def test_compiling_must_win_back_its_time():
    measured = [ALONE, Measured(1, True, 0.005, 20.0)]
    short, long = question(runs=1, steps=3000), question(runs=1, steps=30_000)
    assert not choose(measured, short, 1, 1).compiled  # 15 + 20 s against 30 s
    chosen = choose(measured, long, 1, 1)
    assert chosen.compiled
    assert chosen.gain == pytest.approx(300 / 170)


def test_what_was_asked_for_overrules():
    measured = [ALONE, Measured(3, False, 0.005, 0), Measured(3, True, 0.001, 0)]
    assert not choose(measured, question(allowed=[3], compiled=False), 3, 1).compiled
    assert choose(measured, question(allowed=[1], compiled=False), 3, 1).size == 1
    assert question(allowed=[5], compiled=True).unmeasured == Choice(5, True)


def test_short_sweeps_are_not_measured():
    assert not question(runs=2, steps=10).worth
    assert question(runs=2, steps=1000).worth
    assert not question(runs=1, steps=1000).worth  # only compiling is left to choose
    assert question(runs=1, steps=30_000).worth
    assert not question(runs=1, steps=30_000, compiled=False).worth


def test_stacks_are_measured_as_they_will_be_trained():
    """Of two seeds with three rates each, stacks of three have one seed."""
    configs = [
        config_of(*SMALL, f"lr={lr}", f"seed={seed}") for seed in (0, 1) for lr in (0.1, 0.2, 0.3)
    ]
    chosen = Question(configs, 1, sizes(6), None).stack(3)
    assert [(each.seed, each.lr["base"]) for each in chosen] == [(0, 0.1), (0, 0.2), (0, 0.3)]


def test_what_was_measured_is_found_again_and_only_for_the_same(tmp_path):
    asked, found = question(), [ALONE, Measured(3, False, 0.006, 0.2)]
    kept = Kept(tmp_path, [{}, {}])
    key = kept.key(asked, "images")
    kept.put(key, asked, found)
    kept.save()
    again = Kept(tmp_path, [{}, {}])
    assert again.get(again.key(asked, "images"), asked) == found
    assert again.get(again.key(asked, "others"), asked) is None
    assert again.get(again.key(question(keys=("norm=bn",)), "images"), asked) is None
    assert again.get(key, question(steps=100_000)) is None  # would have been worth more
    other = Kept(tmp_path, [{}])
    assert other.get(other.key(asked, "images"), asked) is None  # one worker has the cache alone


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"%s": 3}', '{"%s": {"work": 1e9}}'])
def test_a_damaged_file_is_measured_again(tmp_path, damage):
    key = Kept(tmp_path, [{}]).key(question(), "images")
    (tmp_path / measuring.NAME).write_text(damage.replace("%s", key))
    assert Kept(tmp_path, [{}]).get(key, question()) is None


def test_a_folder_that_takes_no_file_costs_only_the_measurement(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    Kept(tmp_path / "outputs", [{}]).save()


def test_pace_is_that_of_a_stack_and_leaves_nothing_behind(tmp_path):
    configs = question(runs=2).configs
    its = pace(configs, load(configs[0]))
    assert 0 < its.step < 1
    assert 0 < its.image < its.step
    assert its.epoch(load(configs[0]), 32) > 2 * its.step
    assert not list(tmp_path.iterdir())


def test_a_sweep_measures_says_what_it_chose_and_does_so_once(tmp_path):
    """The second sweep has other rates: the same structure, so nothing is measured again."""
    typed = (*SMALL, "batch_size=8", "epochs=16", "model=simplenn", "hydra.launcher.workers=1")
    first = command("run", "-m", "lr=0.01,0.02,0.03,0.04,0.05", *typed, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "Measuring" in first.stdout
    (entry,) = json.loads((tmp_path / "outputs" / measuring.NAME).read_text()).values()
    found = [Measured(**each) for each in entry["measured"]]
    asked = question(runs=5, steps=16 * 9)
    choice = choose(found, asked, 5, 1)
    assert (f"{choice.size} runs at a time as one model" in first.stdout) == (choice.size > 1)
    results = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/*/result.json")]
    pieces = cut(range(5), ["same"] * 5, choice.size)
    expected = sorted(len(piece) for piece in pieces for _ in piece)
    assert sorted(result["stack_size"] for result in results) == expected
    second = command("run", "-m", "lr=0.06,0.07,0.08,0.09,0.1", *typed, cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "Measuring" not in second.stdout
