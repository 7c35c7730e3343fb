"""Runs that have no result for one reason are told together, and all are named."""

from cnnlab.core.reasons import Trouble, reasons

WHY = "the loss is not finite at epoch {}, step {}; try a smaller lr, or a norm"


def diverged(variant, seed, epoch=1, step=2):
    return Trouble("diverged", variant, seed, WHY.format(epoch, step), f"{variant}-{seed}")


def test_six_runs_that_diverged_are_one_sentence():
    runs = [diverged("norm=bn lr=0.1", seed, step=seed + 1) for seed in range(5)]
    (found,) = reasons([*runs, diverged("norm=none lr=0.1", 0)])
    assert found.sentence == (
        "Diverged: 6 runs (norm=bn lr=0.1 seeds 0-4; norm=none lr=0.1 seed 0): "
        "the loss is not finite; try a smaller lr, or a norm"
    )
    assert found.directory == "norm=bn lr=0.1-0"


def test_a_place_that_they_share_is_told():
    (found,) = reasons([diverged("lr=1", 0), diverged("lr=1", 2)])
    assert found.sentence == f"Diverged: 2 runs (lr=1 seeds 0,2): {WHY.format(1, 2)}"


def test_one_run_is_named_and_not_counted():
    (found,) = reasons([Trouble("failed", "norm=gn", 0, "boom", "")])
    assert found.sentence == "Failed: norm=gn seed 0: boom"
    (found,) = reasons([Trouble("failed", "", None, "boom", "")])
    assert found.sentence == "Failed: boom"


def test_other_reasons_and_other_states_are_told_apart_the_most_frequent_first():
    boom = [
        Trouble(state, "", seed, "boom", "") for state, seed in (("failed", 0), ("diverged", 1))
    ]
    found = reasons([*boom, *(diverged("lr=1", seed) for seed in range(3))])
    assert [(each.status, each.runs) for each in found] == [
        ("diverged", 3), ("failed", 1), ("diverged", 1),
    ]  # fmt: skip


def test_all_runs_of_a_level_are_one_line_whatever_each_one_tells():
    """At lr=1e6 some losses are infinite and some too large: the level explains both."""
    told = [("bn", "it is not finite at epoch 1"), ("gn", "it is not finite at epoch 2")]
    runs = [
        Trouble("diverged", f"norm={norm} lr=1e6", 0, why, norm, "lr=1e6") for norm, why in told
    ]
    found = reasons([*runs, diverged("norm=bn lr=0.1", 0)])
    assert [each.sentence for each in found] == [
        "lr=1e6: all 2 runs diverged: it is not finite",
        f"Diverged: norm=bn lr=0.1 seed 0: {WHY.format(1, 2)}",
    ]
    other = Trouble("diverged", "norm=none lr=1e6", 0, "it is above 1e9", "none", "lr=1e6")
    (found,) = reasons([*runs, other])
    assert found.sentence == "lr=1e6: all 3 runs diverged: it is not finite; it is above 1e9"


def test_very_many_variants_are_counted():
    (found,) = reasons(diverged(f"lr={rate}", 0) for rate in range(10))
    assert "lr=5 seed 0; and 4 more variants" in found.sentence
