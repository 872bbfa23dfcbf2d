"""Tables with one row for each class, and the lines of numbers of formulas."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from softxent.explain.exact import show
from softxent.explain.formulas.formula import Formula, Node, lines
from softxent.explain.scene import Scene, lookup_in
from softxent.explain.steps import Table

__all__ = ["by_class", "numbers", "word"]


def word(key: str) -> Node:
    """Return a word of the language."""
    return ("word", key)


def by_class(scene: Scene, *columns: tuple[Node, Sequence[Decimal]]) -> Table:
    """Return a table of the classes' names and of columns of numbers in full; the label's row is marked."""
    rows = tuple((name, *(show(values[i]) for _, values in columns)) for i, name in enumerate(scene.problem.names))
    return Table((word("class"), *(header for header, _ in columns)), rows, marked=scene.problem.label, live=True)


def numbers(scene: Scene, *formulas: Formula, extra: dict[str, Decimal] | None = None) -> tuple[Node, ...]:
    """Return the formulas with this row's numbers."""
    problem = scene.problem
    lookup = lookup_in(scene.values, extra)
    return tuple(
        line
        for formula in formulas
        for line in lines(formula, lookup, problem.focus, problem.rival, problem.num_classes)
    )
