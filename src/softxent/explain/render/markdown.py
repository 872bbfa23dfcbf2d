"""The derivation as Markdown: formulas as LaTeX between dollars, tables as pipes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.latex import latex
from softxent.explain.render.blocks import Head, Sheet, walk
from softxent.explain.render.prose import summary
from softxent.explain.view import View

__all__ = ["as_markdown", "escape"]


def as_markdown(view: View) -> str:
    """Return the whole derivation."""
    said = view.words.words
    top = [f"# {said['title']}", "", escape(summary(view)), "", escape(said["exactness"]), ""]
    return "\n".join([*top, *walk(view, _LOOKS)]).rstrip() + "\n"


def escape(text: str) -> str:
    r"""Return text that Markdown and HTML show unchanged.

    >>> print(escape("*<b>* | [x](y)"))
    \*&lt;b&gt;\* \| \[x\](y)
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", text)


def _display(formula: Node) -> tuple[str, ...]:
    return ("$$", latex(formula), "$$", "")


def _head(head: Head) -> str:
    return head.write(escape, lambda formula: f"${latex(formula)}$")


def _table(sheet: Sheet) -> Iterator[str]:
    if sheet.caption is not None:
        yield from (f"*{_head(sheet.caption)}*", "")
    yield "| " + " | ".join(map(_head, sheet.heads)) + " |"
    yield "|---|" + "---:|" * (len(sheet.heads) - 1)
    for i, row in enumerate(sheet.rows):
        texts = [escape(value) for value in row]
        if i == sheet.table.marked:
            texts[0] = f"**{texts[0]}**"
        yield "| " + " | ".join(texts) + " |"
    yield ""


_LOOKS = (
    ("part", lambda name: (f"## {name}", "")),
    ("heading", lambda title: (f"### {escape(title)}", "")),
    ("formulas", _display),
    ("why", lambda text: (escape(text), "")),
    ("notes", lambda text: (f"**{escape(text)}**", "")),
    ("numbers", _display),
    ("tables", _table),
    ("picture", lambda lines: ("```text", *lines, "```", "")),
    ("error", lambda text: (escape(text), "")),
)
