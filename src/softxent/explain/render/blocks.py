"""The walk through the steps of a derivation, which the renderers share.

A renderer gives the walk a table: the blocks of a step that it draws, in order, and the function that draws each.
These are the blocks and their contents (if there are several items, each is drawn by one call):

part            the name of the part of the derivation that begins with this step
heading         the step's number and title
heading-id      the same, with the step's id
formulas        formulas
with-numbers    the words above the numbers
numbers         formulas with numbers in them
tables          Sheets
picture         the lines of a drawing in characters
why             the reason for the step
notes           sentences that hold for this row
error           the error of float64
gap             None: a place for space between blocks, or for the end of the step
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from softxent.explain.formulas.formula import Node
from softxent.explain.languages import Language
from softxent.explain.render.prose import prose
from softxent.explain.steps import Step, Table
from softxent.explain.view import View

__all__ = ["Head", "Sheet", "walk"]

Drawn = TypeVar("Drawn")


class Head(NamedTuple):
    """The head of a column or a table: words, a formula, or both with an equals sign between."""

    words: str
    formula: Node | None

    def write(self, plain: Callable[[str], str], math: Callable[[Node], str]) -> str:
        """Return the head; plain writes its words, math its formula."""
        parts = [plain(self.words)] if self.words else []
        return " = ".join(parts if self.formula is None else [*parts, math(self.formula)])


class Sheet(NamedTuple):
    """A table in a language: its caption, the heads of its columns, its cells."""

    table: Table
    caption: Head | None
    heads: list[Head]
    rows: list[list[str]]


def walk(view: View, looks: Iterable[tuple[str, Callable[[Any], Iterable[Drawn]]]]) -> Iterator[Drawn]:
    """Yield the lines of all steps; looks has the blocks, and the functions that draw them as lines."""
    part = ""
    for number, step in enumerate(view.steps, 1):
        blocks = _blocks(step, number, view.words)
        for name, draw in looks:
            if name != "part" or step.part != part:
                for block in blocks[name]:
                    yield from draw(block)
        part = step.part


def _blocks(step: Step, number: int, words: Language) -> dict[str, Iterable[Any]]:
    said = prose(step, words)
    heading = f"{number}. {said.title}"
    sides = [f"    {words.words['pushes']}  │  {words.words['pulls']}"] if step.id == "push-pull" else []
    return {
        "part": [words.words[f"part-{step.part}"]],
        "heading": [heading],
        "heading-id": [(heading, step.id)],
        "formulas": [formula.form for formula in step.formulas],
        "with-numbers": [words.words["with-numbers"]] if step.numbers else [],
        "numbers": step.numbers,
        "tables": [_sheet(table, words) for table in step.tables],
        "picture": [[*sides, *step.picture]] if step.picture else [],
        "why": [said.why],
        "notes": said.notes,
        "error": [] if said.error is None else [said.error],
        "gap": [None],
    }


def _sheet(table: Table, words: Language) -> Sheet:
    named = table.header[0] == ("word", "class")

    def cell(k: int, value: str) -> str:
        # The names of classes are no words of the language, even if they begin with @.
        return value if value[:1] != "@" or (named and k == 0) else words.words.get(value[1:], value)

    caption = None if table.caption is None else _head(table.caption, words)
    heads = [_head(node, words) for node in table.header]
    return Sheet(table, caption, heads, [[cell(k, value) for k, value in enumerate(row)] for row in table.rows])


def _head(node: Node, words: Language) -> Head:
    if node[0] == "word":
        return Head(words.words[node[1]], None)
    if node[0] == "eq" and node[1][0] == "word":
        return Head(words.words[node[1][1]], node[2])
    return Head("", node)
