"""The derivation as LaTeX: a document for pdflatex, or for xelatex where it has letters that pdflatex does not know."""

from __future__ import annotations

from collections.abc import Iterator

from softxent.explain.explanation import Explanation
from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.latex import escape, latex
from softxent.explain.languages import Language
from softxent.explain.render.prose import cells, prose, summary
from softxent.explain.steps import Step, Table

__all__ = ["as_latex"]

_COMMON = r"""\usepackage{amsmath,amssymb}
\usepackage{booktabs}
\usepackage[margin=2.5cm]{geometry}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\allowdisplaybreaks
"""
_PDFLATEX = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
"""
_XELATEX = r"""% !TeX program = xelatex
\documentclass{ctexart}
"""


def as_latex(explanation: Explanation, *, standalone: bool = True) -> str:
    """Return a document, or only what stands between begin and end of it."""
    words = explanation.words
    body = [rf"\section*{{{escape(words.words['title'])}}}", escape(summary(explanation)), ""]
    body += [escape(words.words["exactness"]), ""]
    part = ""
    for number, step in enumerate(explanation.steps, 1):
        if step.part != part:
            part = step.part
            body.append(rf"\section*{{{escape(words.words[f'part-{part}'])}}}")
        body += _step(step, number, words)
    inside = "\n".join(body) + "\n"
    if not standalone:
        return inside
    # What is left beyond Latin-1 once the signs of mathematics are commands: CJK, Greek or Cyrillic names.
    wide = any(ord(character) > 0xFF for character in inside)
    head = (_XELATEX if wide else _PDFLATEX) + _COMMON
    return f"{head}\\begin{{document}}\n{inside}\\end{{document}}\n"


def _step(step: Step, number: int, words: Language) -> Iterator[str]:
    said = prose(step, words)
    yield rf"\subsection*{{{number}. {escape(said.title)}}}"
    for formula in step.formulas:
        yield from _display(formula.form)
    yield escape(said.why)
    for note in said.notes:
        yield rf"\emph{{{escape(note)}}}"
    yield ""
    for line in step.numbers:
        yield from _display(line)
    for table in step.tables:
        yield from _table(table, words)
    if said.error is not None:
        yield rf"{{\small {escape(said.error)}}}"
    yield ""


def _display(node: Node) -> Iterator[str]:
    """Yield a display, a chain of equals one below the other."""
    sides = [latex(side) for side in node[1:]]
    if len(sides) == 2:
        yield rf"\[ {sides[0]} = {sides[1]} \]"
        return
    yield r"\begin{align*}"
    yield rf"{sides[0]} &= {sides[1]} \\"
    yield " \\\\\n".join(f"&= {side}" for side in sides[2:])
    yield r"\end{align*}"


def _head(node: Node, words: Language) -> str:
    if node[0] == "word":
        return escape(words.words[node[1]])
    if node[0] == "eq" and node[1][0] == "word":
        return f"{escape(words.words[node[1][1]])} $= {latex(node[2])}$"
    return f"${latex(node)}$"


def _table(table: Table, words: Language) -> Iterator[str]:
    yield r"\begin{center}\footnotesize"
    if table.caption is not None:
        yield rf"{_head(table.caption, words)}\\[2pt]"
    yield rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}\toprule"
    yield " & ".join(_head(node, words) for node in table.header) + r" \\ \midrule"
    for i, row in enumerate(table.rows):
        texts = [_cell(value) for value in cells(table, row, words)]
        if i == table.marked:
            texts[0] = rf"\textbf{{{texts[0]}}}"
        yield " & ".join(texts) + r" \\"
    yield r"\bottomrule\end{tabular}\end{center}"


def _cell(value: str) -> str:
    """Return a cell; one that is a number has its minus sign and exponent set as mathematics."""
    try:
        float(value)
    except ValueError:
        # A line of a table must not begin with a bracket: \\ would take it for its argument.
        return f"{{{escape(value)}}}"
    return f"${latex(('num', value))}$" if value not in ("nan", "inf", "-inf") else value
