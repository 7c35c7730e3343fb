"""Tables as text: CSV for spreadsheets, Markdown, LaTeX."""

from collections.abc import Iterable, Sequence

import pandas as pd

from cnnlab.report.tables import tables
from cnnlab.statistics.analysis import Analysis

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet computes."""

MOST_ROWS = 100
"""As many rows are in Markdown and LaTeX, which are for reading."""


def csv(table: pd.DataFrame) -> str:
    """A table for programs and spreadsheets, which compute no cell of it.

    It holds the statistics as they are, in the metric's own unit and by the names that their
    functions give the columns: people's scripts read them.

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


def markdown(analysis: Analysis, problems: Sequence[str]) -> str:
    """The report as Markdown: question, notices, the answer, what is missing, the tables."""
    question = [f"*{_md(analysis.sweep.question)}*"] if analysis.sweep.question else []
    parts = [f"# {_md(analysis.sweep.name)}", *question]
    headline, *others = map(_md, analysis.sentences)
    parts += [_md(text) for text in analysis.notices]
    parts += [f"**{headline}**", *_md_list(others), *_md_list(map(_md, problems))]
    for table in tables(analysis):
        few = table.texts(MOST_ROWS).map(_md).rename(columns=_md)
        parts += [f"## {_md(table.title)}", _md(table.caption)]
        parts.append(few.to_markdown(index=False, disable_numparse=True))
        if len(few) < table.total:
            parts.append(f"... and {table.total - len(few):,} more rows in {table.file}.")
    return "\n\n".join(parts) + "\n"


def _md_list(texts: Iterable[str]) -> list[str]:
    """A list of Markdown, as the one block that it is."""
    items = "\n".join(f"- {text}" for text in texts)
    return [items] if items else []


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
    parts += [f"\\noindent {_tex(text)}\n" for text in analysis.notices]
    for table in tables(analysis):
        few = table.texts(MOST_ROWS, detail=1).map(_tex).rename(columns=_tex)
        caption = _tex(f"{table.title}. {table.caption}")
        style = few.style.hide(axis="index")
        parts.append(style.to_latex(hrules=True, caption=caption, environment="longtable"))
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
