"""The derivation as text: formulas in Unicode, tables that fit the width, colours if the terminal has them."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from softxent.explain.formulas.text import text
from softxent.explain.render.blocks import Sheet, walk
from softxent.explain.render.pictures import as_text_images
from softxent.explain.view import View

__all__ = ["as_text", "show_explanation"]

# The indentation of a step's lines, and the additional one of the further lines of a long formula.
INDENT, HANG = 3, 3
NAME_WIDTH = 18

_BLANK = (Text(), 0, 0)


def show_explanation(view: View, console: Console) -> None:
    """Print the steps."""
    for row in as_text_images(view):
        console.print(Text(row, no_wrap=True), soft_wrap=True)
    looks = (
        ("part", lambda name: [(Text(name, style="bold magenta"), 0, 0), _BLANK]),
        ("heading-id", lambda both: [(Text.assemble((both[0], "bold"), (f" · {both[1]}", "dim")), 0, 0)]),
        ("formulas", lambda formula: [(Text(text(formula), style="cyan"), INDENT, HANG)]),
        ("with-numbers", lambda said: [(Text(said, style="dim"), INDENT, 0)]),
        ("numbers", lambda formula: [(Text(text(formula)), INDENT, HANG)]),
        ("tables", lambda sheet: [(line, INDENT, 0) for line in _table(sheet, console.width - INDENT)]),
        ("picture", lambda rows: [(Text(row, style="yellow", no_wrap=True), INDENT, 0) for row in rows]),
        ("why", lambda said: [(Text(said), INDENT, 0)]),
        ("notes", lambda said: [(Text(said, style="bold"), INDENT, 0)]),
        ("error", lambda said: [(Text(said, style="dim"), INDENT, 0)]),
        ("gap", lambda _: [_BLANK]),
    )
    for line, indent, hang in walk(view, looks):
        _print(console, line, indent, hang)


def as_text(view: View, width: int = 80) -> str:
    """Return the steps as plain text."""
    file = io.StringIO()
    show_explanation(view, Console(file=file, width=width, color_system=None, force_terminal=False))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _print(console: Console, line: Text, indent: int, hang: int) -> None:
    """Print an indented line. A long one is broken at spaces, and its further lines are indented by hang more."""
    if not line:  # Padding would print nothing
        console.print()
        return
    if line.no_wrap:
        console.print(Padding(line, (0, 0, 0, indent), expand=False), soft_wrap=True)
        return
    width = console.width - indent
    pieces = [line] if line.cell_len <= width else line.wrap(console, width - hang)
    for i, piece in enumerate(pieces):
        piece.rstrip()
        console.print(Padding(piece, (0, 0, 0, indent + (hang if i else 0)), expand=False))


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


def _table(sheet: Sheet, width: int) -> Iterator[Text]:
    """Yield the table's lines; if it is wider than width, one line for each number."""
    table, heads = sheet.table, [head.write(str, text) for head in sheet.heads]
    room = NAME_WIDTH if table.header[0] == ("word", "class") else width
    rows = [[_clip(row[0], room), *row[1:]] for row in sheet.rows]
    if sheet.caption is not None:
        yield Text(sheet.caption.write(str, text), style="italic")
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
