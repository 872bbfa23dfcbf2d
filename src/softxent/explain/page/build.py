"""Build the interactive page from its template, style, scripts and data: one HTML file that needs no network."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from softxent.explain.page.data import page_data
from softxent.explain.render.html import as_html
from softxent.explain.render.pictures import as_figures
from softxent.explain.view import View
from softxent.files import replacing

__all__ = ["as_page", "write_page"]

# In the order of execution: each script uses those before it.
SCRIPTS = (
    "arithmetic/numbers", "arithmetic/softmax", "arithmetic/formats", "arithmetic/exact", "formulas/formula",
    "formulas/mathml", "formulas/latex", "parts/state", "parts/dom", "parts/bars", "parts/jacobian", "parts/graph",
    "parts/derivation", "parts/descent", "parts/break", "parts/copy", "parts/main",
)  # fmt: skip


def as_page(view: View) -> str:
    """Return the page."""
    folder = files("softxent.explain.page")
    scripts = "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    pieces = {
        "LANG": view.words.html,
        "TITLE": escape(view.words.words["title"]),
        "STYLE": (folder / "page.css").read_text(encoding="utf-8"),
        "DATA": embedded(page_data(view)),
        "SCRIPT": f'"use strict";\n(() => {{\n{scripts}\n}})();',
        "STATIC": as_html(replace(view, images=None, step=None, depth=1)),
        "IMAGES": as_figures(view),
    }
    template = (folder / "template.html").read_text(encoding="utf-8")
    # Only the template is split, so that a "%%" inside a piece, such as a class's name, is not replaced.
    parts = template.split("%%")
    return "".join(pieces[part] if k % 2 else part for k, part in enumerate(parts))


def embedded(data: Any) -> str:
    r"""Return JSON that can neither end the script element that holds it nor open a comment in it.

    >>> embedded({"name": "</script><!--"})
    '{"name":"\\u003c/script\\u003e\\u003c!--"}'
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def write_page(view: View, path: Path) -> None:
    """Write the page. If writing fails, the old file stays as it was."""
    with replacing(path) as file:
        file.write(as_page(view).encode())
