"""The derivation as a static fragment of HTML for notebooks: MathML, tables, styles, and no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.mathml import mathml
from softxent.explain.render.blocks import Sheet, walk
from softxent.explain.render.pictures import as_figures
from softxent.explain.render.prose import summary
from softxent.explain.view import View

__all__ = ["as_html"]

# Only the viewer's own colours and grey, which suit light and dark notebooks.
_STYLE = """
.softxent-explain{max-width:52rem;line-height:1.5;overflow-wrap:anywhere}
.softxent-explain section{border-top:1px solid #8886;padding:.4rem 0}
.softxent-explain math{font-size:1.1em;max-width:100%;overflow-x:auto;overflow-y:hidden}
.softxent-explain math[display=block]{text-align:left;margin:.3rem 0 .3rem 1rem}
.softxent-explain .wide{overflow-x:auto}
.softxent-explain table{border-collapse:collapse;margin:.4rem 0;font-variant-numeric:tabular-nums}
.softxent-explain th,.softxent-explain td{padding:.1rem .7rem;text-align:right;font-weight:400;white-space:nowrap}
.softxent-explain th:first-child,.softxent-explain td:first-child{text-align:left}
.softxent-explain thead th{border-bottom:1px solid #8886}
.softxent-explain .marked{font-weight:700}
.softxent-explain small{opacity:.75}
""".strip()


def as_html(view: View) -> str:
    """Return the fragment."""
    said = view.words.words
    lines = [
        f'<div class="softxent-explain" lang="{view.words.html}"><style>{_STYLE}</style>',
        f"<h3>{escape(said['title'])}</h3><p>{escape(summary(view))}</p>",
        *walk(view, _LOOKS),
        *([] if view.images is None else [as_figures(view)]),
        f"<p><small>{escape(said['exactness'])}</small></p></div>",
    ]
    return "\n".join(lines)


def _display(formula: Node) -> Iterator[str]:
    yield mathml(formula, block=True)


def _table(sheet: Sheet) -> Iterator[str]:
    caption = "" if sheet.caption is None else f"<caption>{sheet.caption.write(escape, mathml)}</caption>"
    head = "".join(f'<th scope="col">{head.write(escape, mathml)}</th>' for head in sheet.heads)
    body = ""
    for i, row in enumerate(sheet.rows):
        first, *rest = map(escape, row)
        mark = ' class="marked"' if i == sheet.table.marked else ""
        body += f'<tr{mark}><th scope="row">{first}</th>{"".join(f"<td>{value}</td>" for value in rest)}</tr>'
    yield f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


_LOOKS = (
    ("heading", lambda title: [f"<section><h4>{escape(title)}</h4>"]),
    ("formulas", _display),
    ("why", lambda text: [f"<p>{escape(text)}</p>"]),
    ("notes", lambda text: [f"<p><strong>{escape(text)}</strong></p>"]),
    ("numbers", _display),
    ("tables", _table),
    ("error", lambda text: [f"<p><small>{escape(text)}</small></p>"]),
    ("gap", lambda _: ["</section>"]),
)
