"""Each dataset gives checked uint8 arrays, split and fingerprinted; batches of them are paired."""

import functools
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL, command, config_of, injected, python_path
from PIL import Image
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from cnnlab.core.errors import Refused
from cnnlab.data import batches
from cnnlab.data.dataset import Data, Split, cut, finish
from cnnlab.data.image_files import SUFFIXES, listed
from cnnlab.data.sharing import share
from cnnlab.parts.augment.crop import crop
from cnnlab.parts.augment.flip import flip
from cnnlab.parts.data.digits import digits
from cnnlab.parts.data.folder import folder
from cnnlab.parts.data.npz import npz
from cnnlab.parts.data.synthetic import synthetic

CPU = torch.device("cpu")


def images_of(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def labels_of(count: int, classes: int = 2) -> np.ndarray:
    return np.arange(count) % classes


def numbered(count: int) -> np.ndarray:
    """(count, 1, 1, 3): one pixel an image, which spells the image's number in three bytes."""
    bytes_ = np.arange(count)[:, None] >> np.array([16, 8, 0]) & 255
    return bytes_.astype(np.uint8)[:, None, None, :]


def numbers_in(split: Split) -> np.ndarray:
    return split.images[:, 0, 0].astype(int) @ [65536, 256, 1]


# --- digits


@functools.cache
def the_digits(size: int = 8, split_seed: int = 0) -> Data:
    return digits(size=size, validation=0.3, split_seed=split_seed)


def splits_of(data: Data) -> list[Split]:
    return [data.train, data.val, data.test]


def test_digits_has_1797_images_each_in_one_split():
    data = the_digits()
    # 20% of 1,797 is 359.4 and 30% of the rest is 431.1; scikit-learn rounds up
    assert [len(split) for split in splits_of(data)] == [1005, 432, 360]
    pixels = np.concatenate([split.images.reshape(len(split), -1) for split in splits_of(data)])
    assert len(np.unique(pixels, axis=0)) == 1797
    assert data.shape == (3, 8, 8)
    assert data.classes == tuple("0123456789")


def test_digits_of_size_8_are_those_of_scikit_learn_times_255_over_16():
    bunch = load_digits()
    real = sorted(zip(bunch.target.tolist(), bunch.data.astype(int).tolist(), strict=True))
    ours = []
    for split in splits_of(the_digits()):
        grey = split.images[..., 0].reshape(len(split), 64)
        assert np.all(np.abs(grey - np.rint(grey / 255 * 16) * 255 / 16) <= 0.5)
        found = np.rint(grey / 255 * 16).astype(int).tolist()
        ours += zip(split.labels.tolist(), found, strict=True)
    assert sorted(ours) == real


def test_larger_digits_are_resized_as_pytorch_does():
    for small, large in zip(splits_of(the_digits(8)), splits_of(the_digits(32)), strict=True):
        grey = torch.from_numpy(small.images).permute(0, 3, 1, 2).float()
        expected = F.interpolate(grey, (32, 32), mode="bilinear").permute(0, 2, 3, 1).numpy()
        assert np.abs(large.images - expected).max() < 1.01  # Pillow rounds twice
        assert np.array_equal(small.labels, large.labels)


def test_digits_have_equal_channels_from_0_to_255():
    for split in splits_of(the_digits(32)):
        assert split.images.dtype == np.uint8
        assert np.ptp(split.images, axis=3).max() == 0
        assert (split.images.min(), split.images.max()) == (0, 255)


def test_each_split_of_digits_has_its_share_of_each_class():
    data = the_digits()
    totals = np.bincount(load_digits().target)
    for split in splits_of(data):
        counts = np.bincount(split.labels, minlength=10)
        assert np.all(np.abs(counts - totals * len(split) / 1797) <= 1)


def test_the_split_seed_changes_validation_but_never_the_test_split_of_digits():
    one, other = the_digits(), the_digits(split_seed=1)
    assert np.array_equal(one.test.images, other.test.images)
    assert np.array_equal(one.test.labels, other.test.labels)
    assert not np.array_equal(one.val.images, other.val.images)
    assert one.fingerprint != other.fingerprint


# --- the cut


@functools.cache
def cut_of_50000(seed: int) -> tuple[Split, Split]:
    labels = np.random.default_rng(0).permutation(np.arange(50_000) % 10)
    return cut(Split(numbered(50_000), labels), 0.1, seed, "data=test")


def test_a_tenth_of_cifar_10_is_5000_images_with_500_of_each_class():
    train, val = cut_of_50000(0)
    assert (len(train), len(val)) == (45_000, 5_000)
    assert np.bincount(val.labels).tolist() == [500] * 10
    assert np.bincount(train.labels).tolist() == [4_500] * 10


def test_a_cut_keeps_every_image_with_its_label_in_the_old_order():
    labels = np.random.default_rng(0).permutation(np.arange(50_000) % 10)
    numbers = [numbers_in(split) for split in cut_of_50000(0)]
    assert all(np.all(np.diff(each) > 0) for each in numbers)
    assert np.array_equal(np.sort(np.concatenate(numbers)), np.arange(50_000))
    for split, each in zip(cut_of_50000(0), numbers, strict=True):
        assert np.array_equal(split.labels, labels[each])


def test_the_same_split_seed_cuts_the_same_and_another_does_not():
    np.random.seed(7)
    again = cut_of_50000.__wrapped__(0)
    assert np.array_equal(numbers_in(again[1]), numbers_in(cut_of_50000(0)[1]))
    shared = np.intersect1d(numbers_in(cut_of_50000(0)[1]), numbers_in(cut_of_50000(1)[1]))
    assert 400 < len(shared) < 600  # 500 +- 20, as two independent tenths share


def test_a_class_of_one_image_cannot_be_cut():
    with pytest.raises(Refused, match=r"data=test: cannot cut a stratified share of 0.5: .* 1"):
        cut(Split(numbered(5), np.array([0, 0, 0, 0, 1])), 0.5, 0, "data=test")


# --- the fingerprint


def finished(images: np.ndarray, labels: np.ndarray, split_seed: int = 0, **splits) -> Data:
    given = {"val": None, "test": None, "classes": None, **splits}
    return finish("data=test", (images, labels), **given, validation=0.25, split_seed=split_seed)


def test_equal_arrays_have_equal_fingerprints_wherever_they_lie(tmp_path):
    images, labels = images_of(40, 4, 4), labels_of(40)
    prints = {finished(images, labels).fingerprint}
    for place in ("here", "there/deep"):
        (tmp_path / place).mkdir(parents=True)
        file = tmp_path / place / "data.npz"
        for save in (np.savez, np.savez_compressed):
            save(file, train_images=images, train_labels=labels)
            prints.add(npz(path=str(file), validation=0.25, split_seed=0).fingerprint)
    assert len(prints) == 1


def test_shape_and_type_of_the_labels_do_not_change_the_fingerprint():
    images, labels = images_of(40, 4, 4), labels_of(40)
    prints = {
        finished(pixels, given).fingerprint
        for pixels in (images, images[..., None], np.asfortranarray(images))
        for given in (labels, labels[:, None], labels.astype(np.uint8), labels.astype(">i4"))
    }
    assert len(prints) == 1


def test_anything_that_differs_gives_another_fingerprint():
    images, labels = images_of(40, 4, 4), labels_of(40)
    pair = (images[:8], labels[:8])
    pixel, label = images.copy(), labels.copy()
    pixel[17, 2, 3] ^= 1
    label[17] ^= 1
    swapped = np.r_[2, 1, 0, 3:40]  # two images of class 0
    other = (images[:8], label[10:18])
    variants = [
        finished(images, labels),
        finished(pixel, labels),
        finished(images, label),
        finished(images, labels, split_seed=1),
        finished(images[swapped], labels[swapped]),
        finished(images.reshape(40, 2, 8), labels),
        finished(images, labels, test=pair),
        finished(images, labels, val=pair),
        finished(images, label, val=pair),  # no cut, which depends on the labels
        finished(images, labels, val=other),
        finished(images, labels, val=pair, test=pair),
    ]
    assert len({data.fingerprint for data in variants}) == len(variants)


# --- images in two splits at once


def noted(**arrays) -> str:
    images, labels = images_of(40, 4, 4), labels_of(40)
    data = finished(arrays.pop("images", images), labels, **arrays)
    (note,) = data.notes
    return note.removeprefix("data=test: ").removesuffix(
        ": validation accuracy takes them for new."
    )


def test_validation_images_that_are_training_images_too_are_counted():
    images, val = images_of(40, 4, 4), images_of(9, 4, 4, seed=1)
    assert finished(images, labels_of(40), val=(val, labels_of(9))).notes == ()
    val[3], val[7] = images[21], images[5]
    assert noted(val=(val, labels_of(9))) == (
        "2 of 9 validation images are training images too, pixel for pixel, e.g. train image 21 "
        "and val image 3"
    )


def test_equal_images_that_the_cut_parts_are_named_as_they_were_given():
    images = images_of(40, 4, 4)
    rest, taken = cut(Split(np.arange(40), labels_of(40)), 0.25, 0, "data=test")
    one, other = sorted([rest.images[4], taken.images[2]])
    images[one] = images[other]
    assert noted(images=images) == (
        "1 of 10 validation images are training images too, pixel for pixel, e.g. train image "
        f"{one} and train image {other}"
    )
    images = images_of(40, 4, 4)
    images[rest.images[4]] = images[rest.images[5]]  # on one side
    assert finished(images, labels_of(40)).notes == ()


def test_a_note_changes_no_fingerprint_and_stays_with_shared_images():
    images = np.zeros((40, 4, 4), np.uint8)
    data = finished(images, labels_of(40))
    assert data.fingerprint == "48120df88b2ca816a3f52d06e34a9d52"  # before notes were
    with closing(share({"one": data})) as shared:
        assert shared.open()["one"].notes == data.notes != ()


@pytest.mark.slow
def test_a_command_says_it_once_and_each_run_keeps_it_in_its_log(tmp_path):
    typed = ("-m", "norm=bn,none", *SMALL, "data.noise=0.0", "epochs=1", "hydra.launcher.workers=1")
    done = command("run", *typed, cwd=tmp_path, environment={"COLUMNS": "300"})
    assert done.returncode == 0, done.stderr
    told = "data=synthetic: 8 of 8 validation images are training images too"
    assert done.stdout.count(told) == 1
    logs = [path.read_text() for path in tmp_path.glob("outputs/*/*/run.log")]
    assert [log.count(told) for log in logs] == [1, 1]


# --- images that change

SWAP = """
import os, joblib
launch = joblib.Parallel.__call__
def swapped(*given):
    if os.path.exists("other.npz"):
        os.replace("other.npz", "mine.npz")
    return launch(*given)
joblib.Parallel.__call__ = swapped
"""


@pytest.mark.slow
def test_images_that_change_between_plan_and_training_are_not_trained_on(tmp_path):
    """Under a launcher whose processes read them again."""
    for seed, name in enumerate(["mine", "other"]):
        images = images_of(40, 12, 12, seed=seed)
        np.savez(tmp_path / f"{name}.npz", train_images=images, train_labels=labels_of(40))
    typed = ("data=npz", "data.path=mine.npz", "epochs=1", "hydra/launcher=joblib", "name=changing")
    done = command("run", *typed, cwd=tmp_path, environment=injected(tmp_path, SWAP))
    assert done.returncode == 1
    assert "data.path=mine.npz: its images have changed since the plan." in done.stdout
    assert list(tmp_path.glob("outputs/*/*/result.json")) == []
    again = command("run", *typed, cwd=tmp_path)
    assert again.returncode == 0, again.stderr


# --- npz


def saved(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path / "mine.npz", **arrays)
    return str(path / "mine.npz")


def loaded(path: str) -> Data:
    return npz(path=path, validation=0.25, split_seed=0)


GOOD = {"train_images": images_of(20, 4, 5), "train_labels": labels_of(20)}


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
@pytest.mark.parametrize("labels_shape", [(-1,), (-1, 1)])
def test_npz_reads_the_layout_of_medmnist(tmp_path, shape, labels_shape):
    arrays = {}
    for seed, (name, count) in enumerate([("train", 20), ("val", 6), ("test", 7)]):
        arrays[f"{name}_images"] = images_of(count, *shape, seed=seed)
        arrays[f"{name}_labels"] = labels_of(count).astype(np.uint8).reshape(labels_shape)
    data = loaded(saved(tmp_path, **arrays))
    for name, split in [("train", data.train), ("val", data.val), ("test", data.test)]:
        assert np.array_equal(split.images.reshape(-1, *shape), arrays[f"{name}_images"])
        assert np.array_equal(split.labels, arrays[f"{name}_labels"].ravel())
        assert (split.images.ndim, split.labels.dtype) == (4, np.int64)
    assert data.shape == (3 if len(shape) == 3 and shape[2] == 3 else 1, 4, 5)
    assert data.classes == ("0", "1")


def test_npz_cuts_a_validation_split_where_there_is_none(tmp_path):
    data = loaded(saved(tmp_path, train_images=numbered(20), train_labels=labels_of(20)))
    assert (len(data.train), len(data.val), data.test) == (15, 5, None)
    numbers = np.concatenate([numbers_in(data.train), numbers_in(data.val)])
    assert sorted(numbers) == list(range(20))


def test_npz_may_name_its_classes(tmp_path):
    assert loaded(saved(tmp_path, **GOOD, classes=["cat", "dog"])).classes == ("cat", "dog")
    assert loaded(saved(tmp_path, **GOOD, classes=[2019, 2020])).classes == ("2019", "2020")


def test_npz_ignores_arrays_of_other_names_even_objects(tmp_path):
    extra = np.array([{"made": "by hand"}], dtype=object)
    assert loaded(saved(tmp_path, **GOOD, notes=extra)).shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": labels_of(19)}, "train has 20 images but 19 labels"),
        ({"train_images": GOOD["train_images"] / 255}, "images are float64; they must be uint8"),
        ({"train_images": images_of(20, 20)}, r"images have shape \(20, 20\)"),
        ({"train_images": images_of(20, 4, 5, 4)}, r"images have shape \(20, 4, 5, 4\)"),
        ({"train_images": images_of(20, 3, 4, 5)}, r"images have shape \(20, 3, 4, 5\)"),
        ({"train_images": images_of(20, 4, 5, 3, 1)}, r"images have shape \(20, 4, 5, 3, 1\)"),
        ({"train_images": images_of(20, 0, 5)}, r"images have shape \(20, 0, 5\)"),
        ({"train_images": np.uint8(3)}, r"images have shape \(\)"),
        ({"train_labels": labels_of(20) - 1}, "labels reach -1; they must be integers from 0"),
        ({"train_labels": labels_of(20) / 2}, "labels are float64; they must be integers"),
        ({"train_labels": labels_of(20) == 1}, "labels are bool; they must be integers"),
        ({"train_labels": np.array(["a", "b"] * 10)}, "labels are <U1; they must be integers"),
        ({"train_labels": np.eye(20, 14, dtype=int)}, r"labels have shape \(20, 14\); one an"),
        ({"train_labels": np.int64(1)}, r"labels have shape \(\); one an image"),
        ({"train_labels": np.ones(20, int)}, "all training labels are 1; at least two classes"),
        (
            {"train_images": images_of(0, 4, 5), "train_labels": labels_of(0)},
            "train has no images",
        ),
        (
            {"val_images": images_of(3, 4, 5), "val_labels": np.array([0, 1, 5])},
            r"val has classes without training images: \[5\]",
        ),
        (
            {"test_images": images_of(4, 6, 5), "test_labels": labels_of(4)},
            r"differ in \(H, W, C\): .*'train': \(4, 5, 1\), 'test': \(6, 5, 1\)",
        ),
        (
            {"val_images": images_of(4, 4, 5, 3), "val_labels": labels_of(4)},
            r"differ in \(H, W, C\): .*'val': \(4, 5, 3\)",
        ),
        ({"val_images": images_of(3, 4, 5)}, "no val_labels; it holds train_images, "),
        ({"test_labels": labels_of(3)}, "no test_images; it holds train_images, "),
        ({"classes": np.array(["cat"])}, "train labels reach 1, with 1 classes"),
        ({"classes": np.array("cat")}, r"classes is <U3 of shape \(\)"),
        ({"classes": np.array([["cat"], ["dog"]])}, r"classes is <U3 of shape \(2, 1\)"),
    ],
)
def test_npz_refuses_arrays_that_cannot_be_used(tmp_path, change, message):
    path = saved(tmp_path, **{**GOOD, **change})
    with pytest.raises(Refused, match=message) as refused:
        loaded(path)
    assert all(fault.startswith(path) for fault in refused.value.faults)
    assert len(refused.value.faults) == 1


def test_npz_tells_all_faults_at_once(tmp_path):
    path = saved(
        tmp_path,
        train_images=images_of(20, 4, 5, 4) / 255,
        train_labels=labels_of(19) - 1.5,
        val_images=images_of(0, 4, 5),
        val_labels=labels_of(0),
        test_images=images_of(3, 4, 5),
        test_labels=np.array([-1, 0, 1]),
    )
    with pytest.raises(Refused) as refused:
        loaded(path)
    found = [fault.removeprefix(f"{path}: ") for fault in refused.value.faults]
    begins = [
        "train images are float64", "train images have shape", "train labels are float64",
        "train has 20 images but 19 labels", "val has no images", "test labels reach -1",
    ]  # fmt: skip
    assert [fault[: len(begin)] for fault, begin in zip(found, begins, strict=True)] == begins


def test_npz_without_training_arrays_says_what_it_holds(tmp_path):
    with pytest.raises(Refused, match="no train_images and no train_labels; it holds x, y"):
        loaded(saved(tmp_path, x=images_of(2, 2), y=labels_of(2)))


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def archive(path: Path, save=np.savez) -> bytes:
    save(path, **GOOD)
    return path.read_bytes()


def bare_array(path: Path) -> bytes:
    np.save(path, GOOD["train_images"])
    return path.read_bytes()


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def of_another_method(content: bytes) -> bytes:
    """The number of the compression is 10 bytes behind the start of a file's entry at the end."""
    return flipped(content, content.index(b"PK\x01\x02") + 10)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: b"label,pixel\n1,0\n", "not a zip file"),
        (lambda path: b"", "not a zip file"),
        (lambda path: bare_array(path.with_suffix(".npy")), "not a zip file"),
        (lambda path: archive(path)[:-300], "not a zip file"),
        (lambda path: flipped(archive(path), 300), "Bad CRC-32"),
        (lambda path: pickle.dumps(GOOD), "not a zip file"),
        (lambda path: of_another_method(archive(path)), "compression method"),
    ],
    ids=["text", "empty", "npy", "truncated", "flipped", "pickle", "method"],
)
def test_what_is_no_npz_is_refused(tmp_path, make, reason):
    path = written(tmp_path / "mine.npz", make(tmp_path / "other.npz"))
    with pytest.raises(Refused, match=rf"no readable \.npz file: .*{reason}"):
        loaded(path)


def test_no_flipped_byte_of_an_npz_ends_in_another_error_or_other_images(tmp_path):
    whole = archive(tmp_path / "other.npz", np.savez_compressed)
    expected = loaded(written(tmp_path / "mine.npz", whole)).fingerprint
    refusals = 0
    for place in range(0, len(whole), 5):
        path = written(tmp_path / "mine.npz", flipped(whole, place))
        try:
            assert loaded(path).fingerprint == expected  # a date, say
        except Refused:
            refusals += 1
    assert refusals > len(whole) / 10


def test_a_zip_with_a_text_in_the_place_of_an_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as file:
        file.writestr("train_images", "none")
        file.writestr("train_labels", "none")
    with pytest.raises(Refused, match="train_images cannot be read: it is no array") as refused:
        loaded(str(tmp_path / "mine.npz"))
    assert len(refused.value.faults) == 2


class Payload:
    """What an attacker would put into a file: unpickling it creates `marker`."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("array", ["train_images", "train_labels", "classes"])
def test_objects_in_an_npz_are_refused_and_never_unpickled(tmp_path, array):
    marker = tmp_path / "unpickled"
    objects = np.array([Payload(marker)] * 20, dtype=object)
    pickle.loads(pickle.dumps(objects))
    assert marker.exists()  # the payload works
    marker.unlink()
    path = saved(tmp_path, **{**GOOD, array: objects})
    with pytest.raises(Refused, match=f"{array} cannot be read: it holds Python objects"):
        loaded(path)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_pickle_named_as_an_array_is_never_unpickled(tmp_path, suffix):
    path = written(tmp_path / f"mine{suffix}", pickle.dumps(Payload(tmp_path / "unpickled")))
    with pytest.raises(Refused, match=r"no readable \.npz file"):
        loaded(path)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(("option", "kind"), [("npz", "file"), ("folder", "folder")])
def test_a_missing_path_is_refused_before_anything_is_read(tmp_path, option, kind):
    missing = tmp_path / "nothing"
    with pytest.raises(Refused) as refused:
        config_of(f"data={option}", f"data.path={missing}")
    assert refused.value.faults == [f"data.path={missing}: no such {kind}."]


# --- folder


def image_files(top: Path, count: int = 4, seed: int = 0) -> Path:
    """Two classes of images of several sizes, modes and formats."""
    random = np.random.default_rng(seed)
    kinds = [("L", "png"), ("RGB", "jpg"), ("RGBA", "png"), ("P", "png"), ("RGB", "bmp")]
    for name in ("cat", "dog"):
        (top / name).mkdir(parents=True)
        for number in range(count):
            mode, suffix = kinds[number % len(kinds)]
            size = (*random.integers(3, 12, 2), 4)
            pixels = Image.fromarray(random.integers(0, 256, size, dtype=np.uint8))
            opaque = pixels if mode == "RGBA" else pixels.convert("RGB")
            opaque.convert(mode).save(top / name / f"{number}.{suffix}")
    return top


def from_folder(path: Path, root: Path, **settings) -> Data:
    given = {"size": 6, "validation": 0.5, "split_seed": 0, **settings}
    return folder(path=str(path), root=str(root), **given)


def as_torchvision_reads(path: Path, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    listed = ImageFolder(str(path))
    resized = [image.resize((size, size), Image.Resampling.BILINEAR) for image, _ in listed]
    return np.stack([np.asarray(image) for image in resized]), np.array(listed.targets)


def keys_in(*splits: Split) -> list[tuple[int, bytes]]:
    return sorted(
        (int(label), image.tobytes())
        for split in splits
        for image, label in zip(split.images, split.labels, strict=True)
    )


def test_a_flat_folder_gives_the_images_that_torchvision_reads(tmp_path):
    images, labels = as_torchvision_reads(image_files(tmp_path / "mine", 10))
    data = from_folder(tmp_path / "mine", tmp_path / "kept")
    assert data.classes == ("cat", "dog")
    assert data.test is None
    assert keys_in(data.train, data.val) == keys_in(Split(images, labels))
    assert np.bincount(data.train.labels).tolist() == np.bincount(data.val.labels).tolist()


def test_a_folder_with_splits_gives_each_as_torchvision_reads_it(tmp_path):
    for seed, (name, count) in enumerate([("train", 6), ("val", 5), ("test", 4)]):
        image_files(tmp_path / "mine" / name, count, seed)
    data = from_folder(tmp_path / "mine", tmp_path / "kept")
    for name, split in [("train", data.train), ("val", data.val), ("test", data.test)]:
        images, labels = as_torchvision_reads(tmp_path / "mine" / name)
        assert np.array_equal(split.images, images)
        assert np.array_equal(split.labels, labels)


def test_a_folder_without_val_is_cut_and_its_test_left_alone(tmp_path):
    for name in ("train", "test"):
        image_files(tmp_path / "mine" / name, 6)
    data = from_folder(tmp_path / "mine", tmp_path / "kept")
    assert [len(split) for split in splits_of(data)] == [6, 6, 12]


def test_a_second_load_decodes_nothing(tmp_path, monkeypatch):
    image_files(tmp_path / "mine")
    first = from_folder(tmp_path / "mine", tmp_path / "kept")

    def fail(*_, **__):
        raise AssertionError("decoded again")

    monkeypatch.setattr("PIL.Image.open", fail)
    again = from_folder(tmp_path / "mine", tmp_path / "kept")
    assert (again.fingerprint, again.classes) == (first.fingerprint, first.classes)
    with pytest.raises(AssertionError, match="decoded again"):
        from_folder(tmp_path / "mine", tmp_path / "elsewhere")


def test_a_changed_added_or_removed_file_is_noticed(tmp_path):
    top = image_files(tmp_path / "mine", 5)
    prints = [from_folder(top, tmp_path / "kept").fingerprint]
    file = top / "cat" / "4.bmp"
    before = file.stat()
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    prints.append(from_folder(top, tmp_path / "kept").fingerprint)
    Image.fromarray(images_of(5, 5, seed=1)).save(top / "dog" / "new.png")
    prints.append(from_folder(top, tmp_path / "kept").fingerprint)
    (top / "dog" / "1.jpg").unlink()
    prints.append(from_folder(top, tmp_path / "kept").fingerprint)
    assert len(set(prints)) == 4
    images, labels = as_torchvision_reads(top)
    data = from_folder(top, tmp_path / "kept")
    assert keys_in(data.train, data.val) == keys_in(Split(images, labels))


def test_another_file_of_the_same_size_and_time_is_noticed(tmp_path):
    top = image_files(tmp_path / "mine", 5)
    first = from_folder(top, tmp_path / "kept").fingerprint
    file = top / "cat" / "4.bmp"
    before = file.stat()
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as `cp -p` and `rsync -t` do
    assert file.stat().st_size == before.st_size
    assert from_folder(top, tmp_path / "kept").fingerprint != first


def test_another_size_is_kept_apart(tmp_path):
    image_files(tmp_path / "mine")
    shapes = [from_folder(tmp_path / "mine", tmp_path / "kept", size=n).shape for n in (6, 9, 6)]
    assert shapes == [(3, 6, 6), (3, 9, 9), (3, 6, 6)]


def entries(place: Path) -> list[str]:
    return [str(found.relative_to(place)) for found in place.rglob("*")]


def test_broken_images_are_all_named_and_nothing_is_kept(tmp_path):
    top = image_files(tmp_path / "mine", 5)
    file = top / "cat" / "0.png"
    file.write_bytes(file.read_bytes()[:-40])
    (top / "cat" / "notes.png").write_text("no image")
    with pytest.raises(Refused) as refused:
        from_folder(top, tmp_path / "kept")
    names = [fault.partition(": no readable image")[0] for fault in refused.value.faults]
    assert names == [str(top / name) for name in ("cat/0.png", "cat/notes.png")]
    assert entries(tmp_path / "kept") == []


def png_header(width: int, height: int) -> bytes:
    """A PNG up to its pixels: https://www.w3.org/TR/png/#11IHDR"""
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\2\0\0\0"
    data = b"\0\0\0\0IDAT"
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data


def test_an_image_too_large_to_decode_is_refused_with_its_size(tmp_path):
    top = image_files(tmp_path / "mine")
    huge = top / "dog" / "huge.png"
    huge.write_bytes(png_header(20_000, 9_000))
    with pytest.raises(Refused) as refused:
        from_folder(top, tmp_path / "kept")
    assert refused.value.faults == [
        f"{huge}: too large, 20,000 x 9,000 pixels; 178,956,970 are allowed. Make it smaller."
    ]
    huge.write_bytes(png_header(20_000, 8_000))  # allowed, and broken
    with pytest.raises(Refused, match="no readable image"):
        from_folder(top, tmp_path / "kept")


@pytest.mark.parametrize(("kind", "suffix"), [(np.uint16, "png"), (np.float32, "tiff")])
def test_an_image_of_more_than_8_bits_is_refused_instead_of_clipped(tmp_path, kind, suffix):
    top = image_files(tmp_path / "mine")
    deep = top / "dog" / f"deep.{suffix}"
    Image.fromarray(images_of(5, 5).astype(kind)).save(deep)
    with pytest.raises(Refused) as refused:
        from_folder(top, tmp_path / "kept")
    assert refused.value.faults == [f"{deep}: more than 8 bits a channel. Save it with 8."]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda top: top.mkdir(), "mine: no class folder in it"),
        (lambda top: (image_files(top) / "bird").mkdir(), r"mine: no image in bird\. .*\.png"),
        (
            lambda top: (image_files(top / "train"), (top / "val").mkdir()),
            "val: no class folder in it",
        ),
        (
            lambda top: (
                image_files(top / "train"),
                (image_files(top / "val") / "dog").rename(top / "val" / "eagle"),
            ),
            r"val: its classes \['cat', 'eagle'\] are not those of train, \['cat', 'dog'\]",
        ),
    ],
    ids=["empty", "class without images", "empty val", "other classes"],
)
def test_a_folder_of_another_layout_is_refused_and_nothing_is_kept(tmp_path, make, message):
    make(tmp_path / "mine")
    with pytest.raises(Refused, match=message):
        from_folder(tmp_path / "mine", tmp_path / "kept")
    assert entries(tmp_path / "kept") == []


def nested(top: Path, count: int = 5) -> Path:
    """Two classes, with names whose order as texts is not that of their parts."""
    image_files(top, count)
    for inner in ("cat/a/c", "cat/a-b", "dog/B", "dog/a"):
        image_files(top / inner)
    (top / "dog" / "9.JPG").write_bytes((top / "dog" / "1.jpg").read_bytes())
    (top / "dog" / "notes.txt").write_text("no image")
    return top


def test_nested_folders_and_linked_ones_are_listed_in_the_order_of_torchvision(tmp_path):
    top = nested(tmp_path / "mine")
    image_files(tmp_path / "apart", seed=1)
    (top / "cat" / "b").symlink_to(tmp_path / "apart" / "cat")
    (top / "eel").symlink_to(tmp_path / "apart" / "dog")
    expected = ImageFolder(str(top))
    found = listed(top)
    assert list(found) == expected.classes == ["cat", "dog", "eel"]
    assert [str(file) for files in found.values() for file in files] == [
        file for file, _ in expected.samples
    ]
    assert SUFFIXES == IMG_EXTENSIONS


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("cat/loop", "cat"), ("cat/loop", "."), ("cat/loop", ".."), ("loop", "."), ("loop", ".."),
        ("cat/a/loop", "cat"), ("cat/b", "cat/a"), ("cat/b.png", "cat/0.png"),
    ],
)  # fmt: skip
def test_a_link_to_what_is_listed_already_adds_nothing(tmp_path, link, target):
    top = nested(tmp_path / "mine")
    expected = from_folder(top, tmp_path / "kept")
    (top / link).symlink_to(top / target, target_is_directory=True)
    found = from_folder(top, tmp_path / "elsewhere")
    assert found.fingerprint == expected.fingerprint
    assert found.classes == ("cat", "dog")


def test_a_broken_image_in_a_looped_folder_is_one_fault(tmp_path):
    top = image_files(tmp_path / "mine")
    (top / "cat" / "loop").symlink_to(top)
    (top / "cat" / "0.png").write_bytes(b"broken")
    with pytest.raises(Refused) as refused:
        from_folder(top, tmp_path / "kept")
    assert refused.value.faults == [
        f"{top / 'cat' / '0.png'}: no readable image. Repair it or take it away."
    ]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_in_two_classes_is_refused(tmp_path, link):
    top = image_files(tmp_path / "mine")
    link(top / "cat" / "1.jpg", top / "dog" / "twin.jpg")
    with pytest.raises(Refused, match="one image cannot be of two classes") as refused:
        from_folder(top, tmp_path / "kept")
    (fault,) = refused.value.faults
    assert fault.startswith(f"{top / 'dog' / 'twin.jpg'}: it is the same file as {top}/cat/1.jpg")


def test_what_is_named_as_an_image_and_is_no_file_is_refused_at_once(tmp_path):
    top = image_files(tmp_path / "mine")
    os.mkfifo(top / "cat" / "pipe.png")
    (top / "dog" / "self.png").symlink_to(top / "dog" / "self.png")
    (top / "dog" / "nowhere.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Refused) as refused:
        from_folder(top, tmp_path / "kept")
    names = [fault.partition(": no readable image")[0] for fault in refused.value.faults]
    assert names == [
        str(top / name) for name in ("cat/pipe.png", "dog/nowhere.png", "dog/self.png")
    ]


def test_the_same_picture_in_train_and_val_is_told_by_its_files_names(tmp_path):
    top = tmp_path / "mine"
    for name in ("train", "val"):
        image_files(top / name, 5, seed=len(name))
    shutil.copy(top / "train" / "dog" / "4.bmp", top / "val" / "dog" / "again.bmp")
    for _ in range(2):  # decoded, and from the cache
        (note,) = from_folder(top, tmp_path / "kept").notes
        assert note.startswith(f"{top}: 1 of 11 validation images are ")
        assert "e.g. train/dog/4.bmp and val/dog/again.bmp: " in note


# --- the cache


def test_a_damaged_cache_is_made_again(tmp_path):
    image_files(tmp_path / "mine")
    expected = from_folder(tmp_path / "mine", tmp_path / "kept").fingerprint
    (cache,) = (tmp_path / "kept").iterdir()
    whole = cache.read_bytes()
    objects = np.array([Payload(tmp_path / "unpickled")], dtype=object)
    for damaged in (whole[:-100], flipped(whole, 400), b"", pickle.dumps(objects)):
        cache.write_bytes(damaged)
        assert from_folder(tmp_path / "mine", tmp_path / "kept").fingerprint == expected
        with np.load(cache) as kept:
            assert "train_images" in kept.files
    np.savez(cache, train_images=objects, train_labels=objects)
    assert from_folder(tmp_path / "mine", tmp_path / "kept").fingerprint == expected
    assert not (tmp_path / "unpickled").exists()
    assert list((tmp_path / "kept").iterdir()) == [cache]


def test_a_root_that_cannot_be_written_is_refused(tmp_path):
    image_files(tmp_path / "mine")
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"file/below: cannot keep .* another folder with data\.root"):
        from_folder(tmp_path / "mine", tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), Refused), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_cache_that_is_half_written_does_not_stay(tmp_path, monkeypatch, error, raised):
    image_files(tmp_path / "mine")

    def savez(file, **_):
        file.write(b"half")
        raise error

    monkeypatch.setattr("numpy.savez", savez)
    with pytest.raises(raised, match="No space left" if raised is Refused else None):
        from_folder(tmp_path / "mine", tmp_path / "kept")
    assert entries(tmp_path / "kept") == []


# --- synthetic


def made(**settings) -> Data:
    given = {
        "images": 1200, "size": 6, "channels": 3, "classes": 4, "noise": 8.0, "seed": 0,
        "validation": 0.25, "split_seed": 0,
    }  # fmt: skip
    return synthetic(**{**given, **settings})


def test_synthetic_images_have_the_sizes_asked_for_and_balanced_classes():
    data = made(channels=1)
    assert data.shape == (1, 6, 6)
    assert data.classes == ("0", "1", "2", "3")
    assert np.bincount(data.train.labels).tolist() == [225] * 4
    assert np.bincount(data.val.labels).tolist() == [75] * 4
    assert data.test is None


def test_synthetic_images_depend_on_their_seed_alone():
    np.random.seed(7)
    again, other = made(), made(seed=1)
    assert made().fingerprint == again.fingerprint
    assert not np.array_equal(made().train.images, other.train.images)
    assert np.array_equal(made().train.labels, other.train.labels)


def test_how_many_numbers_are_drawn_at_a_time_does_not_change_the_images(monkeypatch):
    expected = made().fingerprint
    for part in (1, 7 * 108, 10**9):  # an image, seven of them, all
        monkeypatch.setattr("cnnlab.parts.data.synthetic.PART", part)
        assert made().fingerprint == expected


def test_synthetic_images_are_a_pattern_of_their_class_plus_noise():
    still, noisy = made(noise=0.0).train, made(size=32).train
    for label in range(4):
        assert len(np.unique(still.images[still.labels == label], axis=0)) == 1
    assert len(np.unique(still.images, axis=0)) == 4
    of_one_class = noisy.images[noisy.labels == 2].astype(float)
    assert of_one_class.std(0, ddof=1).mean() == pytest.approx(8, rel=0.01)
    assert of_one_class.mean(0).std() == pytest.approx(32, rel=0.05)


# --- memory


def refused_for_memory(read: Callable[[], Data]) -> str:
    with pytest.raises(Refused) as refused:
        read()
    (fault,) = refused.value.faults
    text, _, rest = fault.partition(" of memory are free. ")
    assert re.fullmatch(r".*while they are split; [0-9.]+ [kMGT]?B", text)
    return f"{text.rpartition('; ')[0]}. {rest}"


def test_images_that_cannot_fit_into_memory_are_refused_before_any_is_made(tmp_path):
    start = time.perf_counter()
    twice = "twice that while they are split"
    assert refused_for_memory(lambda: made(size=100_000)) == (
        f"data=synthetic: 1,200 images of 100000 x 100000 x 3 take 36.0 TB, {twice}. "
        "Lower data.size or data.images."
    )
    assert refused_for_memory(lambda: made(images=10**12, size=1, channels=1)) == (
        f"data=synthetic: 1,000,000,000,000 images of 1 x 1 x 1 take 9.0 TB, {twice}. "
        "Lower data.size or data.images."
    )
    assert refused_for_memory(lambda: the_digits(100_000)) == (
        f"data=digits: 1,797 images of 100000 x 100000 x 3 take 53.9 TB, {twice}. Lower data.size."
    )
    top = image_files(tmp_path / "mine")
    assert refused_for_memory(lambda: from_folder(top, tmp_path / "kept", size=1_000_000)) == (
        f"{top}: 8 images of 1000000 x 1000000 x 3 take 24.0 TB, {twice}. Lower data.size."
    )
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_is_refused_by_the_size_that_it_unpacks_to(tmp_path, monkeypatch, save):
    path = tmp_path / "mine.npz"
    images, labels = np.zeros((20, 100, 100), np.uint8), labels_of(20)
    save(path, train_images=images, train_labels=labels, notes=np.zeros(10**6))
    held = images.nbytes + labels.nbytes + 2 * 128  # a header each
    monkeypatch.setattr("cnnlab.data.memory.available", lambda: 2 * held)
    assert loaded(str(path)).shape == (1, 100, 100)
    monkeypatch.setattr("cnnlab.data.memory.available", lambda: 2 * held - 1)
    with pytest.raises(Refused) as refused:
        loaded(str(path))
    assert refused.value.faults == [
        f"{path}: its arrays take 200 kB, twice that while they are split; 401 kB of memory are "
        "free. Make a file with fewer or smaller images."
    ]


def test_a_limit_of_the_process_counts_as_memory():
    """In a process of its own, for its limit cannot be raised again."""
    code = (
        "import resource; from cnnlab.data.memory import available\n"
        "free = available()\n"
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + 3 * 10**8, resource.RLIM_INFINITY))\n"
        "limited = available()\n"
        "assert 2 * 10**8 < limited <= 3 * 10**8 < free, (free, limited)\n"
        "from cnnlab.parts.data.synthetic import synthetic\n"
        "synthetic(images=200, size=1000, channels=3, classes=2, noise=1.0, seed=0,\n"
        "          validation=0.5, split_seed=0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "200 images of 1000 x 1000 x 3 take 600 MB" in done.stderr.splitlines()[-1]


# --- batches


def split_of(count: int, channels: int = 3) -> Split:
    return Split(images_of(count, 8, 8, channels), labels_of(count, 10))


def plain(pixels: torch.Tensor) -> torch.Tensor:
    """In the place of Normalise, where a test wants to see the pixels."""
    return pixels.float()


CROP_FLIP = {"crop": functools.partial(crop, padding=2), "flip": flip}


def epoch_of(split: Split, seeds=(0,), operations=({},), epoch: int = 1, size: int = 16):
    """The batches of an epoch: (K, N, C, H, W) and (K, N)."""
    images = batches.Images(split, CPU)
    own = [batches.Seeds(seed, seed) for seed in seeds]
    return list(batches.training(images, plain, own, operations, epoch, size))


def joined(found) -> tuple[torch.Tensor, torch.Tensor]:
    """(K, E, C, H, W) and (K, E)."""
    return torch.cat([pixels for pixels, _ in found], 1), torch.cat([y for _, y in found], 1)


def test_an_epoch_shows_every_image_once_with_its_label_and_a_smaller_last_batch():
    split = Split(numbered(50), labels_of(50, 10))
    found = epoch_of(split)
    assert [pixels.shape[1] for pixels, _ in found] == [16, 16, 16, 2]
    pixels, labels = joined(found)
    assert (pixels.shape, labels.shape) == ((1, 50, 3, 1, 1), (1, 50))
    numbers = (pixels[0, :, :, 0, 0] @ torch.tensor([65536.0, 256.0, 1.0])).long()
    assert numbers.tolist() != list(range(50))
    assert sorted(numbers.tolist()) == list(range(50))
    assert torch.equal(labels[0], numbers % 10)


def test_the_order_differs_by_epoch_and_by_seed_and_by_nothing_else():
    orders = [batches.order(seed, epoch, 1000) for seed in (0, 1) for epoch in (1, 2)]
    for k, one in enumerate(orders):
        assert torch.equal(one.sort().values, torch.arange(1000))
        for other in orders[:k]:
            assert (one == other).sum() < 10  # one in common is expected
    torch.manual_seed(7)
    assert torch.equal(batches.order(0, 1, 1000), orders[0])


def test_variants_with_the_same_seed_see_the_same_batches():
    found = epoch_of(split_of(50), seeds=(3, 4, 3), operations=(CROP_FLIP,) * 3)
    for pixels, labels in found:
        assert torch.equal(pixels[0], pixels[2])
        assert torch.equal(labels[0], labels[2])
        assert not torch.equal(pixels[0], pixels[1])


def test_a_variant_sees_the_same_whatever_its_neighbours_are():
    stacked = joined(epoch_of(split_of(50), (3, 4), ({}, CROP_FLIP)))
    for k, (seed, operations) in enumerate([(3, {}), (4, CROP_FLIP)]):
        alone = joined(epoch_of(split_of(50), (seed,), (operations,)))
        assert torch.equal(stacked[0][k], alone[0][0])
        assert torch.equal(stacked[1][k], alone[1][0])


def test_augmentation_does_not_change_the_order():
    split = split_of(50)
    pixels, labels = joined(epoch_of(split, (3, 3), ({}, CROP_FLIP)))
    assert torch.equal(labels[0], labels[1])
    # nothing is moved by 0 pixels of padding: what is left is the order and the mirroring
    still = {"crop": functools.partial(crop, padding=2, probability=0.0), "flip": flip}
    kept, _ = joined(epoch_of(split, (3,), (still,)))
    same = (kept[0] == pixels[0]).all((1, 2, 3))
    mirrored = (kept[0] == pixels[0].flip(-1)).all((1, 2, 3))
    assert torch.all(same ^ mirrored)
    assert 10 < mirrored.sum() < 40


def test_crop_moves_an_image_alike_whether_or_not_flip_follows():
    only, both = ({"crop": CROP_FLIP["crop"]}, CROP_FLIP)
    pixels, _ = joined(epoch_of(split_of(50), (3, 3), (only, both)))
    same = (pixels[0] == pixels[1]).all(-1).all(-1).all(-1)
    mirrored = (pixels[0] == pixels[1].flip(-1)).all(-1).all(-1).all(-1)
    assert torch.all(same | mirrored)
    assert 0 < mirrored.sum() < 50


def test_the_batch_size_changes_neither_the_order_nor_the_crops():
    small = joined(epoch_of(split_of(50), (3,), (CROP_FLIP,), size=7))
    whole = joined(epoch_of(split_of(50), (3,), (CROP_FLIP,), size=50))
    assert torch.equal(small[0], whole[0])
    assert torch.equal(small[1], whole[1])


def test_another_epoch_shows_other_crops_of_the_same_image():
    split = Split(images_of(1, 8, 8, 3), labels_of(1))
    shown = [epoch_of(split, (0,), (CROP_FLIP,), epoch)[0][0] for epoch in range(1, 11)]
    assert len({pixels.numpy().tobytes() for pixels in shown}) > 5


def test_batches_neither_use_nor_move_the_global_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = joined(epoch_of(split_of(50), (3,), (CROP_FLIP,)))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    other = joined(epoch_of(split_of(50), (3,), (CROP_FLIP,)))
    assert torch.equal(one[0], other[0])


def test_the_images_themselves_stay_as_they_were():
    split = split_of(50)
    before = split.images.copy()
    images = batches.Images(split, CPU)
    normalise = batches.Normalise(split, CPU)
    list(batches.training(images, normalise, (batches.Seeds(0, 0),), (CROP_FLIP,), 1, 16))
    list(batches.evaluation(images, normalise))
    assert np.array_equal(split.images, before)


def normalised_by(train: np.ndarray, images: np.ndarray) -> np.ndarray:
    """(N, H, W, C), in NumPy and float64."""
    numbers = train.astype(np.float64)
    return (images - numbers.mean((0, 1, 2))) / numbers.std((1, 2)).mean(0)


def test_normalise_takes_mean_and_spread_within_an_image_from_the_training_images():
    pixels = images_of(2_500, 4, 4, 3) // np.array([1, 2, 5], np.uint8)  # three parts of 1,000
    found = batches.Normalise(Split(pixels, labels_of(2_500)), CPU)
    other = images_of(7, 4, 4, 3, seed=1)  # as a validation batch
    expected = normalised_by(pixels, other)
    given = torch.from_numpy(other).permute(0, 3, 1, 2)
    assert found(given).dtype == torch.float32
    assert np.allclose(found(given).permute(0, 2, 3, 1).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_normalise_makes_a_constant_channel_zero(grey):
    pixels = images_of(10, 4, 4, 3)
    pixels[..., 1] = grey
    normalised = batches.Normalise(Split(pixels, labels_of(10)), CPU)(
        torch.from_numpy(pixels).permute(0, 3, 1, 2)
    )
    assert torch.all(normalised[:, 1] == 0)
    within = normalised[:, [0, 2]].std((2, 3), correction=0).mean(0)
    assert within.tolist() == pytest.approx([1, 1])


def test_evaluation_shows_all_images_once_in_their_order():
    split = split_of(600, channels=1)
    normalise = batches.Normalise(split, CPU)
    found = list(batches.evaluation(batches.Images(split, CPU), normalise))
    assert [len(labels) for _, labels in found] == [256, 256, 88]
    pixels = torch.cat([pixels for pixels, _ in found]).permute(0, 2, 3, 1).numpy()
    expected = normalised_by(split.images, split.images)
    assert np.allclose(pixels, expected, atol=1e-5)
    assert torch.cat([labels for _, labels in found]).tolist() == split.labels.tolist()
