"""Tables as text: nothing in a cell becomes a formula, markup or a command."""

import io
import shutil
import subprocess

import pandas as pd
import pytest
from test_sweeps import sweep_on_disk

from cnnlab.records.reading import sweeps
from cnnlab.report.export import csv, latex, markdown, sections
from cnnlab.report.settings import Settings
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
    titles = [title for title, _ in sections(analysis)]
    assert all("best validation accuracy" in title for title in titles)
    assert "Holm over 2 comparisons" in titles[1]  # norm, lr
    assert "Holm over 4 comparisons" in titles[2]
    assert "Holm over 3 comparisons" in titles[3]


def test_a_variant_that_lacks_runs_says_so_beside_its_mean():
    analysis = analysis_of(
        "norm=bn,none", "seed=0,1,2", accuracy=lambda run: 0.5,
        status=lambda run: "diverged"
        if run.job.config.seed == 2 and run.job.choices["norm"] == "none" else "done",
    )  # fmt: skip
    table = sections(analysis)[0][1]
    assert table.set_index("norm").loc["none", "best validation accuracy"] == "0.5000 (2 of 3 runs)"
    assert table.set_index("norm").loc["bn", "best validation accuracy"] == "0.5000"


@pytest.mark.parametrize("level", WEIRD)
def test_no_sign_of_a_value_is_a_command_in_latex(weird, level):
    text = latex(weird(level))
    for line in text.splitlines():
        if "script" in line:
            assert "<" not in line
    assert (
        text.count("\\begin{longtable}")
        == text.count("\\end{longtable}")
        == len(sections(weird(level)))
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
