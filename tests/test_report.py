"""The report: its files, its pictures, its words."""

import pandas as pd
import pytest
from conftest import command
from PIL import Image
from test_aggregate import sweep_on_disk

from cnnlab import aggregate, plots, report, stats
from cnnlab.faults import Refused


def accuracy(run) -> float:
    """By hand: batch norm 0.9 and 0.8, none 0.7 and 0.6; seed 1 is 0.01 better."""
    config = run.job.config
    base = 0.9 if run.job.choices["norm"] == "bn" else 0.7
    return base - (0.1 if config.lr["base"] == 0.2 else 0) + 0.01 * config.seed


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plots.plt.close("all")


@pytest.fixture
def grid():
    return sweep_on_disk("norm=bn,none", "lr=0.1,0.2", "seed=0,1", accuracy=accuracy)


def test_the_files_and_what_they_say(grid):
    report.report(grid.folder, "best_val_accuracy")
    out = grid.folder / "report"
    assert sorted(path.name for path in out.iterdir()) == [
        "cache.npz", "curves.png", "grid.png", "runs.csv", "summary.csv",
    ]  # fmt: skip
    summary = pd.read_csv(out / "summary.csv")
    assert summary.columns.tolist()[:3] == ["norm", "lr", "n"]
    told = summary[["norm", "lr", "n", "mean"]].values.tolist()
    assert told == [
        ["bn", 0.1, 2, 0.905], ["bn", 0.2, 2, 0.805],
        ["none", 0.1, 2, 0.705], ["none", 0.2, 2, 0.605],
    ]  # fmt: skip
    assert len(pd.read_csv(out / "runs.csv")) == 8


def test_pictures_are_big_enough_to_read(grid):
    report.report(grid.folder, "best_val_accuracy")
    for name in ("curves.png", "grid.png"):
        with Image.open(grid.folder / "report" / name) as image:
            assert image.width >= 1000
            assert image.info["dpi"] == pytest.approx((200, 200), abs=1)


def figures(planned, metric="best_val_accuracy"):
    sweep = aggregate.read(planned.folder)
    summary = stats.summary(sweep.runs, sweep.factors, metric)
    grid = plots.grid_figure(sweep.runs, summary, sweep.factors, metric, "Title", "note")
    curves = plots.curves_figure(sweep.epochs, summary, sweep.factors, "Title", "note")
    return grid, curves


def words(figure) -> str:
    """Every text of a figure."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_a_heat_map_shows_each_cells_mean_and_interval(grid):
    text = words(figures(grid)[0])
    # t(0.975, 1) s / sqrt(2) = 12.7062 * 0.005
    for cell in ("0.905\n±0.064", "0.805\n±0.064", "0.705\n±0.064", "0.605\n±0.064"):
        assert cell in text


@pytest.mark.parametrize("state", ["failed", "diverged", "pending"])
@pytest.mark.parametrize(
    "factors", [["norm=bn,none"], ["norm=bn,none", "lr=0.1,0.2"],
                ["norm=bn,none", "lr=0.1,0.2", "epochs=1,2"]],
)  # fmt: skip
def test_a_cell_without_a_result_says_why_in_both_pictures(state, factors):
    planned = sweep_on_disk(
        *factors, status=lambda run: state if run.job.choices["norm"] == "none" else "done"
    )
    for figure in figures(planned):
        assert f"1 {state}" in words(figure)


@pytest.mark.parametrize(
    "factors",
    [
        [], ["norm=bn,none"], ["norm=bn,none,gn", "lr=0.1,0.2"],
        ["norm=bn,none", "lr=0.1,0.2", "activation=relu,gelu"],
        ["norm=bn,none", "lr=0.1,0.2", "activation=relu,gelu", "epochs=1,2"],
        ["activation=relu,silu,gelu,leaky_relu,elu,mish,tanh", "norm=bn,none"],
        ["augment=none,flip,crop,crop_flip,cutout,crop_flip_cutout,vflip,rot180"],
        ["sweeps=homework"],
    ],
)  # fmt: skip
def test_no_text_is_cut_off_and_no_panels_title_touches_its_neighbour(factors):
    for figure in figures(sweep_on_disk(*factors)):
        figure.canvas.draw()
        width, height = figure.canvas.get_width_height()
        titles = [axes.title for axes in figure.axes]
        for text in [figure._suptitle, *titles, *(t for g in figure.legends for t in g.texts)]:
            if text.get_text():
                box = text.get_window_extent()
                assert box.x0 >= -1
                assert box.y0 >= -1
                assert box.x1 <= width + 1
                assert box.y1 <= height + 1
        boxes = [title.get_window_extent() for title in titles if title.get_text()]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_title_says_the_finding(grid):
    sweep = aggregate.read(grid.folder)
    summary = stats.summary(sweep.runs, sweep.factors, "best_val_accuracy")
    assert report.finding(summary, sweep.factors, "best_val_accuracy") == (
        "Highest mean with norm=bn, lr=0.1: best validation accuracy 0.905"
    )


def test_a_sweep_in_which_nothing_is_done_is_reported_too():
    planned = sweep_on_disk("norm=bn,none", status=lambda run: "pending")
    sweep, summary, _ = report.report(planned.folder, "best_val_accuracy")
    assert report.finding(summary, sweep.factors, "best_val_accuracy") == (
        "No run has a best validation accuracy yet"
    )


def test_small_numbers_stay_apart_in_the_csv():
    planned = sweep_on_disk("lr=1e-7,2e-7,1e-3")
    report.report(planned.folder, "best_val_accuracy")
    summary = pd.read_csv(planned.folder / "report" / "summary.csv")
    assert summary["lr"].tolist() == [1e-7, 2e-7, 1e-3]


def test_whole_numbers_are_shown_as_such():
    planned = sweep_on_disk("augment=crop", "augment.crop.padding=2,4")
    text = words(figures(planned)[0])
    assert "augment.crop.padding=2\n" in text + "\n"
    assert "2.0" not in text


def test_a_sweep_of_very_many_variants_is_still_two_pictures():
    rates = ",".join(str(0.001 * k) for k in range(1, 121))
    planned = sweep_on_disk(f"lr={rates}", accuracy=lambda run: run.job.config.lr["base"])
    for figure in figures(planned):
        assert max(figure.get_size_inches()) * plots.DPI < 10_000
    text = words(figures(planned)[1])
    assert "best at the end: lr=0.12" in text
    assert "the best 100 of 120 variants" in words(figures(planned)[0])


def test_one_bad_sweep_does_not_keep_the_others_from_their_report(grid, tmp_path):
    bad = tmp_path / "outputs" / "bad"
    bad.mkdir()
    (bad / "plan.json").write_text("{")
    done = command("report", cwd=tmp_path)
    assert done.returncode == 1
    assert "bad: cannot be reported" in done.stdout
    assert "mine: best validation accuracy" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_published_number_is_a_cross_beside_the_dots():
    figure, _ = figures(sweep_on_disk("sweeps=homework"))
    crosses = next(c for c in figure.axes[0].collections if c.get_label() == "published")
    numbers = [0.6614, 0.7206, 0.7148, 0.7042, 0.6804, 0.7322]
    assert crosses.get_offsets()[:, 0].tolist() == numbers
    assert crosses.get_offsets()[:, 1].tolist() == [0, 1, 2, 3, 4, 5]


def test_one_variant_with_published_numbers_is_reported(tmp_path):
    variant = "{overrides:'norm=bn',published:{best_val_accuracy:0.7}}"
    planned = sweep_on_disk(f"sweep.variants=[{variant}]")
    report.show(*report.report(planned.folder, "best_val_accuracy"), "best_val_accuracy")


def test_values_with_commas_and_quotes_survive_the_csv():
    planned = sweep_on_disk("norm=bn,none")
    path = planned.folder / "plan.json"
    path.write_text(path.read_text().replace('"norm": "bn"', '"norm": "b,\\"n\\nü"'))
    report.report(planned.folder, "best_val_accuracy")
    summary = pd.read_csv(planned.folder / "report" / "summary.csv")
    assert summary["norm"].tolist() == ['b,"n\nü', "none"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mertic=x"], "Nearest: metric"), (["metric=accuracy"], "Allowed: best_val_accuracy"),
        (["bn_lr"], "write key=value"), (["mertic=x", "metric=y", "z"], "3 faults"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(arguments, told):
    with pytest.raises(Refused, match=told):
        report.settings(arguments)


def test_the_command_prints_the_table_and_where_it_is(grid, tmp_path):
    done = command("report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine: best validation accuracy" in done.stdout
    assert "0.9050" in done.stdout
    assert "outputs/mine/report" in done.stdout
    assert "no verdict" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_help_names_every_metric_and_fits_a_terminal(tmp_path):
    done = command("report", "--help", cwd=tmp_path)
    for metric in plots.LABELS:
        assert metric in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 79


def test_one_seed_is_no_verdict(tmp_path):
    sweep_on_disk("norm=bn,none")
    assert "One seed a variant: no verdict" in command("report", cwd=tmp_path).stdout


def test_published_numbers_are_shown_beside_ours(tmp_path):
    sweep_on_disk("sweeps=homework", accuracy=lambda run: 0.7)
    done = command("report", "name=mine", cwd=tmp_path)
    assert "published | measured" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    beside = pd.read_csv(tmp_path / "outputs/mine/report/published.csv")
    first = beside[beside["metric"] == "best_val_accuracy"].iloc[0]
    assert first["published"] == 0.6614
    assert first["difference"] == pytest.approx(0.0386)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["name=other"], "There are: mine"), (["outputs=nowhere"], "No sweep below nowhere"),
        (["name=mien"], "Nearest: mine"),
    ],
)  # fmt: skip
def test_a_sweep_that_is_not_there_is_refused_with_exit_code_2(arguments, told, grid, tmp_path):
    done = command("report", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
