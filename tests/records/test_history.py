"""plan.json keeps when which seeds were asked for, and which of them reports had shown by then."""

import json
from datetime import datetime, timezone

import pytest
from sound import changed
from test_sweeps import sweep_on_disk

from cnnlab.core.files import write_json
from cnnlab.records import history, plan_file
from cnnlab.records.reading import sweeps


def command(*arguments, **how):
    """A sweep of two norms, trained; its folder."""
    return sweep_on_disk(*(arguments or ("norm=bn,none",)), **how).folder


def report(*folders, name=None):
    """What a report of some sweeps leaves that a plan looks at."""
    outputs = folders[0].parent
    out = outputs / (name or "+".join(folder.name for folder in folders)) / "report"
    runs = [sweeps.read(folder).runs for folder in folders]
    done = [run for each in runs for run in each["run_id"][each["status"] == "done"]]
    write_json(out / history.MADE, {"shown": history.showing(out, done)})


def asked(folder):
    """Of each entry the seeds, and how many of them had been shown."""
    plan = plan_file.read(folder / "plan.json")
    return [(len(each["seeds"]), len(each["shown"])) for each in plan["history"]]


def test_a_command_is_kept_with_its_time_and_seeds():
    before = datetime.now(timezone.utc)
    folder = command("norm=bn,none", "seeds=[3,1]")
    (entry,) = plan_file.read(folder / "plan.json")["history"]
    assert (entry["seeds"], entry["shown"]) == ([1, 3], [])
    passed = datetime.fromisoformat(entry["when"]) - before
    assert -0.001 <= passed.total_seconds() < 60


def test_seeds_added_after_reports_are_kept_with_what_these_showed():
    folder = command("norm=bn,none", "seeds=3")
    report(folder)
    command("norm=bn,none", "seeds=5")
    report(folder)
    command("norm=bn,none", "seeds=10")
    assert asked(folder) == [(3, 0), (5, 3), (10, 5)]
    assert sweeps.read(folder).looks == [[], [0, 1, 2], [0, 1, 2, 3, 4]]


def test_seeds_added_before_any_report_are_no_look():
    folder = command("norm=bn,none", "seeds=3")
    command("norm=bn,none", "seeds=5")
    report(folder)
    assert asked(folder) == [(3, 0), (5, 0)]


def test_the_same_command_again_and_runs_that_were_planned_add_nothing():
    half = {"status": lambda run: "done" if run.job.config.seed < 2 else "pending"}
    folder = command("norm=bn,none", "seeds=4", **half)
    report(folder)
    command("norm=bn,none", "seeds=4")
    report(folder)
    command("norm=bn,none", "seeds=4")
    assert asked(folder) == [(4, 0)]


def test_of_half_a_sweep_a_report_shows_the_seeds_that_can_be_compared():
    """Seed 1 has one norm only."""
    done = lambda run: run.job.config.seed < (2 if run.job.choices["norm"] == "bn" else 1)  # noqa: E731
    folder = command(
        "norm=bn,none", "seeds=4", status=lambda run: "done" if done(run) else "pending"
    )
    report(folder)
    command("norm=bn,none", "seeds=6")
    assert sweeps.read(folder).looks == [[], [0]]


@pytest.mark.parametrize("state", ["pending", "failed", "diverged"])
def test_a_report_without_a_result_shows_nothing(state):
    folder = command("norm=bn,none", "seeds=3", status=lambda run: state)
    report(folder)
    command("norm=bn,none", "seeds=5")
    assert asked(folder) == [(3, 0), (5, 0)]


def test_one_variant_alone_is_no_comparison():
    folder = command("norm=bn", "seeds=3")
    report(folder)
    command("norm=bn", "seeds=5")
    assert asked(folder) == []
    command("norm=bn,none", "seeds=5")
    assert asked(folder) == [(5, 0)]


def test_more_levels_with_the_seeds_of_the_others_are_no_look():
    folder = command("norm=bn,none", "seeds=3")
    report(folder)
    command("norm=bn,none,gn", "seeds=3")
    assert asked(folder) == [(3, 0)]


def test_fewer_seeds_keep_those_that_were_trained():
    folder = command("norm=bn,none", "seeds=5")
    report(folder)
    command("norm=bn,none", "seeds=3")
    assert asked(folder) == [(5, 0)]


def test_a_sweep_of_another_name_that_takes_over_runs_takes_over_their_looks():
    """As a sweep that nobody named does: its name depends on its runs."""
    first = command("norm=bn,none", "seeds=3")
    report(first)
    second = command("norm=bn,none", "seeds=5", "name=second")
    report(second)
    third = command("norm=bn,none", "seeds=6", "name=third")
    assert asked(second) == [(3, 0), (5, 3)]
    assert asked(third) == [(3, 0), (5, 3), (6, 5)]


def test_one_common_variant_takes_over_no_look():
    first = command("norm=bn,none", "seeds=3")
    report(first)
    command("norm=bn,none", "seeds=4")
    second = command("norm=none,gn", "seeds=5", "name=second")
    assert asked(second) == [(5, 0)]


def test_fresh_seeds_of_another_name_begin_without_a_look():
    report(command("norm=bn,none", "seeds=3"))
    assert asked(command("norm=bn,none", "seeds=[10,11,12]", "name=fresh")) == [(3, 0)]


def test_a_report_of_several_sweeps_is_a_look_at_each():
    first = command("norm=bn,none", "seeds=3")
    second = command("norm=gn,ln", "seeds=3", "name=second")
    report(first, second)
    command("norm=gn,ln", "seeds=5", "name=second")
    assert asked(second) == [(3, 0), (5, 3)]


# --- several sweeps read as one


def together(*folders):
    return sweeps.read_many(folders[0].parent, [folder.name for folder in folders]).looks


def test_a_later_sweep_of_the_same_variants_adds_seeds_to_an_earlier_one():
    first = command("norm=bn,none,gn", "seeds=3")
    report(first)
    second = command("norm=bn,none", "seeds=[5,6]", "name=second")
    assert together(first, second) == [[], [0, 1, 2]]


def test_a_later_sweep_that_was_planned_before_the_report_adds_none():
    first = command("norm=bn,none,gn", "seeds=3")
    second = command("norm=bn,none", "seeds=[5,6]", "name=second")
    report(first)
    report(second)
    assert together(first, second) == [[], []]


# --- what is damaged, or of an earlier version


def test_a_plan_of_an_earlier_version_is_read_and_widened():
    folder = command("norm=bn,none", "seeds=3")
    path = folder / "plan.json"
    plan = json.loads(path.read_text())
    del plan["history"]
    path.write_text(json.dumps(plan))
    assert sweeps.read(folder).looks == []
    assert sweeps.read(folder).problems == []
    command("norm=bn,none", "seeds=3")
    assert asked(folder) == []
    report(folder)
    command("norm=bn,none", "seeds=5")
    assert asked(folder) == [(5, 3)]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shown": [1]}', '{"shown": {"x": 3}}', "\xff"])
def test_a_report_that_cannot_be_read_has_shown_nothing(text):
    folder = command("norm=bn,none", "seeds=3")
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / history.MADE).write_text(text, encoding="latin-1")
    assert history.showing(folder / "report", []) == {}
    command("norm=bn,none", "seeds=5")
    assert asked(folder) == [(3, 0), (5, 0)]


def test_what_a_report_has_shown_once_keeps_its_time(tmp_path):
    write_json(tmp_path / history.MADE, {"shown": {"2020": ["a", "b"]}})
    assert history.showing(tmp_path, ["b"]) == {"2020": ["a", "b"]}
    kept = history.showing(tmp_path, ["d", "b", "c"])
    assert list(kept.values()) == [["a", "b"], ["c", "d"]]
    assert history.seen_by([kept], "2021") == {"a", "b"}
    assert history.seen_by([kept]) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    "value",
    [
        3, [3], {"when": "2020"}, [{"when": "2020", "seeds": [0]}],
        [{"when": 2020, "seeds": [], "shown": []}], [{"when": "2020", "seeds": 3, "shown": []}],
        [{"when": "2020", "seeds": ["0"], "shown": []}],
        [{"when": "2020", "seeds": [], "shown": [True]}],
    ],
)  # fmt: skip
def test_a_history_of_a_wrong_type_makes_a_plan_of_no_use(value):
    folder = command("norm=bn,none")
    changed(folder / "plan.json", history=value)
    assert plan_file.read(folder / "plan.json") is None
    (problem,) = sweeps.read(folder).problems
    assert problem.path == "mine/plan.json"
