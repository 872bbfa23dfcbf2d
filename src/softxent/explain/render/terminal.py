"""The derivation as text: formulas in Unicode, tables that fit, colours only where a terminal shows them."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from softxent.explain.explanation import Explanation
from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.text import text
from softxent.explain.images import as_text_images
from softxent.explain.languages import Language
from softxent.explain.render.prose import cells, prose
from softxent.explain.steps import Step, Table

__all__ = ["as_text", "show_explanation"]

INDENT = 3
NAME_WIDTH = 18


def show_explanation(explanation: Explanation, console: Console) -> None:
    """Print the steps."""
    words, problem = explanation.words, explanation.problem
    if explanation.images is not None:
        for line in as_text_images(explanation.images, problem.names, problem.focus, problem.rival, words):
            console.print(Text(line, no_wrap=True), soft_wrap=True)
    part = ""
    for number, step in enumerate(explanation.steps, 1):
        if step.part != part:
            part = step.part
            console.print(Text(words.words[f"part-{part}"], style="bold magenta"))
            console.print()
        _show_step(step, number, words, console)
        console.print()


def as_text(explanation: Explanation, width: int = 80) -> str:
    """Return the steps as plain text."""
    file = io.StringIO()
    show_explanation(explanation, Console(file=file, width=width, color_system=None, force_terminal=False))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _show_step(step: Step, number: int, words: Language, console: Console) -> None:
    said = prose(step, words)
    title = Text.assemble((f"{number}. {said.title}", "bold"), (f" · {step.id}", "dim"))
    console.print(title)
    for formula in step.formulas:
        _indented(console, Text(text(formula.form), style="cyan"), hang=3)
    if step.numbers:
        _indented(console, Text(words.words["with-numbers"], style="dim"))
        for numbers in step.numbers:
            _indented(console, Text(text(numbers)), hang=3)
    for table in step.tables:
        for line in _table(table, words, console.width - INDENT):
            _indented(console, line)
    for row in _picture(step, words):
        _indented(console, Text(row, style="yellow", no_wrap=True, overflow="crop"))
    _indented(console, Text(said.why))
    for note in said.notes:
        _indented(console, Text(note, style="bold"))
    if said.error is not None:
        _indented(console, Text(said.error, style="dim"))


def _picture(step: Step, words: Language) -> Iterator[str]:
    if step.id == "push-pull":
        yield f"    {words.words['pushes']}  │  {words.words['pulls']}"
    yield from step.picture


def _indented(console: Console, line: Text, hang: int = 0) -> None:
    """Print a line set in; a long one is broken at its spaces, and a formula's further lines are set in more."""
    if line.no_wrap:
        console.print(Padding(line, (0, 0, 0, INDENT), expand=False), soft_wrap=True)
        return
    width = console.width - INDENT
    pieces = [line] if line.cell_len <= width else line.wrap(console, width - hang)
    for i, piece in enumerate(pieces):
        piece.rstrip()
        console.print(Padding(piece, (0, 0, 0, INDENT + (hang if i else 0)), expand=False))


def _head(node: Node, words: Language) -> str:
    if node[0] == "word":
        return words.words[node[1]]
    if node[0] == "eq" and node[1][0] == "word":
        return f"{words.words[node[1][1]]} = {text(node[2])}"
    return text(node)


def _clip(name: str, width: int) -> str:
    if cell_len(name) <= width:
        return name
    kept = ""
    for character in name:
        if cell_len(kept + character) >= width:
            break
        kept += character
    return kept + "…"


def _pad(value: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(value))
    return space + value if right else value + space


def _table(table: Table, words: Language, width: int) -> Iterator[Text]:
    """Yield the table's lines; one line a number where it is too wide."""
    heads = [_head(node, words) for node in table.header]
    room = NAME_WIDTH if table.header[0] == ("word", "class") else width
    texts = [cells(table, row, words) for row in table.rows]
    rows = [[_clip(row[0], room), *row[1:]] for row in texts]
    if table.caption is not None:
        yield Text(_head(table.caption, words), style="italic")
    columns = [max(cell_len(heads[k]), *(cell_len(row[k]) for row in rows)) for k in range(len(heads))]
    if sum(columns) + 2 * (len(columns) - 1) > width:
        yield from _stacked(heads, rows, table.marked, width)
        return
    right = [k > 0 and not all(row[k][:1].isalpha() or not row[k] for row in table.rows) for k in range(len(heads))]
    line = "  ".join(_pad(h, w, r) for h, w, r in zip(heads, columns, right, strict=True))
    yield Text(line.rstrip(), style="dim", no_wrap=True)
    for i, row in enumerate(rows):
        line = "  ".join(_pad(v, w, r) for v, w, r in zip(row, columns, right, strict=True))
        yield Text(line.rstrip(), style="green" if i == table.marked else "", no_wrap=True)


def _stacked(heads: list[str], rows: list[list[str]], marked: int | None, width: int) -> Iterator[Text]:
    for i, row in enumerate(rows):
        style = "green" if i == marked else ""
        yield Text(_clip(f"{heads[0]} {row[0]}", width), style=style)
        for head, value in zip(heads[1:], row[1:], strict=True):
            yield Text(f"  {head}  {value}", style=style)
