"""What a stopped run keeps, and that nobody can see afterwards that it was stopped."""

import csv
import json
import pickle

import numpy as np
import pytest
from conftest import SMALL, config_of
from safetensors.numpy import load_file, save

from cnnlab.core import events
from cnnlab.data.loading import load
from cnnlab.records import checkpoint
from cnnlab.records.checkpoint import NAME, Checkpoint
from cnnlab.records.schema import FINISHED, METRICS, TIMING, Outcome, Result
from cnnlab.records.writer import open_record
from cnnlab.training.train import train

ID = "a" * 32


def checkpoint_of(**changed):
    row = dict.fromkeys(METRICS, 0.1 + 0.2)
    given = {
        "run_id": ID, "made_with": {"versions": {"torch": "2"}, "device": "cpu"}, "epoch": 2,
        "metrics": [row, {**row, "train_loss": 1e-300}],
        "timing": [{"epoch": 1, "seconds": 0.5, "memory_mb": None}] * 2,
        "outcome": {"best_epoch": 1, "error": None}, "seconds": 1.25,
        "tensors": {"weights/w": np.arange(6, dtype=np.float32).reshape(2, 3)},
    }  # fmt: skip
    return Checkpoint(**{**given, **changed})


# --- the file


def test_what_is_written_reads_back_to_the_last_bit(tmp_path):
    random = np.random.default_rng(0)
    tensors = {
        "optimizer/w/count": np.array(7), "scalar": np.array(1.5, np.float32),
        "double": random.normal(size=(2, 3)), "whole": np.arange(4), "empty": np.zeros((0, 3)),
        "single": random.normal(size=5).astype(np.float32), "flag": np.array([True, False]),
        "not a number": np.array([np.nan, np.inf, -0.0]), "best/\u00fc.weight": np.ones((1, 1, 1)),
    }  # fmt: skip
    given = checkpoint_of(tensors=tensors)
    checkpoint.write(tmp_path, given)
    found = checkpoint.read(tmp_path)
    assert found.tensors.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found.tensors[name].dtype == array.dtype
        assert found.tensors[name].shape == array.shape
        assert found.tensors[name].tobytes() == array.tobytes()
    assert {**vars(found), "tensors": 0} == {**vars(given), "tensors": 0}


def test_a_run_before_its_first_epoch_reads_back(tmp_path):
    given = Checkpoint(run_id=ID, made_with={})
    checkpoint.write(tmp_path, given)
    assert checkpoint.read(tmp_path) == given


def test_a_checkpoint_from_before_stacks_were_kept_reads_and_its_run_goes_on(tmp_path):
    """What it took by then counts as a share of the stack that it goes on in."""
    younger = {"own_seconds", "stack_size", "stack"}
    meta = {k: v for k, v in vars(checkpoint_of()).items() if k not in {*younger, "tensors"}}
    (tmp_path / NAME).write_bytes(with_metadata(json.dumps(meta)))
    record = open_record(tmp_path, ID)
    assert record.epoch == 2
    record.train_with([ID, "b" * 32])
    assert (record.stack_size, record.own_seconds) == (2, 1.25 / 2)


def test_one_can_look_without_reading_the_arrays(tmp_path):
    checkpoint.write(tmp_path, checkpoint_of())
    found = checkpoint.read(tmp_path, tensors=False)
    assert (found.run_id, found.epoch, found.tensors) == (ID, 2, {})


def test_writing_again_replaces_and_leaves_one_file(tmp_path):
    for epoch in (1, 2, 3):
        checkpoint.write(tmp_path, checkpoint_of(epoch=epoch))
    assert checkpoint.read(tmp_path).epoch == 3
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def whole(tmp_path):
    checkpoint.write(tmp_path, checkpoint_of())
    return (tmp_path / NAME).read_bytes()


def with_metadata(told):
    return save({"w": np.zeros(2)}, metadata={"cnnlab": told})


BROKEN = {
    "nothing": lambda _: b"",
    "half": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "the head only": lambda data: data[:8],
    "zeros": lambda data: b"\0" * len(data),
    "zeros at its end": lambda data: data[:40] + b"\0" * (len(data) - 40),
    "text": lambda _: b"not a checkpoint",
    "a pickle": lambda _: pickle.dumps({"run_id": ID}),
    "a huge header": lambda _: b"\xff" * 8 + b"{}",
    "json": lambda _: json.dumps({"run_id": ID}).encode(),
    "foreign weights": lambda _: save({"w": np.zeros(2)}),
    "metadata that is no json": lambda _: with_metadata("{"),
    "metadata that is a list": lambda _: with_metadata("[]"),
    "metadata that is null": lambda _: with_metadata("null"),
    "metadata without a key": lambda _: with_metadata('{"run_id": "a", "made_with": {}}'),
    "metadata with another key": lambda _: with_metadata('{"run_id": "a", "more": 1}'),
}


@pytest.mark.parametrize("tensors", [True, False])
@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_is_no_checkpoint_is_none_and_no_error(how, tensors, tmp_path):
    data = whole(tmp_path)
    (tmp_path / NAME).write_bytes(BROKEN[how](data))
    assert checkpoint.read(tmp_path, tensors=tensors) is None


def test_a_file_that_is_not_there_or_is_a_folder_is_none(tmp_path):
    assert checkpoint.read(tmp_path) is None
    assert checkpoint.read(tmp_path / "nowhere") is None
    (tmp_path / NAME).mkdir()
    assert checkpoint.read(tmp_path) is None


def test_nothing_is_unpickled(tmp_path):
    """A pickle that would leave a trace if anybody opened it."""

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    (tmp_path / NAME).write_bytes(pickle.dumps(Trap()))
    assert checkpoint.read(tmp_path) is None
    open_record(tmp_path, ID)
    assert not (tmp_path / "sprung").exists()


# --- a record that goes on from it

MADE_WITH = {"versions": {"torch": "2"}, "device": "cpu"}


def row_of(epoch):
    return {**dict.fromkeys(METRICS, epoch / 7), "epoch": epoch}


def begun(directory, epochs=2):
    """A record of some epochs, the first of which is the best."""
    made = open_record(directory, ID, MADE_WITH)
    for epoch in range(1, epochs + 1):
        if epoch == 1:
            made.outcome.best_val_accuracy, made.outcome.best_epoch = 0.5, 1
            made.best({"w": np.full(3, 1.0, np.float32)})
        made.add(row_of(epoch), {"epoch": epoch, "seconds": 0.1, "memory_mb": None}, {
            "weights/w": np.full(3, epoch, np.float32)
        })  # fmt: skip
    return made


def files_of(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def append(directory, name, text):
    with open(directory / name, "a", encoding="utf-8") as file:
        file.write(text)


def cut(directory, name, count):
    path = directory / name
    path.write_bytes(path.read_bytes()[:-count])


HARM = {
    "nothing": lambda d: None,
    "a torn last line": lambda d: cut(d, "metrics.csv", 9),
    "the start of a line": lambda d: append(d, "metrics.csv", "3,0.1"),
    "a whole row beyond it": lambda d: append(d, "metrics.csv", "3,0.1,0.1,0.1,0.1,0.1\n"),
    "a row that is missing": lambda d: (d / "metrics.csv").write_text(",".join(METRICS) + "\n"),
    "no tables": lambda d: [(d / name).unlink() for name in ("metrics.csv", "timing.csv")],
    "torn times": lambda d: append(d, "timing.csv", "3,"),
    "weights of a later epoch": lambda d: (d / "best.safetensors").write_bytes(
        save({"w": np.full(3, 9.0, np.float32)})
    ),
    "half of the weights": lambda d: cut(d, "best.safetensors", 5),
    "no weights": lambda d: (d / "best.safetensors").unlink(),
    "half-written files": lambda d: [
        (d / f".{name}.part-abcdefg{index}").write_text("half")
        for index, name in enumerate(("checkpoint", "metrics.csv", "result.json"))
    ],
}


@pytest.mark.parametrize("harm", HARM)
def test_whatever_a_kill_left_is_put_right_from_the_checkpoint(harm, tmp_path):
    begun(tmp_path)
    before = files_of(tmp_path)
    HARM[harm](tmp_path)
    again = open_record(tmp_path, ID, MADE_WITH)
    assert files_of(tmp_path) == before
    assert again.epoch == 2
    assert not again.discarded
    assert again.outcome.best_epoch == 1
    assert again.state["weights/w"].tolist() == [2, 2, 2]
    assert again.best_weights["w"].tolist() == [1, 1, 1]
    assert set(again.state) == {"weights/w"}


def test_a_continued_record_becomes_the_one_that_was_never_stopped(tmp_path):
    whole = begun(tmp_path / "whole", 3)
    begun(tmp_path / "part", 2)
    again = open_record(tmp_path / "part", ID, MADE_WITH)
    state = {"weights/w": np.full(3, 3, np.float32)}
    again.add(row_of(3), {"epoch": 3, "seconds": 0.1, "memory_mb": None}, state)
    for name in ("metrics.csv", "timing.csv", "best.safetensors"):
        assert (whole.directory / name).read_bytes() == (again.directory / name).read_bytes()
    assert (again.epoch, again.outcome) == (whole.epoch, whole.outcome)


def test_tables_read_back_as_the_numbers_that_were_put_in(tmp_path):
    begun(tmp_path)
    with open(tmp_path / "metrics.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert [{key: float(value) for key, value in row.items()} for row in found] == [
        row_of(1), row_of(2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "made_with",
    [{}, {**MADE_WITH, "device": "cuda"}, {**MADE_WITH, "versions": {"torch": "3"}}],
)
def test_what_was_made_with_something_else_begins_afresh(made_with, tmp_path):
    begun(tmp_path)
    again = open_record(tmp_path, ID, made_with)
    assert again.discarded
    assert (again.epoch, again.state, again.best_weights) == (0, {}, {})
    assert again.outcome == Outcome()
    assert set(files_of(tmp_path)) == {NAME}
    assert checkpoint.read(tmp_path).epoch == 0


def test_what_another_run_left_begins_afresh(tmp_path):
    begun(tmp_path)
    assert open_record(tmp_path, "b" * 32, MADE_WITH).epoch == 0


def test_whoever_does_not_ask_takes_it_whatever_it_was_made_with(tmp_path):
    """Who records a run that died."""
    begun(tmp_path)
    again = open_record(tmp_path, ID)
    assert again.epoch == 2
    assert again.device == "cpu"


def test_a_run_without_a_finished_epoch_discards_nothing(tmp_path):
    open_record(tmp_path, ID, MADE_WITH)
    assert not open_record(tmp_path, ID, {}).discarded


def result_of(**changed):
    given = {
        "run_id": ID, "name": "mine", "config": {}, "choices": {}, "overrides": [],
        "data_fingerprint": "", "device": "cpu", "versions": {},
    }  # fmt: skip
    return Result(**{**given, **changed})


@pytest.mark.parametrize("status", FINISHED)
def test_a_finished_record_is_refused_and_stays_as_it_is(status, tmp_path):
    begun(tmp_path).finish(result_of(status=status))
    before = files_of(tmp_path)
    with pytest.raises(FileExistsError, match="finished record"):
        open_record(tmp_path, ID, MADE_WITH)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 0}', "[]"])
def test_a_result_that_cannot_be_read_is_refused_and_stays_as_it_is(text, tmp_path):
    (tmp_path / "result.json").write_text(text)
    before = files_of(tmp_path)
    with pytest.raises(FileExistsError, match="not this run's"):
        open_record(tmp_path, ID, MADE_WITH)
    assert files_of(tmp_path) == before


def test_a_finished_run_has_no_checkpoint(tmp_path):
    begun(tmp_path).finish(result_of())
    assert set(files_of(tmp_path)) == {
        "result.json", "metrics.csv", "timing.csv", "best.safetensors",
    }  # fmt: skip


def test_a_run_that_died_keeps_its_checkpoint_and_goes_on_from_it(tmp_path):
    begun(tmp_path).finish(result_of(status="failed"), keep_checkpoint=True)
    assert checkpoint.read(tmp_path).epoch == 2
    again = open_record(tmp_path, ID, MADE_WITH)
    assert again.epoch == 2
    assert not (tmp_path / "result.json").exists()


def test_a_run_that_failed_begins_afresh(tmp_path):
    """Through a fault of its own: there is no checkpoint."""
    begun(tmp_path).finish(result_of(status="failed"))
    again = open_record(tmp_path, ID, MADE_WITH)
    assert again.epoch == 0
    assert set(files_of(tmp_path)) == {NAME}


def test_only_half_written_files_are_taken_away(tmp_path):
    kept = ["notes.part-1", ".hidden", "part-abcdefgh", ".x.part-abcdefghi", "run.log"]
    for name in [*kept, ".x.part-abcdefgh", ".result.json.part-a1_b2c3d"]:
        (tmp_path / name).write_text("")
    open_record(tmp_path, ID, MADE_WITH)
    assert set(files_of(tmp_path)) == {*kept, NAME}


# --- training that is stopped


class Stopper:
    """Asks for a stop after so many epochs."""

    alone = patient = True

    def __init__(self, epochs):
        self.epochs, self.seen = epochs, set()

    def hear(self, event):
        if "val_loss" in event:
            self.seen.add(event["epoch"])

    def stopping(self):
        return len(self.seen) >= self.epochs


EPOCHS = 3
PARTS = {
    "sgd": ("optimizer=sgd", "norm=none", "optimizer.nesterov=true"),
    "adamw, batch norm, crops and flips": (
        "optimizer=adamw", "lr.base=0.001", "norm=bn", "augment=crop_flip",
    ),
    "sgd, batch norm, cutout, silu, one cycle": (
        "optimizer=sgd", "norm=bn", "augment=crop_flip_cutout", "augment.cutout.size=4",
        "activation=silu", "lr=onecycle",
    ),
    "sgd, a learned activation": ("activation=silu", "activation.learned=true"),
    "adamw, a learned activation": (
        "activation=silu", "activation.learned=true", "optimizer=adamw", "lr.base=0.01",
    ),
}  # fmt: skip
SLOTS = {1: [()], 2: [("seed=0", "lr.base=0.02"), ("seed=1", "optimizer.weight_decay=0.01")]}


def trained(place, configs, stop_after, monkeypatch):
    """Trains, stopped after some epochs if any are named; gives whether it was."""
    records = [open_record(place / str(slot), ID, MADE_WITH) for slot in range(len(configs))]
    listener = events.Nobody() if stop_after is None else Stopper(stop_after)
    monkeypatch.setattr(events, "listener", listener)
    try:
        train(configs, load(configs[0].data), records)
    except events.Stopped:
        return None
    return records


def left(place, slot):
    found = files_of(place / str(slot))
    return found["metrics.csv"], found["best.safetensors"]


@pytest.mark.parametrize("count", SLOTS, ids=["alone", "in a stack of two"])
@pytest.mark.parametrize("parts", PARTS)
def test_training_that_was_stopped_after_any_epoch_ends_as_if_it_never_was(
    parts, count, tmp_path, monkeypatch
):
    configs = [config_of(*SMALL, f"epochs={EPOCHS}", *PARTS[parts], *slot) for slot in SLOTS[count]]
    whole = trained(tmp_path / "whole", configs, None, monkeypatch)
    for stop in range(EPOCHS):
        place = tmp_path / str(stop)
        assert trained(place, configs, stop, monkeypatch) is None
        for slot in range(count):
            assert (checkpoint.read(place / str(slot)).epoch) == stop
        again = trained(place, configs, None, monkeypatch)
        for slot in range(count):
            assert left(place, slot) == left(tmp_path / "whole", slot)
            assert again[slot].outcome == whole[slot].outcome
            mine, theirs = again[slot]._checkpoint.tensors, whole[slot]._checkpoint.tensors
            assert mine.keys() == theirs.keys()
            assert all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)


def test_training_may_be_stopped_after_each_epoch(tmp_path, monkeypatch):
    config = config_of(*SMALL, f"epochs={EPOCHS}", *PARTS["adamw, batch norm, crops and flips"])
    trained(tmp_path / "whole", [config], None, monkeypatch)
    for _ in range(EPOCHS - 1):
        assert trained(tmp_path / "part", [config], 1, monkeypatch) is None
    assert trained(tmp_path / "part", [config], 1, monkeypatch) is not None
    assert left(tmp_path / "part", 0) == left(tmp_path / "whole", 0)


def test_best_weights_of_an_epoch_before_the_stop_are_kept(tmp_path, monkeypatch):
    """A learning rate that ruins what was learned: the first epoch stays the best."""
    config = config_of(
        *SMALL, "epochs=3", "lr=onecycle", "lr.base=0.5", "lr.rise=0.9", "lr.start_divisor=100"
    )
    trained(tmp_path / "whole", [config], None, monkeypatch)
    trained(tmp_path / "part", [config], 2, monkeypatch)
    weights = load_file(tmp_path / "part" / "0" / "best.safetensors")
    (again,) = trained(tmp_path / "part", [config], None, monkeypatch)
    assert left(tmp_path / "part", 0) == left(tmp_path / "whole", 0)
    assert again.outcome.best_epoch <= 2
    found = load_file(tmp_path / "part" / "0" / "best.safetensors")
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_a_stopped_run_has_said_how_far_it_is(tmp_path, monkeypatch):
    config = config_of(*SMALL, "epochs=3")
    assert trained(tmp_path, [config], 2, monkeypatch) is None
    assert files_of(tmp_path / "0").keys() == {
        NAME, "metrics.csv", "timing.csv", "best.safetensors",
    }  # fmt: skip
    kept = checkpoint.read(tmp_path / "0")
    assert (kept.epoch, len(kept.metrics), len(kept.timing)) == (2, 2, 2)
    assert kept.seconds > 0
    assert [row.keys() for row in kept.timing] == [set(TIMING)] * 2
