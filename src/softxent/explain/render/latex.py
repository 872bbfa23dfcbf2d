"""The derivation as LaTeX: for pdflatex, or for xelatex if names or language need letters beyond Latin."""

from __future__ import annotations

from collections.abc import Iterator

from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.latex import escape, latex
from softxent.explain.render.blocks import Head, Sheet, walk
from softxent.explain.render.prose import summary
from softxent.explain.view import View

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


def as_latex(view: View, *, standalone: bool = True) -> str:
    """Return a document, or only its body."""
    said = view.words.words
    top = [rf"\section*{{{escape(said['title'])}}}", escape(summary(view)), "", escape(said["exactness"]), ""]
    inside = "\n".join([*top, *walk(view, _LOOKS)]) + "\n"
    if not standalone:
        return inside
    # Mathematical signs have become commands, so characters beyond Latin-1 are CJK, Greek or Cyrillic text.
    wide = any(ord(character) > 0xFF for character in inside)
    head = (_XELATEX if wide else _PDFLATEX) + _COMMON
    return f"{head}\\begin{{document}}\n{inside}\\end{{document}}\n"


def _display(node: Node) -> Iterator[str]:
    """Yield a display, with the sides of a chain of equals one below the other."""
    sides = [latex(side) for side in node[1:]]
    if len(sides) == 2:
        yield rf"\[ {sides[0]} = {sides[1]} \]"
        return
    yield r"\begin{align*}"
    yield rf"{sides[0]} &= {sides[1]} \\"
    yield " \\\\\n".join(f"&= {side}" for side in sides[2:])
    yield r"\end{align*}"


def _head(head: Head) -> str:
    if head.words and head.formula is not None:
        return f"{escape(head.words)} $= {latex(head.formula)}$"
    return head.write(escape, lambda formula: f"${latex(formula)}$")


def _table(sheet: Sheet) -> Iterator[str]:
    yield r"\begin{center}\footnotesize"
    if sheet.caption is not None:
        yield rf"{_head(sheet.caption)}\\[2pt]"
    yield rf"\begin{{tabular}}{{l{'r' * (len(sheet.heads) - 1)}}}\toprule"
    yield " & ".join(map(_head, sheet.heads)) + r" \\ \midrule"
    for i, row in enumerate(sheet.rows):
        texts = [_cell(value) for value in row]
        if i == sheet.table.marked:
            texts[0] = rf"\textbf{{{texts[0]}}}"
        yield " & ".join(texts) + r" \\"
    yield r"\bottomrule\end{tabular}\end{center}"


def _cell(value: str) -> str:
    """Return a cell; a number is set as mathematics, for its minus sign and exponent."""
    try:
        float(value)
    except ValueError:
        # In braces, because \\ would read a bracket at the beginning of the next line as its argument.
        return f"{{{escape(value)}}}"
    return f"${latex(('num', value))}$" if value not in ("nan", "inf", "-inf") else value


_LOOKS = (
    ("part", lambda name: [rf"\section*{{{escape(name)}}}"]),
    ("heading", lambda title: [rf"\subsection*{{{escape(title)}}}"]),
    ("formulas", _display),
    ("why", lambda text: [escape(text)]),
    ("notes", lambda text: [rf"\emph{{{escape(text)}}}"]),
    ("gap", lambda _: [""]),
    ("numbers", _display),
    ("tables", _table),
    ("error", lambda text: [rf"{{\small {escape(text)}}}"]),
    ("gap", lambda _: [""]),
)
