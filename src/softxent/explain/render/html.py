"""The derivation as a static fragment of HTML: MathML, tables and its own styles, no scripts; for notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from softxent.explain.explanation import Explanation
from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.mathml import mathml
from softxent.explain.images import as_figures
from softxent.explain.languages import Language
from softxent.explain.render.prose import cells, prose, summary
from softxent.explain.steps import Step, Table

__all__ = ["as_html"]

# Colours come from the viewer's own text colour, so that dark notebooks need no second set.
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


def as_html(explanation: Explanation) -> str:
    """Return the fragment."""
    words = explanation.words
    parts = [
        f'<div class="softxent-explain" lang="{words.html}"><style>{_STYLE}</style>',
        f"<h3>{escape(words.words['title'])}</h3><p>{escape(summary(explanation))}</p>",
    ]
    for number, step in enumerate(explanation.steps, 1):
        parts.extend(_step(step, number, words))
    if explanation.images is not None:
        parts.append(as_figures(explanation.images, explanation.problem.names, words))
    parts.append(f"<p><small>{escape(words.words['exactness'])}</small></p></div>")
    return "\n".join(parts)


def _step(step: Step, number: int, words: Language) -> Iterator[str]:
    said = prose(step, words)
    yield f"<section><h4>{number}. {escape(said.title)}</h4>"
    for formula in step.formulas:
        yield mathml(formula.form, block=True)
    yield f"<p>{escape(said.why)}</p>"
    for note in said.notes:
        yield f"<p><strong>{escape(note)}</strong></p>"
    for line in step.numbers:
        yield mathml(line, block=True)
    for table in step.tables:
        yield table_html(table, words)
    if said.error is not None:
        yield f"<p><small>{escape(said.error)}</small></p>"
    yield "</section>"


def _head(node: Node, words: Language) -> str:
    if node[0] == "word":
        return escape(words.words[node[1]])
    if node[0] == "eq" and node[1][0] == "word":
        return f"{escape(words.words[node[1][1]])} = {mathml(node[2])}"
    return mathml(node)


def table_html(table: Table, words: Language) -> str:
    """Return a table."""
    caption = f"<caption>{_head(table.caption, words)}</caption>" if table.caption is not None else ""
    head = "".join(f'<th scope="col">{_head(node, words)}</th>' for node in table.header)
    body = ""
    for i, row in enumerate(table.rows):
        first, *rest = map(escape, cells(table, row, words))
        mark = ' class="marked"' if i == table.marked else ""
        body += f'<tr{mark}><th scope="row">{first}</th>{"".join(f"<td>{value}</td>" for value in rest)}</tr>'
    return f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
