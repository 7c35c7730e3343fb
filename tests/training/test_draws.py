"""A seed stands for the draws that are named: each differs where it is named, and only there."""

import pytest
import torch
from conftest import SMALL, config_of

from cnnlab.data.loading import load
from cnnlab.execution.grouping import alike, images_of
from cnnlab.records.writer import open_record
from cnnlab.training.assemble import assemble
from cnnlab.training.train import train
from cnnlab.training.trainer import _groups

CHOICES = ("augment=crop_flip", "model.dropout=0.5", "epochs=2", "lr=0.05")
"""With which every draw is made."""


def config(*overrides: str):
    return config_of(*SMALL, *CHOICES, *overrides)


def weights(config) -> torch.Tensor:
    model = assemble(config, (3, 12, 12), 4)
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def losses(place, *configs):
    """The outcome of each, trained as one model."""
    data = load(configs[0].data)
    return train(configs, data, [open_record(place / f"{k}") for k in range(len(configs))])


def test_first_weights_follow_the_seed_only_where_they_are_named():
    first = weights(config("seed=0"))
    for vary, differs in (("[init]", True), ("[order,augment,dropout]", False), ("null", True)):
        assert torch.equal(first, weights(config("seed=1", f"vary={vary}"))) != differs


def test_order_and_augmentation_are_drawn_apart():
    (seeds,) = _groups([config("seed=7", "vary=[order]")])[0]
    assert seeds == (7, 0)
    (seeds,) = _groups([config("seed=7", "vary=[augment]")])[0]
    assert seeds == (0, 7)


@pytest.mark.parametrize("draw", ["init", "order", "augment", "dropout", "split"])
def test_each_draw_alone_changes_the_run_and_holds_the_others(draw, tmp_path):
    """Seed 0 is the same run whatever varies; seed 1 is another one for each draw."""
    runs = [config(f"vary=[{draw}]", f"seed={seed}") for seed in (0, 1)]
    plain = losses(tmp_path / "plain", config("seed=0"))[0].final_train_loss
    found = [losses(tmp_path / f"{k}", each)[0].final_train_loss for k, each in enumerate(runs)]
    assert found[0] == plain
    assert found[1] != plain


def test_one_draw_of_seed_1_with_the_others_held_is_that_draw_of_the_plain_seed_1(tmp_path):
    """First weights of seed 1, and all else of seed 0: the first loss before any step tells."""
    one = config("vary=[init]", "seed=1", "augment=none", "model.dropout=0")
    held = config("vary=[order]", "seed=1", "augment=none", "model.dropout=0")
    assert torch.equal(weights(one), weights(config("seed=1", "model.dropout=0")))
    assert torch.equal(weights(held), weights(config("seed=0", "model.dropout=0")))


@pytest.mark.parametrize("vary", ["[init]", "[order]", "[augment]", "[dropout]", "[init,augment]"])
def test_seeds_of_one_kind_are_stacked_and_train_as_they_do_alone(vary, tmp_path):
    configs = [config(f"vary={vary}", f"seed={seed}") for seed in (0, 1, 2)]
    data = load(configs[0].data)
    assert alike([(each, data) for each in configs]) == ([[0, 1, 2]], {})
    together = losses(tmp_path / "together", *configs)
    for slot, each in enumerate(configs):
        alone = losses(tmp_path / f"alone{slot}", each)[0]
        assert together[slot].final_train_loss == pytest.approx(alone.final_train_loss, abs=1e-4)


def test_seeds_that_see_the_same_images_share_their_batches():
    same = [config("vary=[init,dropout]", f"seed={seed}") for seed in (0, 1)]
    assert len({images_of(each) for each in same}) == 1
    assert len(_groups(same)[0]) == 1
    other = [config("vary=[augment]", f"seed={seed}") for seed in (0, 1)]
    assert len({images_of(each) for each in other}) == len(_groups(other)[0]) == 2


def test_seeds_with_cuts_of_their_own_are_not_stacked_but_their_variants_are():
    configs = [
        config("data.split_seed=seed", f"seed={seed}", f"lr={lr}")
        for seed in (0, 1) for lr in (0.01, 0.02)
    ]  # fmt: skip
    assert alike([(each, load(each.data)) for each in configs])[0] == [[0, 1], [2, 3]]
