"""The derivation as Markdown: formulas as LaTeX between dollars, tables as pipes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from softxent.explain.explanation import Explanation
from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.latex import latex
from softxent.explain.languages import Language
from softxent.explain.render.prose import cells, prose, summary
from softxent.explain.steps import Step, Table

__all__ = ["as_markdown", "escape"]


def as_markdown(explanation: Explanation, *, level: int = 1) -> str:
    """Return the whole derivation; level is that of its title."""
    words = explanation.words
    lines = [f"{'#' * level} {words.words['title']}", "", escape(summary(explanation)), ""]
    lines += [escape(words.words["exactness"]), ""]
    part = ""
    for number, step in enumerate(explanation.steps, 1):
        if step.part != part:
            part = step.part
            lines += [f"{'#' * (level + 1)} {words.words[f'part-{part}']}", ""]
        lines += _step(step, number, words, level + 2)
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    r"""Return text that Markdown and HTML leave as it stands.

    >>> print(escape("*<b>* | [x](y)"))
    \*&lt;b&gt;\* \| \[x\](y)
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", text)


def _step(step: Step, number: int, words: Language, level: int) -> Iterator[str]:
    said = prose(step, words)
    yield f"{'#' * level} {number}. {escape(said.title)}"
    yield ""
    for formula in step.formulas:
        yield from _display(formula.form)
    yield from (escape(said.why), "")
    for note in said.notes:
        yield from (f"**{escape(note)}**", "")
    for line in step.numbers:
        yield from _display(line)
    for table in step.tables:
        yield from _table(table, words)
    if step.picture:
        yield "```text"
        if step.id == "push-pull":
            yield f"    {words.words['pushes']}  │  {words.words['pulls']}"
        yield from step.picture
        yield from ("```", "")
    if said.error is not None:
        yield from (escape(said.error), "")


def _display(node: Node) -> tuple[str, ...]:
    return ("$$", latex(node), "$$", "")


def _head(node: Node, words: Language) -> str:
    if node[0] == "word":
        return escape(words.words[node[1]])
    if node[0] == "eq" and node[1][0] == "word":
        return f"{escape(words.words[node[1][1]])} = ${latex(node[2])}$"
    return f"${latex(node)}$"


def _table(table: Table, words: Language) -> Iterator[str]:
    if table.caption is not None:
        yield from (f"*{_head(table.caption, words)}*", "")
    yield "| " + " | ".join(_head(node, words) for node in table.header) + " |"
    yield "|---|" + "---:|" * (len(table.header) - 1)
    for i, row in enumerate(table.rows):
        texts = [escape(value) for value in cells(table, row, words)]
        if i == table.marked:
            texts[0] = f"**{texts[0]}**"
        yield "| " + " | ".join(texts) + " |"
    yield ""
