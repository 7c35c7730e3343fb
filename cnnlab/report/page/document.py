"""From a template to one HTML file: styles, scripts and data inside, and nothing from outside.

Text is escaped by Jinja wherever it stands. Data goes in as JSON in <script> elements that no
browser runs. The page's own policy forbids every request, and every script but the ones below.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cnnlab import __version__
from cnnlab.report.columns import text

HERE = Path(__file__).parent

STYLES = ("vendor/dataTables.dataTables.min.css", "static/page.css", "static/parts.css")
LIBRARY = "vendor/dataTables.min.js"


def document(
    template: str, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), **names: Any
) -> str:
    """Renders a page.

    Args:
        template: below templates/
        styles, scripts: files that it needs besides those that every page has
        names: that the template uses
    """
    codes = [_file(name) for name in (LIBRARY, *scripts)]
    rendered = (
        _environment()
        .get_template(template)
        .render(
            **names,
            version=__version__,
            policy=_policy(codes),
            styles=[Markup(_file(name)) for name in (*styles, *STYLES)],
            scripts=[Markup(code) for code in codes],
        )
    )
    # A file's name on Linux need not be text; half a surrogate pair would not be writable.
    return rendered.encode("utf-8", "replace").decode()


def embedded(data: Any) -> Markup:
    """JSON that can stand in a <script> element, whatever text it holds.

    All but ASCII is escaped, U+2028 and U+2029 too.

    Raises:
        ValueError: if a number is not finite, for which JSON has no word
    """
    code = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        code = code.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(code)


def data_uri(content: bytes) -> str:
    """A picture, PNG or SVG, as an address that holds it."""
    kind = "image/png" if content.startswith(b"\x89PNG") else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _policy(codes: Sequence[str]) -> str:
    """The Content-Security-Policy.

    Styles are not tied to a hash: the libraries set widths and places of elements.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
        for code in codes
    )
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "script-src": hashes,
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


@cache
def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["json"] = embedded
    environment.filters["cell"] = text
    return environment
