"""What a sweep finds on the disk: what it reuses, what it leaves alone and says so."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, command

from cnnlab.core.files import write_json
from cnnlab.planning import plan
from cnnlab.records import checkpoint, lookup, writer
from cnnlab.records.lookup import Found
from cnnlab.records.schema import SCHEMA_VERSION, Result, read_result

MINE = (*SMALL, "epochs=2", "name=mine")


def planned(*arguments):
    plan.forget()
    return plan.make((), (*MINE, *arguments))


def one(*arguments):
    (run,) = planned(*arguments).runs
    return run


def result_of(run, **changed):
    given = {
        "run_id": run.run_id, "name": "mine", "status": "done", "config": run.job.config.plain(),
        "choices": run.job.choices, "overrides": [], "data_fingerprint": run.fingerprint,
        "device": "cpu", "versions": {},
    }  # fmt: skip
    return asdict(Result(**{**given, **changed}))


def finish(run, directory=None, **changed):
    place = Path(directory or run.directory)
    place.mkdir(parents=True)
    write_json(place / "result.json", result_of(run, **changed))
    return place


def begin(run, epoch, directory=None, run_id=None):
    place = Path(directory or run.directory)
    place.mkdir(parents=True)
    kept = {"w": np.zeros(2, np.float32)}
    state = checkpoint.Checkpoint(
        run_id=run_id or run.run_id, made_with={}, epoch=epoch, tensors=kept
    )
    checkpoint.write(place, state)
    return place


def tree(folder):
    """Every file below a folder with its content, and every folder."""
    return {
        path: hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None
        for path in sorted(Path(folder).rglob("*"))
    }


# --- what is of no use


def truncated(run):
    path = finish(run) / "result.json"
    path.write_text(path.read_text()[:200])
    return "result.json: it is cut short, or is no JSON"


def nothing_in_it(run):
    (finish(run) / "result.json").write_bytes(b"")
    return "result.json: it is cut short, or is no JSON"


def a_list(run):
    (finish(run) / "result.json").write_text("[]")
    return "result.json: it is incomplete: it has no schema_version"


def of_the_next_version(run):
    finish(run, schema_version=SCHEMA_VERSION + 1)
    return (
        f"it is of schema version {SCHEMA_VERSION + 1}; this program reads version {SCHEMA_VERSION}"
    )


def of_an_old_version(run):
    """Its keys were others."""
    place = finish(run)
    (place / "result.json").write_text('{"schema_version": 0, "best": 0.5}')
    return "schema version 0"


def without_a_key(run):
    path = finish(run) / "result.json"
    told = json.loads(path.read_text())
    del told["best_epoch"]
    path.write_text(json.dumps(told))
    return "result.json: it is incomplete: it has no best_epoch"


USELESS = [truncated, nothing_in_it, a_list, of_the_next_version, of_an_old_version, without_a_key]


@pytest.mark.parametrize("spoil", USELESS, ids=lambda each: each.__name__)
def test_a_result_that_cannot_be_used_is_told_and_its_run_goes_elsewhere(spoil):
    run = one()
    reason = spoil(run)
    before = tree("outputs")
    made = planned()
    (again,) = made.runs
    assert again.state == "pending"
    assert made.pending == [again]
    assert again.directory == run.directory.with_name(f"{run.directory.name}-2")
    (note,) = made.notes
    assert note.startswith(f"{run.directory}: ")
    assert reason in note
    assert tree("outputs") == before


def test_a_directory_is_numbered_until_one_is_free():
    run = one()
    truncated(run)
    for number in (2, 3):
        shutil.copytree(run.directory, run.directory.with_name(f"{run.directory.name}-{number}"))
    made = planned()
    assert made.runs[0].directory.name == f"{run.directory.name}-4"
    assert len(made.notes) == 3


def test_a_record_in_a_numbered_directory_is_found():
    run = one()
    truncated(run)
    place = finish(run, f"{run.directory}-2")
    again = one()
    assert (again.state, again.directory) == ("done", place)


def strange_things(folder):
    """By what lies there, the reason that is told."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "figures").mkdir()
    (folder / "figures" / "one.png").write_bytes(b"\x89PNG")
    (folder / "old-0123abcd").mkdir()
    (folder / "old-0123abcd" / "result.json").write_text("{")
    (folder / "link").symlink_to(folder / "figures")
    return {
        "empty": "an empty folder", "notes.txt": "no record", "figures": "no record",
        "old-0123abcd": "result.json: it is cut short, or is no JSON", "link": "no record",
    }  # fmt: skip


def test_whatever_else_lies_in_a_sweeps_folder_is_told_with_its_path_and_reason():
    folder = one().directory.parent
    expected = strange_things(folder)
    before = tree("outputs")
    made = planned()
    assert set(made.notes) == {f"{folder / name}: {reason}" for name, reason in expected.items()}
    assert made.runs[0].state == "pending"
    assert tree("outputs") == before


def test_what_a_sweep_makes_itself_is_nothing_strange():
    made = planned("norm=bn,none")
    for run in made.runs:
        finish(run)
    made.write()
    for name in ("report", writer.ASIDE, ".hidden"):
        (made.folder / name).mkdir()
    (made.folder / "plan.unreadable.json").touch()
    assert planned("norm=bn,none").notes == ()


def test_runs_of_a_sweep_that_this_command_leaves_out_are_nothing_strange():
    """Finished, begun, or only planned."""
    wide = planned("norm=bn,none,gn,ln")
    finish(wide.runs[0])
    begin(wide.runs[1], 1)
    wide.write()
    assert planned("norm=ln").notes == ()


def test_records_of_another_sweep_in_its_folder_are_nothing_strange():
    """They may be of an earlier plan that is no more."""
    (other,) = planned("epochs=1").runs
    finish(other)
    assert planned("epochs=2").notes == ()


def test_a_folder_that_is_not_there_has_nothing_in_it():
    assert lookup.find(Path("no"), Path("no/mine"), {"a" * 32: {}}) == ({}, {})
    assert lookup.strangers(Path("no/mine"), []) == []


def test_a_real_run_says_what_it_leaves_alone_and_changes_none_of_it(tmp_path):
    run = one()
    of_the_next_version(run)
    folder = tmp_path / "outputs" / "mine"
    expected = strange_things(folder)
    before = tree(tmp_path)
    done = command("run", *MINE, cwd=tmp_path, environment={"COLUMNS": "300"})
    assert done.returncode == 0, done.stderr
    left = [line for line in done.stdout.splitlines() if line.startswith("Left alone: ")]
    assert len(left) == 5  # as many are printed
    assert "... and 1 more." in done.stdout
    assert (
        f"Left alone: outputs/mine/{run.directory.name}: result.json: it is of schema version"
        in left[0]
    )
    told = {name for name in expected if any(f"mine/{name}: " in line for line in left)}
    assert len(told) == 4
    after = tree(tmp_path)
    assert {path: after.get(path) for path in before} == before
    fresh = folder / f"{run.directory.name}-2"
    assert read_result(fresh)["status"] == "done"
    plan.forget()
    (again,) = plan.make((), MINE).runs
    assert (again.state, again.directory) == ("done", Path("outputs/mine") / fresh.name)


# --- what is of use


def test_a_finished_record_in_another_sweep_is_reused_and_its_sweep_is_told():
    wide = planned("norm=bn,none,gn")
    places = [finish(run) for run in wide.runs[:2]]
    made = planned("norm=bn,none,gn", "name=other")
    assert [run.directory for run in made.runs[:2]] == places
    assert [run.state for run in made.runs] == ["done", "done", "pending"]
    assert made.runs[2].directory.parent == Path("outputs/other")
    assert made.reused == {"mine": 2}
    assert wide.reused == {}


def test_force_counts_all_epochs_of_a_run_that_was_partly_trained():
    """Its checkpoint is set aside with the rest of its record."""
    begin(one(), 1)
    for arguments, left in (((), 1), (("force=true",), 2)):
        (run,) = planned(*arguments).pending
        assert run.epochs_left == left
    assert planned("force=true").runs[0].state == "partly trained"


def test_force_takes_nothing_from_another_sweep():
    finish(one())
    made = planned("name=other", "force=true")
    assert made.reused == {}
    assert made.runs[0].directory.parent == Path("outputs/other")
    assert len(made.pending) == 1


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_partly_trained_run_is_found_with_its_last_epoch(epoch):
    place = begin(one(), epoch)
    run = one()
    assert (run.directory, run.epoch, run.result) == (place, epoch, None)
    assert run.state == ("partly trained" if epoch else "pending")
    assert planned().pending == [run]


def test_a_partly_trained_run_of_another_sweep_is_continued_there():
    place = begin(one(), 1)
    made = planned("name=other")
    assert (made.runs[0].directory, made.runs[0].epoch) == (place, 1)
    assert made.reused == {}  # nothing is finished yet


@pytest.mark.parametrize("spoiled", [b"", b"\0" * 500, b"\x80\x04N.", b"no safetensors"])
def test_a_checkpoint_that_cannot_be_read_is_no_beginning(spoiled):
    place = begin(one(), 1)
    (place / checkpoint.NAME).write_bytes(spoiled)
    run = one()
    assert (run.directory, run.epoch, run.state) == (place, 0, "pending")


RANKS = [("done", 0), ("diverged", 0), ("partly", 1), ("failed", 2)]


@pytest.mark.parametrize(("better", "rank"), RANKS)
@pytest.mark.parametrize(("worse", "lower"), RANKS)
def test_finished_beats_partly_trained_beats_failed_wherever_they_lie(better, rank, worse, lower):
    """The sweep's own folder counts among equals."""
    run = one()
    places = {}
    for sweep, state in (("other", better), ("mine", worse)):
        place = Path("outputs") / sweep / run.directory.name
        if state == "partly":
            begin(run, 1, place)
        else:
            finish(run, place, status=state)
        places[sweep] = place
    again = one()
    assert again.directory == places["other" if rank < lower else "mine"]


def test_a_copy_of_a_sweeps_folder_uses_its_own_records():
    made = planned("norm=bn,none")
    for run in made.runs:
        finish(run)
    made.write()
    for name in ("a-copy", "z-copy"):
        shutil.copytree("outputs/mine", f"outputs/{name}")
    for name in ("mine", "a-copy", "z-copy"):
        copied = planned("norm=bn,none", f"name={name}")
        assert {run.directory.parent.name for run in copied.runs} == {name}
        assert [run.state for run in copied.runs] == ["done", "done"]
        assert copied.reused == {}
        assert copied.notes == ()


def test_two_copies_of_a_record_in_one_sweep_are_one_run():
    place = finish(one())
    shutil.copytree(place, place.with_name(f"copy-of-{place.name}"))
    made = planned()
    assert len(made.runs) == 1
    assert made.runs[0].state == "done"
    assert made.notes == ()


def test_a_record_that_was_renamed_is_told_of_but_not_used():
    """Only names that end in a run's id are looked into; `strangers` knows that it is a record."""
    place = finish(one())
    place.rename(place.with_name("my-best"))
    made = planned()
    assert made.runs[0].state == "pending"


# --- equal endings


@pytest.fixture
def twins():
    """Two run ids that begin alike, and so end their directories' names alike."""
    run = one()
    other = run.run_id[:8] + "f" * 24
    assert other != run.run_id
    return run, other


def test_a_record_of_another_run_whose_id_begins_alike_is_not_taken(twins):
    run, other = twins
    finish(run, run_id=other)
    made = planned()
    (again,) = made.runs
    assert again.state == "pending"
    assert again.directory == run.directory.with_name(f"{run.directory.name}-2")


def test_a_checkpoint_of_another_run_whose_id_begins_alike_is_not_taken(twins):
    run, other = twins
    begin(run, 1, run_id=other)
    again = one()
    assert (again.state, again.epoch) == ("pending", 0)


def test_an_unfinished_run_whose_id_begins_alike_keeps_its_directory(twins):
    """Else its checkpoint would be replaced."""
    run, other = twins
    place = begin(run, 1, run_id=other)
    assert one().directory != place


def test_runs_whose_ids_begin_alike_each_get_their_own(twins, tmp_path):
    run, other = twins
    places = [finish(run), finish(run, f"{run.directory}-2", run_id=other)]
    found, useless = lookup.find(Path("outputs"), Path("outputs/mine"), {run.run_id: {}, other: {}})
    assert {key: each.directory for key, each in found.items()} == {
        run.run_id: places[0], other: places[1],
    }  # fmt: skip
    assert useless == {}


def test_the_rank_of_a_record_is_that_of_how_much_is_done():
    states = [{"status": status} for status in ("done", "diverged", "failed")]
    assert [Found(Path(), state).rank for state in states] == [0, 0, 2]
    assert Found(Path(), None, 1).rank == 1


@pytest.mark.parametrize(
    ("name", "id8"),
    [
        ("norm-bn_seed-0-0123abcd", "0123abcd"), ("norm-bn_seed-0-0123abcd-2", "0123abcd"),
        ("seed-0-12345678", "12345678"), ("seed-0-12345678-13", "12345678"),
        ("0123abcd", "0123abcd"), ("x", "x"), ("", ""),
    ],
)  # fmt: skip
def test_the_part_of_a_name_that_is_a_runs_is_read_from_its_end(name, id8):
    assert lookup._id8(name) == id8
