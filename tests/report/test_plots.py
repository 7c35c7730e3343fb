"""What holds for every picture."""

import io
import warnings
from xml.etree import ElementTree

import matplotlib
import pytest
from drawing import GRID, WEIRD, joined, made, many, noisy, overfit, some_bad
from matplotlib import colors
from PIL import Image

from cnnlab.report import plots
from cnnlab.report.plots.effects import SIGNS
from cnnlab.report.plots.sheet import STYLE
from cnnlab.report.plots.text import fitted, measured

# --- all of them


AWKWARD = {
    "one seed": lambda: made(GRID, value=noisy, seeds=1),
    "two seeds": lambda: made({"norm": list("abcdef")}, value=noisy, seeds=2),
    "some bad": lambda: made(GRID, value=noisy, status=some_bad, curve=overfit),
    "all failed": lambda: made(GRID, status=lambda row: "failed"),
    "all diverged": lambda: made(GRID, status=lambda row: "diverged"),
    "one variant": lambda: made({}, value=noisy),
    "one run that failed": lambda: made({}, seeds=1, status=lambda row: "failed"),
    "four factors": lambda: made(
        {"norm": ["bn", "none"], "lr": [0.01, 0.1], "act": ["a", "b"], "aug": ["no", "crop"]},
        value=noisy, seeds=2,
        macs=lambda t: 10.0 ** t["variant"], parameters=lambda t: 10_000 + t["variant"],
    ),
    "equal": lambda: made(GRID),
    "a level that is null": lambda: made({"clip": [None, 1.0], "norm": ["a", "b"]}, value=noisy),
    "weird text": lambda: made(WEIRD, value=noisy, status=lambda row: "done" if row["variant"] % 4
                               or row["seed"] else "diverged", own_seconds=lambda t: t.index + 1.0),
}  # fmt: skip


def shown_texts(figure):
    """Texts that are seen, ticks beyond the axes left out."""
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        if not axes.axison:
            texts += axes.texts
            continue
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        legend = axes.get_legend()
        texts += legend.get_texts() if legend else []
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=False)
            texts += [text for at, text in ticks if min(low, high) <= at <= max(low, high)]
    return [text for text in texts if text.get_text().strip() and text.get_visible()]


@pytest.mark.parametrize("case", AWKWARD)
def test_no_text_leaves_the_picture_and_no_panels_title_touches_another(case):
    analysis = AWKWARD[case]()
    for make in plots.FIGURES.values():
        figure = make(analysis)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.draw_without_rendering()
            whole = figure.bbox.padded(2)
            for text in shown_texts(figure):
                box = text.get_window_extent()
                assert whole.x0 <= box.x0 < box.x1 <= whole.x1, text
                assert whole.y0 <= box.y0 < box.y1 <= whole.y1, text
            heads = [*figure.texts, *(axes.title for axes in figure.axes)]
            boxes = [head.get_window_extent() for head in heads if head.get_text()]
        assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
        assert len(figure.texts) == 2  # what was found, and what it rests on
        assert all(text.get_text() for text in figure.texts)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (plots.curves_figure, "No epoch of a finished run to show."),
        (plots.overfitting_figure, "No epoch of a finished run to show."),
        (plots.cost_figure, "No finished run to show."),
        (plots.interactions_figure, "Nothing can interact: the sweep has no factor."),
        (plots.effects_figure, "One variant: there is nothing to compare it with."),
        (plots.grid_figure, "0 of 1 seed; 1 failed"),
    ],
)
def test_a_picture_of_nothing_says_why(make, told):
    assert told in joined(make(AWKWARD["one run that failed"]()))


def test_what_is_missing_is_in_the_note_of_each_picture():
    analysis = made(GRID, value=noisy, status=some_bad)
    for make in plots.FIGURES.values():
        assert "of 18 runs 2 diverged, 3 failed, 2 pending" in joined(make(analysis))


def test_files_are_the_same_each_time_and_hold_text_as_text():
    analysis = AWKWARD["weird text"]()
    one, two = (plots.save(plots.grid_figure(analysis)) for _ in range(2))
    assert one == two
    with Image.open(io.BytesIO(one["png"])) as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=1)
    root = ElementTree.fromstring(one["svg"])
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "$x_1$ & <script> 100%" in " ".join(texts)
    assert b"<script" not in one["svg"]
    assert b"dc:date" not in one["svg"]


def test_pictures_of_very_many_variants_are_small_files():
    files = plots.pictures(many())
    assert set(files) == {f"{name}.{kind}" for name in plots.FIGURES for kind in ("png", "svg")}
    for name, content in files.items():
        assert len(content) < 1_000_000, name
        if name.endswith("png"):
            with Image.open(io.BytesIO(content)) as image:
                assert 1000 <= image.width <= 3200
                assert 300 <= image.height <= 3200


def test_nobody_elses_pictures_change():
    """Neither by the import of this package nor by its drawing."""
    plots.save(plots.grid_figure(AWKWARD["one variant"]()))
    assert {key: matplotlib.rcParams[key] for key in STYLE} == {
        key: matplotlib.rcParamsDefault[key] for key in STYLE
    }


def test_nothing_stays_open():
    from matplotlib import pyplot as plt

    plots.save(plots.cost_figure(AWKWARD["one variant"]()))
    assert plt.get_fignums() == []


# --- text


def test_a_fitted_text_is_as_wide_as_matplotlib_says():
    figure = plots.cost_figure(AWKWARD["one variant"]())
    for text in ("Validation", "norm=bn, lr=0.01", "ünï $x$"):
        wide = figure.text(0, 0, fitted(text, 9, 10), size=10).get_window_extent().width
        assert measured(text) * 10 / 72 == pytest.approx(wide / figure.dpi, rel=0.03)


def test_a_text_that_is_too_long_keeps_both_ends():
    first, last = (fitted("a" * 500 + end, 2, 9, 2) for end in "xy")
    assert first != last
    assert first.count("\n") == 1
    assert all(measured(line) * 9 / 72 <= 2.01 for line in first.split("\n"))
    assert fitted("short", 2, 9, 2) == "short"


def test_colours_are_seaborns_colorblind_palette():
    assert [colors.to_hex(sign[0]) for sign in SIGNS.values()][:2] == ["#0173b2", "#d55e00"]
