"""One copy of the images for all workers: what goes in comes out, in every process."""

import gc
import multiprocessing
import os
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, config_of

from cnnlab.data.dataset import Data, Split
from cnnlab.data.loading import load
from cnnlab.data.sharing import share


def split_of(count, side=5, channels=3, first=0):
    random = np.random.default_rng(first)
    images = random.integers(0, 256, (count, side, side, channels), np.uint8)
    return Split(images, random.integers(0, 4, count).astype(np.int64))


def data_of(**changed):
    given = {
        "train": split_of(7), "val": split_of(3, first=1), "test": split_of(2, first=2),
        "classes": ("a", "b", "c", "d"), "fingerprint": "f",
    }  # fmt: skip
    given.update(changed)
    splits = [given.pop(name) for name in ("train", "val", "test")]
    return Data(*splits, **given)


def arrays(data):
    splits = {"train": data.train, "val": data.val, "test": data.test}
    return {
        f"{name}.{what}": getattr(split, what)
        for name, split in splits.items()
        if split is not None
        for what in ("images", "labels")
    }


def equal(one, other):
    mine, theirs = arrays(one), arrays(other)
    return (
        mine.keys() == theirs.keys()
        and all(np.array_equal(mine[key], theirs[key]) for key in mine)
        and all(mine[key].dtype == theirs[key].dtype for key in mine)
        and (one.classes, one.fingerprint) == (other.classes, other.fingerprint)
    )


def test_what_is_shared_comes_out_as_it_went_in():
    """Odd sizes, so that one array ends where no other may begin."""
    given = {"one": data_of(), "two": data_of(train=split_of(1, 1, 1), fingerprint="g")}
    with closing(share(given)) as shared:
        found = shared.open()
    assert list(found) == ["one", "two"]
    assert all(equal(found[key], given[key]) for key in given)


def test_a_dataset_may_lack_a_test_split():
    with closing(share({"one": data_of(test=None)})) as shared:
        found = shared.open()["one"]
    assert found.test is None
    assert len(found.train) == 7


def test_the_data_of_a_plan_can_be_shared():
    data = load(config_of(*SMALL).data)
    with closing(share({"synthetic": data})) as shared:
        assert equal(shared.open()["synthetic"], data)


def test_no_data_can_be_shared():
    with closing(share({})) as shared:
        assert shared.open() == {}


def test_arrays_that_are_not_contiguous_are_shared_by_their_values():
    split = split_of(8)
    turned = Split(split.images[::-2, :, ::-1], split.labels[::-2])
    with closing(share({"one": data_of(train=turned)})) as shared:
        assert np.array_equal(shared.open()["one"].train.images, turned.images)


def test_cuts_of_one_dataset_are_one_array_here_and_when_shared():
    """Ten cuts take the memory of one, and each is what it is by itself."""
    parts = [config_of(*SMALL, f"data.split_seed={seed}").data for seed in range(10)]
    cuts = {str(seed): load(part) for seed, part in enumerate(parts)}
    pools = {id(split.pool) for data in cuts.values() for split in (data.train, data.val)}
    assert len(pools) == 1
    assert len({data.fingerprint for data in cuts.values()}) == 10
    with closing(share(cuts)) as shared, closing(share({"0": cuts["0"]})) as one:
        sizes = [os.fstat(each._handle).st_size for each in (shared, one)]
        found = shared.open()
    images = cuts["0"].train.pool.nbytes
    assert sizes[0] - sizes[1] < images / 2  # their labels and rows; nine copies before
    assert all(equal(found[key], cuts[key]) for key in cuts)


def test_other_images_are_another_array():
    one, other = (load(config_of(*SMALL, f"data.seed={seed}").data) for seed in (0, 1))
    assert one.train.pool is not other.train.pool
    assert one.train.pool is one.val.pool


def test_changes_are_seen_by_nobody_else():
    with closing(share({"one": data_of()})) as shared:
        mine, theirs = shared.open()["one"], shared.open()["one"]
        before = theirs.train.images.copy()
        mine.train.images[:] = 7
        assert (mine.train.images == 7).all()
        assert np.array_equal(theirs.train.images, before)
        assert np.array_equal(shared.open()["one"].train.images, before)


def test_what_was_opened_stays_after_the_memory_is_given_back():
    given = data_of()
    shared = share({"one": given})
    found = shared.open()["one"]
    shared.close()
    gc.collect()
    assert equal(found, given)


def test_no_file_is_left_and_no_handle(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    places = [Path("/dev/shm"), tmp_path]
    before = [set(os.listdir(place)) for place in places if place.is_dir()]
    handles = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    shared = share({"one": data_of()})
    during = [set(os.listdir(place)) for place in places if place.is_dir()]
    shared.open()
    shared.close()
    gc.collect()
    assert [now - then for now, then in zip(during, before, strict=True)] == [set()] * len(before)
    if handles:
        assert len(os.listdir("/proc/self/fd")) == handles


def test_it_works_without_memory_files(monkeypatch, tmp_path):
    """As on a Mac."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    given = data_of()
    with closing(share({"one": given})) as shared:
        assert equal(shared.open()["one"], given)
        assert list(tmp_path.iterdir()) == []


def look(shared, connection):
    """What another process sees; it changes all of it afterwards."""
    found = shared.open()
    told = {
        key: {name: array.tobytes() for name, array in arrays(data).items()}
        for key, data in found.items()
    }
    for data in found.values():
        for array in arrays(data).values():
            array[:] = 99
    connection.send((told, [data.fingerprint for data in found.values()]))


@pytest.mark.parametrize("way", ["forkserver", "spawn"])
def test_another_process_sees_the_same_and_can_change_nothing_here(way):
    given = {"one": data_of(), "two": data_of(test=None, fingerprint="g")}
    context = multiprocessing.get_context(way)
    with closing(share(given)) as shared:
        here = shared.open()
        for _ in range(2 if way == "forkserver" else 1):
            ours, theirs = context.Pipe()
            process = context.Process(target=look, args=(shared, theirs))
            process.start()
            theirs.close()
            told, fingerprints = ours.recv()
            process.join(60)
            assert process.exitcode == 0
            assert fingerprints == ["f", "g"]
            for key, data in given.items():
                assert told[key] == {name: each.tobytes() for name, each in arrays(data).items()}
        assert all(equal(here[key], given[key]) for key in given)
        assert all(equal(shared.open()[key], given[key]) for key in given)
