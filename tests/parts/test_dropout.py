"""Dropout: the right share, evenly spread, repeatable, each variant's own."""

import torch
from scipy import stats

from cnnlab.parts.layers.dropout import Dropout, uniform
from cnnlab.training.stack import Stack


def test_splitmix64_gives_its_published_first_numbers():
    """Of seed 1234567, as in Rosetta Code's "Pseudo-random numbers/Splitmix64"."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = uniform(torch.tensor(1234567), torch.arange(3))
    assert found.tolist() == [(number >> 40) / 2**24 for number in published]


def test_the_numbers_are_uniform_and_unlike_their_neighbours():
    found = uniform(torch.tensor(5), torch.arange(100_000)).double().numpy()
    assert stats.kstest(found, "uniform").pvalue > 0.01
    other = uniform(torch.tensor(6), torch.arange(100_000)).double().numpy()
    assert abs(stats.pearsonr(found, other).statistic) < 0.01
    assert abs(stats.pearsonr(found[1:], found[:-1]).statistic) < 0.01


def test_a_share_is_left_out_and_the_others_keep_the_mean():
    layer = Dropout(0.3).train()
    layer.key.fill_(7)
    x = torch.ones(200, 500)
    found = layer(x)
    assert abs((found == 0).float().mean() - 0.3) < 0.005  # 3.5 standard errors
    assert torch.allclose(found[found != 0], torch.tensor(1 / 0.7))
    assert torch.equal(layer(x), found)
    layer.key.fill_(8)
    assert not torch.equal(layer(x), found)
    assert torch.equal(layer.eval()(x), x)


def test_each_variant_of_a_stack_has_its_own_rate_and_draws():
    stack = Stack([torch.nn.Sequential(torch.nn.Flatten(), Dropout(rate)) for rate in (0.1, 0.5)])
    stack.buffers["1.key"].copy_(torch.tensor([3, 4]))
    images = torch.ones(20, 1, 8, 8)
    found = stack(torch.stack([images, images]), training=True)
    for slot, (rate, key) in enumerate(((0.1, 3), (0.5, 4))):
        alone = Dropout(rate).train()
        alone.key.fill_(key)
        assert torch.allclose(found[slot], alone(images.flatten(1)))
