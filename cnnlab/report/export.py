"""Tables as text: CSV for spreadsheets, Markdown, LaTeX."""

from collections.abc import Sequence

import pandas as pd

from cnnlab.statistics.analysis import Analysis
from cnnlab.statistics.matrix import shown
from cnnlab.statistics.summary import LOSSES

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet computes."""

MOST_ROWS = 100
"""As many rows are in Markdown and LaTeX, which are for reading."""


def csv(table: pd.DataFrame) -> str:
    """A table for programs and spreadsheets, which compute no cell of it.

    A text that a spreadsheet would take for a formula has a ' before it (OWASP, CSV injection).
    """
    return table.map(_tame).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _tame(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(FORMULA) or value == "-":
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def variants(analysis: Analysis) -> pd.DataFrame:
    """The summary for readers: factors, n, what is missing, mean with interval."""
    summary, factors = analysis.summary, analysis.sweep.factors
    table = pd.DataFrame({name: summary[name].map(shown) for name in factors})
    table["n"] = summary["n"]
    for state in ("failed", "diverged", "pending"):
        if summary[state].any():
            table[state] = summary[state]
    table[analysis.label] = [
        _mean(row, analysis.metric in LOSSES) for row in summary.to_dict("records")
    ]
    table["95% interval"] = [
        f"{row['ci_low']:.4f} to {row['ci_high']:.4f}" if row["n"] > 1 else "-"
        for row in summary.to_dict("records")
    ]
    table["std"] = [f"{value:.4f}" if value == value else "-" for value in summary["std"]]
    table["s/run"] = [f"{value:.1f}" if value == value else "-" for value in summary["seconds"]]
    return table


def _mean(row: dict, loss: bool) -> str:
    """A variant that lacks runs says so beside its mean."""
    if not row["n"]:
        return "-"
    lacks = row["failed"] + row["diverged"]
    partly = f" ({row['n']} of {row['n'] + lacks} runs)" if lacks else ""
    return f"{row['mean']:.4f}{partly}"


def comparisons(table: pd.DataFrame, named: Sequence[str], analysis: Analysis) -> pd.DataFrame:
    """Effects for readers.

    Args:
        table: of `cnnlab.statistics.effects`
        named: its columns that name a comparison
        analysis: that it is of
    """
    loss = analysis.metric in LOSSES
    scale, unit, digits = (1, "nats", 4) if loss else (100, "points", 2)
    found = pd.DataFrame({name: table[name].map(shown) for name in named})
    rows = table.to_dict("records")
    found[f"difference ({unit})"] = [_signed(scale * row["difference"], digits) for row in rows]
    found["95% interval"] = [
        f"{_signed(scale * row['ci_low'], digits)} to {_signed(scale * row['ci_high'], digits)}"
        if row["ci_low"] == row["ci_low"]
        else "-"
        for row in rows
    ]
    found["seeds"] = table["n_pairs"]
    found["p (Holm)"] = [f"{p:.2g}" if p == p else "-" for p in table["p_holm"]]
    found["verdict"] = table["verdict"]
    return found


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}" if value == value else "-"


def sections(analysis: Analysis) -> list[tuple[str, pd.DataFrame]]:
    """The tables of a report that is read, each with its title."""
    averages = analysis.effects[analysis.effects["at"] == ""]
    simple = analysis.effects[analysis.effects["at"] != ""]
    named = ["factor", "level", "baseline"]
    found = [(f"Variants: {analysis.label}", variants(analysis))]
    for title, table, names in (
        ("Effect of each factor, the others averaged", averages, named),
        ("Effect at each level of the others", simple, [*named, "at"]),
        ("Against the baseline", analysis.against, [*analysis.sweep.factors, "baseline"]),
    ):
        if len(table):
            told = f"{title}: {analysis.label}, paired by seed; {_family(table)}"
            found.append((told, comparisons(table, names, analysis)))
    return found


def _family(table: pd.DataFrame) -> str:
    count = int(table["comparisons"].iloc[0])
    if not count:
        return "too few seeds for a test"
    return f"Holm over {count} comparison{'s' * (count != 1)}"


def markdown(analysis: Analysis, problems: Sequence[str]) -> str:
    """The report as Markdown: the answer, what is missing, the tables."""
    parts = [f"# {_md(analysis.sweep.name)}", *(_md(text) for text in analysis.sentences)]
    parts += [f"- {_md(text)}" for text in problems]
    for title, table in sections(analysis):
        few = table.head(MOST_ROWS)
        parts += [f"## {_md(title)}", few.map(_md).to_markdown(index=False, disable_numparse=True)]
        if len(few) < len(table):
            parts.append(f"... and {len(table) - len(few):,} more rows in the CSV files.")
    return "\n\n".join(parts) + "\n"


def _md(value: object) -> str:
    """Text in a cell of Markdown: no markup, no end of the cell."""
    text = " ".join(str(value).split()).replace("\\", "\\\\").replace("&", "&amp;")
    text = text.replace("<", "&lt;").replace(">", "&gt;")
    for sign in "|*_[]#$~":
        text = text.replace(sign, f"\\{sign}")
    return text


def latex(analysis: Analysis) -> str:
    r"""Tables with booktabs' rules, for `\input`; needs booktabs and longtable."""
    parts = ["% Needs \\usepackage{booktabs,longtable}; made by cnnlab."]
    for title, table in sections(analysis):
        few = table.head(MOST_ROWS).map(_tex)
        few.columns = [_tex(name) for name in few.columns]
        style = few.style.hide(axis="index")
        parts.append(style.to_latex(hrules=True, caption=_tex(title), environment="longtable"))
    return "\n".join(parts)


_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    }
)  # fmt: skip


def _tex(value: object) -> str:
    return " ".join(str(value).split()).translate(_TEX)
