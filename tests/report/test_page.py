"""The page: what stands on it, that text stays text, that it is small and asks for nothing."""

import hashlib
import html
import io
import json
import re
from datetime import datetime

import numpy as np
import pytest
from pages import WEIRD, Reader, analysed, sweep_of
from PIL import Image

from cnnlab.records.reading.found import Problem
from cnnlab.report.columns import Column, text
from cnnlab.report.page import Row, listing, page
from cnnlab.report.page.document import HERE, STYLES, data_uri, embedded
from cnnlab.report.page.figures import LARGE, figures
from cnnlab.report.page.missing import state
from cnnlab.statistics.analysis import Analysis, analyse

LR = [0.01, 0.02, 0.1]


def png(pixels, **settings) -> bytes:
    told = io.BytesIO()
    Image.fromarray(pixels).save(told, "PNG", **settings)
    return told.getvalue()


PNG = png(np.zeros((2, 9), np.uint8))


@pytest.fixture(scope="module")
def found() -> Analysis:
    fates = {4: ("diverged", "the loss is not finite"), 7: ("failed", "boom"), 17: ("pending", "")}
    problems = [Problem("made/x/result.json", "it is cut short", "Move it away.")]
    return analysed(sweep_of({"norm": ["none", "bn"], "lr": LR}, fates=fates, problems=problems))


# --- content


def test_the_page_tells_everything_in_its_order(found):
    told = Reader(page(found, {"grid.png": PNG, "effects.svg": b"<svg/>"}))
    order = [
        "15 of 18 runs done", "1 diverged", "1 failed", "1 pending", "it is cut short",
        "Move it away.", found.sentences[0], *found.sentences[1:], "Pictures", "Each cell",
        "Variants", "Effects, averaged", "Effects at each level", "Against the baseline",
        "Interactions", "Learning curves", "Runs", "Smallest effect of interest", "0.5 points",
        "python -m cnnlab.report name=made metric=best_val_accuracy",
    ]  # fmt: skip
    place = 0
    for words in order:  # each after the one before; the title and the links come earlier
        place = told.words.index(words.replace("`", ""), place)


def test_each_table_states_its_metric_and_its_family(found):
    told = Reader(page(found, {})).words
    assert told.count("Best validation accuracy (each run counts with its best epoch)") >= 6
    comparisons = int(found.effects.loc[found.effects["kind"] == "average", "comparisons"].iloc[0])
    assert f"One family of {comparisons} comparisons, p adjusted by Holm" in told
    assert "Baseline: norm=none, lr=0.01." in told


def test_the_last_epoch_is_named_where_it_counts(found):
    told = Reader(page(analysed(found.sweep, "final_train_loss"), {})).words
    assert "Last training loss (nats) (each run counts with its last epoch; less is better)" in told
    assert "differences in nats" in told


def test_a_mean_that_leaves_runs_out_is_marked(found):
    rows = Reader(page(found, {})).block("summary")
    mean = [column["head"] for column in rows["columns"]].index("mean")
    partial = [row[:2] for row in rows["rows"] if row[mean][1]]
    assert partial == [["none", "0.02"], ["none", "0.1"]]
    missing = [column["head"] for column in rows["columns"]].index("missing")
    assert rows["rows"][1][missing] == [[1, "diverged"]]


def test_numbers_of_a_table_are_those_of_the_analysis(found):
    block = Reader(page(found, {})).block("effects")
    rows = found.effects[found.effects["kind"] == "average"]
    heads = [column["head"] for column in block["columns"]]
    told = [row[heads.index("difference (points)")][0] for row in block["rows"]]
    assert told == pytest.approx(100 * rows["difference"].to_numpy(), rel=1e-5)
    assert [row[heads.index("verdict")][0] for row in block["rows"]] == rows["verdict"].tolist()


def test_curves_are_the_mean_and_range_of_the_runs_that_are_done(found):
    block = Reader(page(found, {})).block("curves")
    epochs = found.sweep.epochs
    rows = epochs[(epochs["variant"] == 3) & (epochs["epoch"] == 2)]["val_accuracy"]
    place = 3 * len(block["epochs"]) + block["epochs"].index(2)
    of = {name: block["val_accuracy"][name][place] / 10_000 for name in ("mean", "low", "high")}
    assert of["mean"] == pytest.approx(rows.mean(), abs=5e-5)
    assert of["mean"] - of["low"] == pytest.approx(rows.min(), abs=1e-4)
    assert of["mean"] + of["high"] == pytest.approx(rows.max(), abs=1e-4)
    assert block["variants"][1][1:] == ["norm=none, lr=0.02", "1 diverged"]


def test_every_run_can_be_put_together_again(found):
    block = Reader(page(found, {})).block("runs")
    table = found.sweep.runs
    assert block["directory"] == table["directory"].tolist()
    assert [block["states"][code] for code in block["status"]] == table["status"].tolist()
    for place, run_id in enumerate(table["run_id"]):
        told = dict(block["common"])
        told |= {key: texts[codes[place]] for key, texts, codes in block["keys"]}
        assert told == {key: str(value) for key, value in found.sweep.settings[run_id].items()}
    assert dict(block["common"]) == {"epochs": "4"}
    errors = [block["errors"][code] for code in block["error"] if code >= 0]
    assert errors == ["the loss is not finite", "boom", ""]


def test_damaged_records_are_counted_alike_wherever_they_are_counted():
    """Three runs are unreadable, and a fourth has lost no more than its curve."""
    fates = dict.fromkeys((1, 4, 5), ("unreadable", None)) | {2: ("failed", "boom")}
    problems = [Problem(f"made/{k}/x", "it is cut short", "Move it.") for k in range(4)]
    sweep = sweep_of({"norm": ["none", "bn"]}, fates=fates, problems=problems)
    told = Reader(page(analysed(sweep), {}))
    assert "2 of 6 runs done 1 failed 3 unreadable" in told.words
    assert "4 problems on disk: 3 records that cannot be read, 1 other made/0/x" in told.words
    assert "3 unreadable its record cannot be read" in told.words
    notes = [note for *_, note in told.block("curves")["variants"]]
    assert notes == ["1 failed, 1 unreadable", "2 unreadable"][: len(notes)]
    assert told.block("curves")["left_out"] == 2 - len(notes)


def test_the_headline_is_a_line_and_all_else_a_list(found):
    code = page(found, {})
    others = re.search(r'<ul class="sentences">(.*?)</ul>', code, re.S)[1]
    assert len(found.sentences) > 2
    items = [Reader(item).words.strip() for item in re.findall("<li>(.*?)</li>", others, re.S)]
    assert items == [sentence.replace("`", "") for sentence in found.sentences[1:]]
    assert Reader(re.search('<p class="headline">(.*?)</p>', code)[1]).words == found.sentences[0]


@pytest.mark.parametrize(
    ("unreadable", "problems", "told"),
    [
        (4, 9, "9 problems on disk: 4 records that cannot be read, 5 others"),
        (1, 1, "1 problem on disk: 1 record that cannot be read"),
        (1, 2, "2 problems on disk: 1 record that cannot be read, 1 other"),
        (0, 2, "2 problems on disk"), (0, 0, ""),
    ],
)  # fmt: skip
def test_damage_is_counted_as_above_it(unreadable, problems, told):
    fates = dict.fromkeys(range(unreadable), ("unreadable", None))
    problems = [Problem(f"made/{k}", "it is cut short", "Move it.") for k in range(problems)]
    sweep = sweep_of({"norm": ["none", "bn"]}, fates=fates, problems=problems)
    found = state(analysed(sweep))
    assert found.damage == told
    assert found.counts.get("unreadable", 0) == unreadable


def test_the_list_of_sweeps():
    rows = [
        Row("bn_lr", "Does it help?", "It helps.", {"done": 5, "failed": 1, "pending": 2},
            datetime(2024, 5, 6, 7, 8), "bn_lr/report/index.html", ["norm", "lr"]),
        Row("empty"),
    ]  # fmt: skip
    told = Reader(listing(rows))
    for words in (
        "Does it help?",
        "It helps.",
        "5 of 8",
        "1 failed",
        "2 pending",
        "2024-05-06",
        "norm, lr",
    ):
        assert words in told.words
    assert "bn_lr/report/index.html" in told.addresses
    assert "2 sweeps, 8 runs" in told.words
    assert "No sweep yet" in Reader(listing([])).words


# --- text stays text


def test_text_from_the_sweep_never_becomes_a_tag():
    levels = {"norm": ["none", WEIRD], "x<b>": ["ü", "a, b"]}
    problems = [Problem(WEIRD, WEIRD, WEIRD)]
    fates = {2: ("failed", WEIRD)}
    sweep = sweep_of(levels, fates=fates, question=WEIRD, problems=problems, shared={"s": WEIRD})
    plain = Reader(page(analysed(sweep_of({"norm": ["none", "y"], "x": ["ü", "b"]})), {}))
    code = page(analysed(sweep), {f"{WEIRD}.png": PNG})
    told = Reader(code)
    assert told.tags.count("script") == plain.tags.count("script")
    assert "b" not in told.tags
    assert 'alert("1")' not in re.sub(r"\s+", " ", code)  # its quotes are escaped everywhere
    assert re.sub(r"\s+", " ", WEIRD) in told.words
    assert WEIRD in [row[0] for row in told.block("summary")["rows"]]
    assert dict(told.block("runs")["common"])["s"] == WEIRD


def test_text_in_the_list_of_sweeps_never_becomes_a_tag():
    told = Reader(listing([Row(WEIRD, WEIRD, WEIRD, {}, None, WEIRD)]))
    assert told.tags.count("script") == Reader(listing([Row("x")])).tags.count("script")
    assert WEIRD in told.addresses


def test_data_survives_its_escaping():
    data = {"</script>": [WEIRD, None, 1.5, "\ud800", "\u2029"]}
    code = embedded(data)
    assert json.loads(code) == data
    assert not set("<>&\u2028\u2029\ud800") & set(code)


def test_half_a_surrogate_pair_can_be_written():
    code = page(analysed(sweep_of({"norm": ["none", "\ud800"]})), {})
    assert code.encode()


def test_a_number_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        embedded([float("nan")])


# --- nothing from outside


def test_no_address_leads_out(found):
    told = Reader(page(found, {"grid.png": PNG}))
    assert told.addresses
    assert all(address.startswith(("#", "data:")) for address in told.addresses)


def test_the_policy_allows_only_the_scripts_of_the_page(found):
    code = page(found, {})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', code)[1]
    assert "default-src &#39;none&#39;" in policy
    allowed = re.search("script-src ([^;]*);", html.unescape(policy))[1]
    assert allowed.count("sha256-") == len(re.findall("<script>", code))
    assert "unsafe" not in allowed


def test_scripts_can_stand_in_a_page():
    for path in [*HERE.glob("static/*.js"), *HERE.glob("vendor/*.js")]:
        code = path.read_text(encoding="utf-8")
        assert "</script" not in code.lower()
        assert "<!--" not in code
    for name in STYLES:
        code = (HERE / name).read_text(encoding="utf-8")
        assert "</style" not in code.lower()
        assert "url(" not in code
        assert "@import" not in code


def test_third_party_files_are_those_that_their_readme_names():
    told = (HERE / "vendor/README.md").read_text(encoding="utf-8")
    files = [path for path in HERE.glob("vendor/*") if path.suffix in (".js", ".css")]
    assert len(files) == 4
    for path in files:
        assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" in told


# --- awkward sweeps


@pytest.mark.parametrize(
    "sweep",
    [
        sweep_of({"norm": ["none", "bn"]}, seeds=1),
        sweep_of({"norm": ["none", "bn"]}, seeds=1, epochs=1),
        sweep_of({"norm": ["bn"]}),
        sweep_of({}),
        sweep_of({}, seeds=1),
        sweep_of({"lr": LR}, seeds=2, fates=dict.fromkeys(range(6), ("pending", None))),
        sweep_of({"lr": LR}, seeds=2, fates=dict.fromkeys(range(6), ("failed", "x"))),
        sweep_of({"lr": LR}, seeds=2, fates=dict.fromkeys(range(6), ("diverged", "x"))),
        sweep_of({"clip": [None, 1.0]}),
    ],
    ids=[
        "one seed", "one epoch", "one variant", "no factor", "one run", "none begun",
        "all failed", "all diverged", "null",
    ],
)  # fmt: skip
@pytest.mark.parametrize("metric", ["best_val_accuracy", "final_train_loss", "test_accuracy"])
def test_awkward_sweeps_have_a_page(sweep, metric):
    found = analysed(sweep, metric)
    told = Reader(page(found, {}))
    assert found.sentences[0].replace("`", "") in told.words  # they turn into code
    assert len(told.block("runs")["id"]) == len(sweep.runs)
    assert told.block("summary")


def test_one_seed_gets_no_interval():
    told = Reader(page(analysed(sweep_of({"lr": LR}, seeds=1)), {}))
    assert "one seed, no interval" in told.words
    heads = [column["head"] for column in told.block("summary")["columns"]]
    assert heads == ["lr", "value", "seeds", "last epoch", "seconds a run"]


def test_a_curve_that_is_not_finite_is_a_gap():
    sweep = sweep_of({"lr": LR}, seeds=1)
    sweep.epochs["val_loss"] = [np.inf, np.nan, 1e30, 2.0] * 3
    block = Reader(page(analysed(sweep), {})).block("curves")
    assert block["val_loss"]["mean"][:4] == [None, None, None, 20000]


# --- size


def test_a_thousand_variants_of_ten_seeds_stay_below_five_megabytes():
    """Two seeds stand for ten: only the list of runs grows with the seeds."""
    levels = {"norm": ["none", "bn"], "activation": list("abcde"), "lr": np.arange(1, 101) / 1000}
    levels["lr"] = levels["lr"].tolist()
    sweep = sweep_of(levels, seeds=2, epochs=30)
    assert len(sweep.runs) == 2000
    code = page(analysed(sweep), {"noise.png": _noise()})
    runs = len(Reader(code).data["data-runs"])
    assert len(code.encode()) + 4 * runs < 5e6


def _noise(side=900):
    return png(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def test_large_pictures_are_made_smaller_and_small_ones_are_left(found):
    noise = _noise()
    assert len(noise) > LARGE
    large, small = figures({"grid.png": noise, "x.svg": b"<svg/>"}, found)
    assert len(large.source) < 1.4 * LARGE
    assert large.width == 900
    assert small.source == "data:image/svg+xml;base64,PHN2Zy8+"
    assert figures({"grid.png": PNG}, found)[0].source == data_uri(PNG)
    assert figures({"grid.png": b""}, found) == []


def test_a_picture_has_its_own_width_whatever_was_made_of_its_pixels(found):
    """An inch is 96 pixels of a page and 72 points."""
    half = png(np.zeros((2, 100), np.uint8), dpi=(192, 192))
    svg = b'<?xml version="1.0"?><svg a="b" width="504pt" height="9pt"></svg>'
    told = {"a.png": half, "b.svg": svg, "c.svg": b"<svg/>"}
    assert [each.width for each in figures(told, found)] == [50, 672, None]


# --- cells


@pytest.mark.parametrize(
    ("cell", "column", "words"),
    [
        (0.03125, Column("", None, "number", 4), "0.0313"),
        (-0.00001, Column("", None, "number", 2, sign=True), "+0.00"),
        (1.239, Column("", None, "number", 2, sign=True), "+1.24"),
        (None, Column("", None, "number"), "-"),
        ([0.5, True], Column("", None, "mean", 1), "partial 0.5"),
        ([None, False], Column("", None, "mean", 1), "-"),
        ([-1, 2], Column("", None, "interval", 1, sign=True), "-1.0 to +2.0"),
        (0.00001, Column("", None, "p"), "< 0.001"),
        (["no verdict", "one seed"], Column("", None, "verdict"), "no verdict: one seed"),
        ([[2, "failed"], [1, "diverged"]], Column("", None, "missing"), "2 failed, 1 diverged"),
        ([], Column("", None, "missing"), "-"),
        ("bn", Column("", None, "level"), "bn"),
    ],
)  # fmt: skip
def test_cells_in_words(cell, column, words):
    assert text(cell, column) == words


def test_levels_of_vary_are_not_compared():
    """They say what a seed stands for, and change nothing else: all draws are the widest level."""
    levels = {"vary": ["[init]", None, "[split]"], "norm": ["bn", "none"]}
    found = analysed(sweep_of(levels))
    assert set(found.effects["factor"]) == {"norm"}
    assert len(found.against) == 1
    assert found.components["factor"].tolist() == ["vary"] * 3
    assert len(found.summary) == 6
    alone = analysed(sweep_of({"vary": levels["vary"]}))
    assert alone.sentences[0].startswith("One variant only, nothing to compare")
    assert "vary=null" in found.notices[0]
    for analysis in (found, alone):
        assert Reader(page(analysis, {})).block("summary")


def test_a_whole_report_can_be_one_family_in_which_nothing_counts_twice():
    several = sweep_of({"norm": ["none", "bn"], "lr": LR})
    apart, whole = (
        analyse(several, "best_val_accuracy", smallest=0.005, one_family=one)
        for one in (False, True)
    )
    tests = sum(
        int(table["p"].notna().sum())
        for table in (apart.effects, apart.against, apart.interactions)
    )
    for table in (whole.effects, whole.against, whole.interactions):
        assert set(table.loc[table["p_holm"].notna(), "comparisons"]) <= {tests}
    assert (whole.effects["p_holm"] >= apart.effects["p_holm"]).all()
    assert "in at most 5 of 100 sweeps." in Reader(page(whole, {})).words
    assert "(family=report: in 5)" in Reader(page(apart, {})).words
    one = sweep_of({"norm": ["none", "bn", "gn"]})
    found = analyse(one, "best_val_accuracy", smallest=0.005, one_family=True)
    assert found.effects["p_holm"].tolist() == found.against["p_holm"].tolist()
    assert set(found.effects["comparisons"]) == {2}
