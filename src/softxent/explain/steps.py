"""Step and Table: a derivation is a sequence of steps. They hold formulas, numbers and keys of words, but no words."""

from __future__ import annotations

from dataclasses import dataclass, field

from softxent.explain.formulas.formula import Formula, Node

__all__ = ["Step", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers in rows and columns.

    Attributes:
        header: a formula or ("word", key) for each column.
        rows: cells as text; "@loss" stands for the word "loss" of the language.
        caption: ("word", key), or None.
        marked: the row that is emphasised, or None.
        live: whether each column has the values of its header, one per class; the page can then fill in other numbers.
    """

    header: tuple[Node, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: Node | None = None
    marked: int | None = None
    live: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the derivation.

    Attributes:
        id: its name, for --step and in the language tables.
        part: the part of the derivation that it is in: forward, loss, backward, numerics.
        depth: the smallest depth at which it is shown: 1 for the main argument, 2 for closely related steps, 3 for the
            rest.
        formulas: the symbolic form, as data.
        numbers: the formulas with the row's numbers.
        tables: numbers in full.
        error: the largest error in ulps when float64 computes the step the textbook way, or None.
        fields: values for the places in braces in the language's sentences.
        notes: keys of further sentences of the language that hold for this row.
        picture: lines of a drawing in text.
    """

    id: str
    part: str
    depth: int
    formulas: tuple[Formula, ...] = ()
    numbers: tuple[Node, ...] = ()
    tables: tuple[Table, ...] = ()
    error: float | None = None
    fields: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    picture: tuple[str, ...] = ()
