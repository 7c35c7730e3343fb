"""How runs are trained quickest: what is tried, what is chosen, what is kept."""

import json
import os
import subprocess
import sys

import pytest
from conftest import SMALL, config_of, python_path

from cnnlab.data.loading import load
from cnnlab.execution import measuring
from cnnlab.execution.measuring import Choice, Measured, Question, choose, measure, sizes
from cnnlab.execution.speeds import NAME, Speeds, caches
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


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path))
    return tmp_path


def test_what_was_measured_is_found_again_and_only_for_the_same(cache):
    asked, found = question(), [ALONE, Measured(3, False, 0.006, 0.2)]
    speeds = Speeds([{}, {}])
    key = speeds.key(asked, "images")
    speeds.note(key, asked, found)
    speeds.save()
    again = Speeds([{}, {}])
    assert again.measured(again.key(asked, "images"), asked) == found
    assert again.measured(again.key(asked, "others"), asked) is None
    assert again.measured(again.key(question(keys=("norm=bn",)), "images"), asked) is None
    assert again.measured(key, question(steps=100_000)) is None  # would have been worth more
    other = Speeds([{}])
    assert other.measured(other.key(asked, "images"), asked) is None  # one worker has the cache


def test_what_was_chosen_stays_whatever_is_measured_or_chosen_later(cache):
    asked = question()
    first, second = Speeds([{}]), Speeds([{}])  # two commands at the same time
    key = first.key(asked, "images")
    for speeds, size in ((first, 3), (second, 6)):
        speeds.note(key, asked, [ALONE, Measured(size, False, 0.001, 0.0)])
        speeds.settle(key, asked, 6, 1, Choice(size, False, 2.0))
        speeds.save()
    for speeds in (first, second, Speeds([{}])):
        assert speeds.chosen(key, asked, 6, 1) == Choice(3, False, 2.0)
        assert speeds.chosen(key, asked, 7, 1) is None
        assert speeds.chosen(key, question(steps=2000), 6, 1) is None


OTHER = """
import sys, time
from pathlib import Path
from cnnlab.core.files import write_json
from cnnlab.records import locks
path = Path(sys.argv[1])
with locks.held(path.parent, path.name):
    print("has read", flush=True)
    time.sleep(0.3)
    write_json(path, {"measured": {"theirs": {}}, "chosen": {}})
"""


def test_what_another_command_is_writing_is_not_lost(cache):
    """It has read the file before we write, and writes it after that."""
    speeds = Speeds([{}])
    speeds.note("ours", question(), [ALONE])
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(cache / NAME)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    ) as other:  # fmt: skip
        assert other.stdout.readline() == "has read\n"
        speeds.save()
    assert json.loads((cache / NAME).read_text())["measured"].keys() == {"theirs", "ours"}


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"measured": {"%s": 3}, "chosen": {"%s": 3}}'])
def test_a_damaged_file_is_measured_again(cache, damage):
    key = Speeds([{}]).key(question(), "images")
    (cache / NAME).write_text(damage.replace("%s", key))
    assert Speeds([{}]).measured(key, question()) is None
    assert Speeds([{}]).chosen(key, question(), 1, 1) is None


def test_a_folder_that_takes_no_file_costs_only_the_measurement(cache, monkeypatch):
    (cache / "file").write_text("")
    monkeypatch.setenv("CNNLAB_CACHE", str(cache / "file"))
    speeds, asked = Speeds([{}]), question()
    speeds.settle("key", asked, 6, 1, Choice(3))
    speeds.save()
    assert speeds.chosen("key", asked, 6, 1) == Choice(3)
    assert Speeds([{}]).chosen("key", asked, 6, 1) is None


@pytest.mark.parametrize(
    ("platform", "common", "expected"),
    [
        ("linux", None, ".cache/cnnlab"),
        ("linux", "elsewhere", "elsewhere/cnnlab"),
        ("darwin", None, "Library/Caches/cnnlab"),
    ],
)
def test_the_cache_is_where_the_platform_has_it(tmp_path, monkeypatch, platform, common, expected):
    monkeypatch.delenv("CNNLAB_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if common is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / common))
    assert caches() == tmp_path / expected


def test_pace_is_that_of_a_stack_and_leaves_nothing_behind(tmp_path):
    configs = question(runs=2).configs
    its = pace(configs, load(configs[0].data))
    assert 0 < its.step < 1
    assert 0 < its.image < its.step
    assert its.epoch(load(configs[0].data), 32) > 2 * its.step
    assert not list(tmp_path.iterdir())


def test_noise_of_a_twentieth_does_not_decide_between_ways_that_are_about_as_quick():
    """Steps that are 1.0, 1.02, 1.3 and 1.32 times as fast as alone, each measured 5% off."""
    asked = question(runs=32, allowed=[1, 2, 4, 32])
    for off in range(16):
        signs = [1.05 if off >> bit & 1 else 0.95 for bit in range(4)]
        seconds = zip((1, 2, 4, 32), (0.010, 0.0098, 0.010 / 1.3, 0.010 / 1.32), signs, strict=True)
        measured = [Measured(size, False, step * sign, 0) for size, step, sign in seconds]
        assert choose(measured, asked, 32, 1).size == 4
