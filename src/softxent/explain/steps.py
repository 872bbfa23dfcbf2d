"""What a derivation is made of: steps with formulas, numbers, tables and a reason. Renderers read nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from softxent.explain.formulas.formula import Formula, Node

__all__ = ["Step", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers in rows and columns.

    Attributes:
        header: a formula or ("word", key) for each column.
        rows: texts; those that begin with @ name a word of the language.
        caption: ("word", key), or None.
        marked: the row to be emphasised, or None.
        live: whether each column is its header for every class, so that a page can fill it with other numbers.
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
        id: its name, of --step and of the language tables.
        part: which part of the derivation it is in: forward, loss, backward, numerics.
        depth: 1 for the thread of the argument, 2 for what belongs beside it, 3 for the rest.
        formulas: the symbolic form, as data.
        numbers: the same with the row's numbers in it.
        tables: every number, to the last digit.
        error: by how many ulps float64 is off at worst when the step is computed the textbook way, or None.
        fields: what the sentences of the language tables may name.
        notes: keys of further sentences that hold for this row.
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
