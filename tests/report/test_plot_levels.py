"""What pictures say of levels: one colour throughout, in order, and those that all diverged."""

from itertools import combinations

import numpy as np
import pytest
from drawing import GRID, joined, labelled, made, noisy
from matplotlib.colors import to_rgb

from cnnlab.report import plots
from cnnlab.report.lost import lost_levels
from cnnlab.report.page.missing import state
from cnnlab.report.plots.levels import PALETTE, signs
from cnnlab.report.plots.sheet import empty

SEEN = {
    "all cones": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}  # fmt: skip
"""What an eye makes of linear RGB: Machado, Oliveira, Fernandes 2009, severity 1."""


def lab(colour, eye):
    """CIE L*a*b* of a colour of sRGB as an eye sees it, white D65."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(eye) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ linear / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", SEEN)
def test_the_colour_blind_can_tell_levels_apart(eye):
    """2.3 is a difference that is just seen (Mahy et al. 1994)."""
    seen = [lab(colour, SEEN[eye]) for colour in PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 12
    for first in range(len(seen)):
        four = [seen[(first + k) % len(seen)] for k in range(4)]
        assert min(np.linalg.norm(a - b) for a, b in combinations(four, 2)) > 24


THREE = {"norm": ["bn", "gn", "none"], "lr": [0.01, 0.02, 0.1], "act": ["a", "b"]}


def colours_of(analysis):
    """The colour of each level in each picture that has colours of levels, from its legends."""
    found = []
    figure = plots.interactions_figure(analysis)
    for axes in figure.axes:
        name = axes.get_legend().get_title().get_text()
        for line in axes.containers:
            found.append((f"{name}={line.get_label()}", line.lines[0].get_color()))
    for make in (plots.curves_figure, plots.cost_figure):
        for legend in make(analysis).legends:
            texts = [text.get_text() for text in legend.get_texts()]
            pairs = zip(texts, legend.legend_handles, strict=True)
            found += [(text, sign.get_color()) for text, sign in pairs if "=" in text]
    return found


def test_a_level_has_one_colour_in_all_pictures_and_no_other_level_has_it():
    analysis = made(THREE, value=noisy, own_seconds=lambda t: 1.0 + t.index)
    found = colours_of(analysis)
    assert len(dict(found)) >= 5
    assert {name.partition("=")[0] for name, _ in found} >= {"norm", "act"}
    assert len(set(found)) == len(dict(found)) == len({colour for _, colour in found})
    assert "Colours come again" not in joined(plots.curves_figure(analysis))


def test_where_factors_must_share_colours_a_level_keeps_its_own_and_it_is_said():
    factors = {"norm": list("pqrs"), "lr": [0.1, 0.2, 0.3, 0.4], "act": ["a", "b"]}
    analysis = made(factors, value=noisy, seeds=2, own_seconds=lambda t: 1.0 + t.index)
    found = colours_of(analysis)
    assert len(set(found)) == len(dict(found))
    every = signs(analysis.summary, analysis.sweep.factors)
    for name in factors:
        own = [sign for (factor, _), sign in every.items() if factor == name]
        assert len({colour for colour, _ in own}) == len({marker for _, marker in own}) == len(own)
    for make in (plots.curves_figure, plots.interactions_figure, plots.cost_figure):
        assert "Colours come again from one factor to another" in joined(make(analysis))


def test_a_factor_of_very_many_levels_has_a_shade_for_each():
    levels = [k / 100 for k in range(1, 41)]
    analysis = made({"lr": levels, "norm": ["bn", "none"]}, seeds=1)
    every = signs(analysis.summary, analysis.sweep.factors)
    assert len({colour for (name, _), (colour, _) in every.items() if name == "lr"}) == 40
    assert every["norm", "bn"][0] == PALETTE[0]


# --- levels at which every run diverged

DESIGN = {"norm": ["bn", "none"], "lr": [0.1, 0.01, 1e6]}


def design(row):
    return "diverged" if row["lr"] == 1e6 else "done"


def test_a_level_at_which_every_run_diverged_is_one_grey_row():
    analysis = made(DESIGN, value=noisy, status=design)
    assert lost_levels(analysis.sweep.runs, analysis.sweep.factors) == {("lr", "1e6"): 6}
    for make in (plots.grid_figure, plots.effects_figure, plots.curves_figure):
        figure = make(analysis)
        assert joined(figure).count("1e6") == 1
        assert figure.texts[-1].get_text() == "lr=1e6: all 6 runs diverged"
        assert len(figure.artists) == 1  # the row


def test_in_the_dots_too():
    analysis = made(
        {"lr": [0.1, 1e6, 1e7]}, seeds=2, status=lambda r: ["done", "diverged"][r["lr"] > 1]
    )
    figure = plots.grid_figure(analysis)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["lr=0.1"]
    told = "lr=1e6: all 2 runs diverged; lr=1e7: all 2 runs diverged"
    assert figure.texts[-1].get_text() == told
    assert told in joined(plots.effects_figure(analysis))


def test_where_all_runs_diverged_no_level_explains_it():
    analysis = made(DESIGN, status=lambda row: "diverged")
    assert lost_levels(analysis.sweep.runs, analysis.sweep.factors) == {}
    assert len(plots.grid_figure(analysis).texts) == 2


def test_what_is_missing_tells_them_in_one_line():
    def status(row):
        one = row["norm"] == "bn" and row["lr"] == 0.1 and row["seed"] == 2
        return "diverged" if one else design(row)

    analysis = made(
        DESIGN, value=noisy, status=status, directory=lambda t: t["run_id"],
        error=lambda t: [f"the loss is not finite at epoch 1, step {k}" for k in t.index],
    )  # fmt: skip
    assert [reason.sentence for reason in state(analysis).reasons] == [
        "lr=1e6: all 6 runs diverged: the loss is not finite",
        "Diverged: norm=bn lr=0.1 seed 2: the loss is not finite at epoch 1, step 2",
    ]


# --- what notes and legends name


def test_the_legend_of_curves_has_the_levels_that_have_a_line_in_their_order():
    analysis = made(
        {"lr": [0.1, 0.01, 0.02, 1e6], "norm": ["bn", "none"]}, value=noisy,
        status=lambda row: "pending" if row["lr"] == 0.02 else design(row),
    )  # fmt: skip
    (legend,) = plots.curves_figure(analysis).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert [text for text in texts if text.startswith("lr=")] == ["lr=0.01", "lr=0.1"]


def test_a_legend_is_read_row_by_row():
    factors = {"a_factor_with_a_long_name_indeed": [f"level number {k}" for k in range(4)]}
    figure = plots.curves_figure(made(factors, value=noisy))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    boxes = [(text.get_window_extent(), text.get_text()) for text in legend.get_texts()]
    rows = sorted(boxes, key=lambda each: (-round(each[0].y0), each[0].x0))
    assert len({round(box.y0) for box, _ in boxes}) > 1
    assert [text[-1] for _, text in rows if "=" in text] == list("0123")


def test_words_name_bars_and_bands_only_where_there_are_some():
    one = made(GRID, value=noisy, seeds=1)
    several = made(GRID, value=noisy)
    many = made({"lr": [k / 100 for k in range(1, 15)], "norm": ["bn", "none"]}, value=noisy)
    told = [joined(plots.interactions_figure(each)) for each in (one, several, many)]
    assert ["Bars:" in text for text in told] == [False, True, False]
    assert ["Bands:" in text for text in told] == [False, False, True]
    for make in (plots.curves_figure, plots.overfitting_figure):
        assert ["band:" in joined(make(each)) for each in (one, several)] == [False, True]


def test_intervals_of_shares_end_at_1_in_pictures():
    analysis = made(GRID, value=lambda row: 0.96 + 0.02 * row["seed"], seeds=3)
    (axes,) = plots.interactions_figure(analysis).axes
    ends = [bar.get_segments()[0][:, 1] for line in axes.containers for bar in line.lines[2]]
    # t(0.975, 2) s / sqrt(3) = 4.3027 * 0.02 / 1.7321
    assert np.array(ends) == pytest.approx(np.array([[0.98 - 0.04968, 1.0]] * len(ends)), abs=1e-5)
    assert "0.9303 to 1.0000" in joined(plots.grid_figure(analysis))
    dots = plots.grid_figure(made({"norm": ["a"]}, value=lambda r: 0.96 + 0.02 * r["seed"])).axes[0]
    assert labelled(dots, "interval")[0].get_segments()[0][1][0] == 1


def test_the_effects_explain_both_lines_and_the_indented_rows():
    figure = plots.effects_figure(made(GRID, value=noisy, seeds=5))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"95% interval", "95%, all at once"} <= set(texts)
    told = "Indented: the same at one level of another factor, tested as"
    assert told in joined(figure)
    assert "95%" not in joined(plots.effects_figure(made({"n": ["a", "b"]}, seeds=1)))


def test_a_headline_of_260_letters_is_wrapped_and_not_cut():
    headline = " ".join(["with norm=bn the accuracy is 6.8 points higher"] * 6)[:260]
    figure = empty("nothing", headline, "note")  # as narrow as a picture can be
    assert figure.texts[0].get_text().replace("\n", " ") == headline
