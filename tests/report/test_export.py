"""Tables as text: nothing in a cell becomes a formula, markup or a command."""

import io
import shutil
import subprocess

import pandas as pd
import pytest
from pages import Reader
from test_sweeps import sweep_on_disk

from cnnlab.records.reading import sweeps
from cnnlab.report.export import csv, latex, markdown
from cnnlab.report.page import page
from cnnlab.report.settings import Settings
from cnnlab.report.tables import tables
from cnnlab.report.terminal import show
from cnnlab.report.write import analysed

WEIRD = [
    "=1+1",
    "@SUM(A1)",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "\t=1",
    "a|b",
    "<script>",
    "a&b_c%$#{}~^\\",
]


def analysis_of(*overrides, **given):
    return analysed(sweeps.read(sweep_on_disk(*overrides, **given).folder), Settings())


@pytest.fixture
def weird():
    """A sweep with a level that means something elsewhere."""

    def made(level):
        planned = sweep_on_disk("norm=bn,none", "seed=0,1", accuracy=lambda run: 0.5)
        plan = planned.folder / "plan.json"
        text = plan.read_text().replace('"norm": "bn"', f'"norm": {pd.io.json.ujson_dumps(level)}')
        plan.write_text(text)
        return analysed(sweeps.read(planned.folder), Settings())

    return made


@pytest.mark.parametrize("text", WEIRD[:5])
def test_no_cell_of_a_csv_is_a_formula(text):
    found = csv(pd.DataFrame({"a": [text], "b": [1.0]}))
    cell = pd.read_csv(io.StringIO(found))["a"].iloc[0]
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["-", "-0.5", "+1e-3", "bn", "1e-05", "", 'ü, "x"\ny'])
def test_what_is_no_formula_stays_as_it_is(text):
    found = csv(pd.DataFrame({"a": [text], "b": [1.0]}))
    read = pd.read_csv(io.StringIO(found), dtype=str, keep_default_na=False)
    assert read["a"].iloc[0] == text


def test_numbers_keep_six_digits_and_their_sign():
    assert csv(pd.DataFrame({"a": [-0.123456789, 1e-7]})) == "a\n-0.123457\n1e-07\n"


@pytest.mark.parametrize("level", WEIRD)
def test_every_row_of_a_markdown_table_has_as_many_cells(weird, level):
    text = markdown(weird(level), [])
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        bars = {line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines}
        assert len(bars) <= 1
    assert rows


def test_the_family_and_the_metric_stand_in_each_tables_head():
    analysis = analysis_of(
        "norm=bn,none", "lr=0.1,0.2", "seed=0,1,2",
        accuracy=lambda run: 0.5 + 0.1 * (run.job.choices["norm"] == "bn")
        + 0.001 * run.job.config.seed ** 2 * (1 + run.job.config.lr["base"])
        * (1 + (run.job.choices["norm"] == "bn")),
    )  # fmt: skip
    text, tex = (" ".join(made.split()) for made in (markdown(analysis, []), latex(analysis)))
    metric = "Best validation accuracy (each run counts with its best epoch)"
    assert len(text.split(metric)) - 1 == len(tex.split(metric)[1::2]) == len(tables(analysis)) == 6
    for heads in (text.split(metric)[1:], tex.split(metric)[1::2]):  # LaTeX has each head twice
        assert "One family of 2 comparisons, p adjusted by Holm" in heads[1]  # norm, lr
        assert "One family of 4 comparisons, p adjusted by Holm" in heads[2]
        assert "One family of 3 comparisons, p adjusted by Holm" in heads[3]


def test_the_headline_stands_alone_and_all_else_is_a_list(capsys):
    analysis = analysis_of(
        "norm=bn,none", "lr=0.1,0.2", "seed=0,1,2",
        accuracy=lambda run: 0.5 + 0.1 * run.job.config.lr["base"] * run.job.config.seed,
    )  # fmt: skip
    headline, *others = analysis.sentences
    assert len(others) >= 2
    blocks = markdown(analysis, ["a problem"]).replace("\\", "").split("\n\n")
    place = blocks.index(f"**{headline}**")
    assert blocks[1:place] == list(analysis.notices)
    assert blocks[place + 1 : place + 3] == [
        "\n".join(f"- {each}" for each in others),
        "- a problem",
    ]
    show(analysis)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    printed = " ".join(" ".join(lines).split())
    assert " - ".join([headline, *others]) in printed
    assert sum(line.startswith("  - ") for line in lines) == len(others)


def test_a_variant_that_lacks_runs_says_so_beside_its_mean():
    analysis = analysis_of(
        "norm=bn,none", "seed=0,1,2", accuracy=lambda run: 0.5,
        status=lambda run: "diverged"
        if run.job.config.seed == 2 and run.job.choices["norm"] == "none" else "done",
    )  # fmt: skip
    table = tables(analysis)[0].texts(9).set_index("norm")
    kept = ["mean", "seeds", "missing"]
    assert table.loc["none", kept].tolist() == ["partial 0.5000", "2 of 3", "1 diverged"]
    assert table.loc["bn", kept].tolist() == ["0.5000", "3", "-"]


def test_the_page_markdown_latex_and_the_terminal_have_the_same_cells(capsys):
    analysis = analysis_of(
        "norm=bn,none", "lr=0.1,0.2", "seed=0,1,2",
        accuracy=lambda run: 0.5 + 0.03 * (run.job.choices["norm"] == "bn")
        + 0.01 * run.job.config.seed * run.job.config.lr["base"],
    )  # fmt: skip
    show(analysis)
    printed = capsys.readouterr().out
    whole, text, tex = Reader(page(analysis, {})), markdown(analysis, []), latex(analysis)
    for table in tables(analysis):
        assert whole.block(table.id)["rows"] == table.rows
        for written, detail in ((text, 2), (tex, 1)):
            some = table.texts(99, detail)
            assert len(some) == table.total
            plain = written.replace(r"\textless{}", "<").replace("&lt;", "<").replace("\\", "")
            for cell in {*some.to_numpy().ravel(), *some.columns}:
                assert cell in plain, (table.id, cell)
    for cell in tables(analysis)[0].texts(99, detail=0).to_numpy().ravel():
        assert cell in printed


@pytest.mark.parametrize("level", WEIRD)
def test_no_sign_of_a_value_is_a_command_in_latex(weird, level):
    text = latex(weird(level))
    for line in text.splitlines():
        if "script" in line:
            assert "<" not in line
    assert (
        text.count("\\begin{longtable}")
        == text.count("\\end{longtable}")
        == len(tables(weird(level)))
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (texlive)")
def test_latex_compiles(weird, tmp_path):
    body = "\n".join(latex(weird(level)) for level in WEIRD)
    (tmp_path / "a.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,longtable}"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    for _ in range(2):  # longtable measures its columns in the first pass
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"],
            cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "a.pdf").stat().st_size > 10_000
