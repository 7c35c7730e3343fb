"""Each operation against torchvision's functional transforms, and what every draw depends on.

N images, C H W image.
"""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import functional as TF

from cnnlab.config.checking import validate
from cnnlab.config.compose import compose
from cnnlab.config.targets import configured
from cnnlab.data.augmentation import DRAWS, augment, draw
from cnnlab.parts.augment.crop import crop
from cnnlab.parts.augment.cutout import cutout
from cnnlab.parts.augment.flip import flip
from cnnlab.parts.augment.rot180 import rot180
from cnnlab.parts.augment.vflip import vflip

OPERATIONS = {"crop": crop, "cutout": cutout, "flip": flip, "rot180": rot180, "vflip": vflip}
SHAPES = [(3, 32, 32), (1, 28, 28), (3, 12, 12), (1, 9, 14), (3, 20, 33)]  # C, H, W
MIRRORS = {  # torchvision's, for one image
    "flip": TF.hflip,
    "vflip": TF.vflip,
    "rot180": partial(TF.rotate, angle=180),
}
LARGEST = 1 - 2**-24  # that torch.rand gives in float32


def images(shape, count=40, seed=0):
    """(N, C, H, W) uint8 noise, which no operation leaves as it is by chance."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return torch.from_numpy(pixels)


def uniforms(count=40, seed=0):
    """(N, DRAWS) in [0, 1)."""
    return torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(seed))


def padded_and_cropped(image, row, column, padding):
    """By torchvision: (C, H, W) -> (C, H, W)."""
    return TF.crop(TF.pad(image, [padding] * 4), row, column, *image.shape[-2:])


def erased(image, row, column, size, fill):
    """By torchvision: a square around a pixel, as much of it as lies in the image."""
    top, left = row - size // 2, column - size // 2
    bottom, right = top + size, left + size
    top, left = max(top, 0), max(left, 0)
    return TF.erase(image, top, left, bottom - top, right - left, torch.tensor(fill))


# --- each operation equals torchvision's


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("probability", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("name", MIRRORS)
def test_mirror_equals_torchvision(name, probability, shape):
    x, u = images(shape), uniforms()
    expected = [
        MIRRORS[name](image) if share < probability else image
        for image, share in zip(x, u[:, -1].tolist(), strict=True)
    ]
    result = OPERATIONS[name](x, u, probability=probability)
    assert torch.equal(result, torch.stack(expected))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("padding", [1, 4, 15])
def test_crop_equals_torchvision_pad_and_crop(padding, probability, shape):
    x, u = images(shape), uniforms()
    expected = [
        padded_and_cropped(
            image, int(row * (2 * padding + 1)), int(column * (2 * padding + 1)), padding
        )
        if share < probability
        else image
        for image, (row, column, _, share) in zip(x, u.tolist(), strict=True)
    ]
    result = crop(x, u, padding=padding, probability=probability)
    assert torch.equal(result, torch.stack(expected))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("size", "fill"), [(1, 0), (5, 255), (16, 127), (100, 9)])
def test_cutout_equals_torchvision_erase(size, fill, probability, shape):
    x, u = images(shape), uniforms()
    height, width = shape[1:]
    expected = [
        erased(image, int(row * height), int(column * width), size, fill)
        if share < probability
        else image
        for image, (row, column, _, share) in zip(x, u.tolist(), strict=True)
    ]
    result = cutout(x, u, size=size, fill=fill, probability=probability)
    assert torch.equal(result, torch.stack(expected))


def test_crop_at_its_extremes_shifts_by_the_padding():
    x = images((3, 8, 10), count=3)
    u = torch.tensor([[0, 0, 0, 0], [LARGEST, LARGEST, 0, 0], [0.5, 0.5, 0, 0]])
    result = crop(x, u, padding=2)
    assert torch.equal(result[0, :, 2:, 2:], x[0, :, :-2, :-2])  # down and to the right
    assert not result[0, :, :2].any()
    assert not result[0, :, :, :2].any()
    assert torch.equal(result[1, :, :-2, :-2], x[1, :, 2:, 2:])  # up and to the left
    assert not result[1, :, -2:].any()
    assert not result[1, :, :, -2:].any()
    assert torch.equal(result[2], x[2])  # the middle


@pytest.mark.parametrize("padding", [1, 4, 7, 31, 500])
def test_largest_uniform_stays_inside_the_padded_image(padding):
    x, u = images((1, 5, 6), count=1), torch.full((1, DRAWS), LARGEST)
    u[:, -1] = 0
    expected = padded_and_cropped(x[0], 2 * padding, 2 * padding, padding)
    assert torch.equal(crop(x, u, padding=padding)[0], expected)


@pytest.mark.parametrize(
    ("row", "column", "hidden"),
    [
        (0.0, 0.0, (slice(0, 2), slice(0, 2))),  # around pixel (0, 0): rows -2 ... 1
        (LARGEST, LARGEST, (slice(5, 8), slice(7, 10))),  # around (7, 9): rows 5 ... 8
        (0.5, 0.0, (slice(2, 6), slice(0, 2))),  # around (4, 0)
    ],
)
def test_cutout_reaches_over_the_border(row, column, hidden):
    x = torch.zeros(1, 3, 8, 10, dtype=torch.uint8)
    expected = x.clone()
    expected[:, :, hidden[0], hidden[1]] = 200
    u = torch.tensor([[row, column, 0, 0]])
    assert torch.equal(cutout(x, u, size=4, fill=200), expected)


# --- what all operations share


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_keeps_shape_and_type_and_leaves_its_input(name, shape):
    x, u = images(shape), uniforms()
    pixels, numbers = x.clone(), u.clone()
    result = OPERATIONS[name](x, u, probability=0.5)
    assert (result.shape, result.dtype) == (x.shape, torch.uint8)
    result.zero_()
    assert torch.equal(x, pixels)
    assert torch.equal(u, numbers)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_reads_channels_last_images_the_same(name):
    """Training keeps images as (N, H, W, C) in memory."""
    x, u = images((3, 9, 14)), uniforms()
    operation = OPERATIONS[name]
    assert torch.equal(operation(x, u), operation(x.to(memory_format=torch.channels_last), u))


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_image_depends_on_its_own_uniforms_only(name):
    x, u = images((3, 9, 14)), uniforms()
    operation, order = OPERATIONS[name], torch.arange(39, -1, -1)
    assert torch.equal(operation(x, u)[order], operation(x[order], u[order]))
    assert torch.equal(operation(x, u)[7:8], operation(x[7:8], u[7:8]))


def changed(name, probability, count):
    """(N,) bool: which images of an epoch an operation changes."""
    x = torch.arange(20, dtype=torch.uint8).view(1, 1, 4, 5).expand(count, -1, -1, -1)
    u = draw(0, [name], 1, count)[name]
    u[:, :2] = 0  # a crop that shifts and a cutout that hides, if at all
    return (OPERATIONS[name](x, u, probability=probability) != x).flatten(1).any(1)


@pytest.mark.parametrize("name", OPERATIONS)
def test_probability_0_changes_no_image_and_1_changes_all(name):
    assert not changed(name, 0.0, 1000).any()
    assert changed(name, 1.0, 1000).all()


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("name", OPERATIONS)
def test_share_of_changed_images_is_the_probability(name, probability):
    count = int(changed(name, probability, 10_000).sum())
    assert abs(count / 10_000 - probability) < 0.02  # 4 standard errors
    assert stats.binomtest(count, 10_000, probability).pvalue > 0.001


@pytest.mark.parametrize("padding", [1, 2, 4])
def test_crop_offsets_are_uniform_over_all_values(padding):
    """A pixel in the middle shows where it came from: it has the number of the offset."""
    side = 2 * padding + 1
    count = 200 * side**2
    numbers = torch.arange(side**2, dtype=torch.uint8).view(1, 1, side, side)
    u = draw(0, ["crop"], 1, count)["crop"]
    result = crop(numbers.expand(count, -1, -1, -1), u, padding=padding)
    offsets = np.bincount(result[:, 0, padding, padding], minlength=side**2)
    rows, columns = offsets.reshape(side, side).sum(1), offsets.reshape(side, side).sum(0)
    for frequencies in (rows, columns, offsets):
        assert (frequencies > 0).all()
        assert stats.chisquare(frequencies).pvalue > 0.001


# --- draws


def test_draw_is_deterministic():
    first, second = (draw(3, ["crop", "flip"], 2, 50) for _ in range(2))
    assert list(first) == list(second) == ["crop", "flip"]
    for name in first:
        assert first[name].shape == (50, DRAWS)
        assert torch.equal(first[name], second[name])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((3, "crop", 3), id="epoch"),
        pytest.param((4, "crop", 2), id="seed"),
        pytest.param((3, "flip", 2), id="name"),
        pytest.param((2, "crop", 3), id="seed and epoch exchanged"),
    ],
)
def test_draws_of_another_epoch_seed_or_name_are_unrelated(other):
    def numbers(seed, name, epoch):
        return draw(seed, [name], epoch, 2500)[name].flatten().numpy()

    # 10,000 pairs: a correlation of 0.04 is 4 standard errors from none.
    assert abs(np.corrcoef(numbers(3, "crop", 2), numbers(*other))[0, 1]) < 0.04


def test_draws_are_uniform_and_their_columns_unrelated():
    u = draw(0, ["crop"], 1, 10_000)["crop"].numpy()
    assert u.min() >= 0
    assert u.max() < 1
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 0.001
    correlations = np.corrcoef(u.T) - np.eye(DRAWS)
    assert abs(correlations).max() < 0.04  # 4 standard errors


def test_draw_neither_uses_nor_touches_the_global_generator():
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        results.append(draw(0, ["crop"], 1, 50)["crop"])
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*results)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_neither_uses_nor_touches_the_global_generator(name):
    before = torch.get_rng_state()
    OPERATIONS[name](images((3, 9, 14)), uniforms())
    assert torch.equal(torch.get_rng_state(), before)


def operations_of(option):
    """An option's operations by name, in their order, as its config says."""
    config = validate(compose((f"augment={option}", "device=cpu"))[0])
    return {name: configured(part) for name, part in config.augment.items()}


def test_crop_draws_the_same_alone_and_before_a_flip():
    alone, both = operations_of("crop"), operations_of("crop_flip")
    assert (list(alone), list(both)) == (["crop"], ["crop", "flip"])
    u_alone, u_both = draw(0, list(alone), 5, 100), draw(0, list(both), 5, 100)
    assert torch.equal(u_alone["crop"], u_both["crop"])

    x = images((3, 32, 32), count=100)
    cropped = augment(x, alone, u_alone)
    assert torch.equal(augment(x, both, u_both), flip(cropped, u_both["flip"]))


def test_two_strengths_see_the_same_draws():
    """A larger square covers the smaller one: both are around the same pixel."""
    x, u = torch.zeros(40, 1, 20, 20, dtype=torch.uint8), uniforms()
    small, large = (cutout(x, u, size=size, fill=1) for size in (4, 8))
    assert (large >= small).all()
    assert (large != small).flatten(1).any(1).all()


def test_augment_applies_operations_in_their_order():
    x = images((3, 20, 33))
    u = {"crop": uniforms(seed=1), "cutout": uniforms(seed=2)}
    crop_first = augment(x, {"crop": crop, "cutout": cutout}, u)
    cutout_first = augment(x, {"cutout": cutout, "crop": crop}, u)
    expected = [
        erased(
            padded_and_cropped(image, int(row * 9), int(column * 9), 4),
            int(middle_row * 20),
            int(middle_column * 33),
            16,
            127,
        )
        for image, (row, column, *_), (middle_row, middle_column, *_) in zip(
            x, u["crop"].tolist(), u["cutout"].tolist(), strict=True
        )
    ]
    assert torch.equal(crop_first, torch.stack(expected))
    assert not torch.equal(cutout_first, crop_first)


def test_no_operations_return_the_images():
    x = images((3, 9, 14))
    assert operations_of("none") == {}
    assert torch.equal(augment(x, {}, {}), x)
