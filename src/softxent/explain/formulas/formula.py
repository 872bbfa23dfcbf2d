"""Formulas as data: nested tuples, which printers write, JSON stores, and in which quantities can become numbers.

A formula is one of these, in which a, b, f, x and body are formulas:

    ("sym", name, index…)   a quantity: "i", "j", "k" run over the classes, "t" is the label, digits are a class
    ("num", digits)         a number as text
    ("add", …) ("mul", …) ("neg", a) ("div", a, b) ("pow", a, b) ("exp", a) ("ln", a)
    ("sum", index, body, not_equal)    Σ over all classes, or over those that differ from the index not_equal
    ("d", f, x)             ∂f/∂x
    ("delta", i, j)         1 where i = j, else 0
    ("call", name, a, …)    a named function
    ("eq", a, b, …)         a chain of equals; ("dots",) terms left out
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from softxent.explain.exact import precisely, short, show

__all__ = [
    "Formula",
    "Lookup",
    "Node",
    "add",
    "call",
    "d",
    "div",
    "eq",
    "lines",
    "mul",
    "neg",
    "num",
    "over",
    "sub",
    "substitute",
    "sym",
]

Node = tuple[Any, ...]
Lookup = Callable[[str, tuple[int, ...]], Decimal | None]

# A sum of more terms is written as the first two, dots, and the last.
MAX_TERMS = 4


def sym(name: str, *index: str) -> Node:
    """Return a quantity with its indices."""
    return ("sym", name, *index)


def num(value: Decimal | int | str, digits: int | None = 6) -> Node:
    """Return a number; with all of float64's digits if digits is None."""
    if isinstance(value, Decimal):
        return ("num", show(value) if digits is None else short(value, digits))
    return ("num", str(value))


def add(*terms: Node) -> Node:
    """Return a sum."""
    return ("add", *terms)


def sub(a: Node, b: Node) -> Node:
    """Return a − b."""
    return ("add", a, ("neg", b))


def neg(a: Node) -> Node:
    """Return −a."""
    return ("neg", a)


def mul(*factors: Node) -> Node:
    """Return a product."""
    return ("mul", *factors)


def div(a: Node, b: Node) -> Node:
    """Return a / b."""
    return ("div", a, b)


def over(index: str, body: Node, not_equal: str | None = None) -> Node:
    """Return the sum of body over all classes, or over those other than not_equal."""
    return ("sum", index, body, not_equal)


def d(f: Node, x: Node) -> Node:
    """Return the partial derivative ∂f/∂x."""
    return ("d", f, x)


def call(name: str, *arguments: Node) -> Node:
    """Return a named function's value."""
    return ("call", name, *arguments)


def eq(*sides: Node) -> Node:
    """Return a chain of equals."""
    return ("eq", *sides)


@dataclass(frozen=True, slots=True)
class Formula:
    """A chain of equals, and the indices for which its numbers are shown.

    Attributes:
        form: ("eq", left, …, right).
        each: "" for none; "once"; "i" or "j" for every class; "same" for one case of i = j, "other" for one of i ≠ j.
        side: the side in which quantities are replaced by numbers; the last by default.
    """

    form: Node
    each: str = "once"
    side: int = -1


def bindings(each: str, focus: int, rival: int, count: int) -> list[dict[str, int]]:
    """Return the values of the indices, one dictionary for each line of numbers."""
    few = range(count) if count <= MAX_TERMS else sorted({focus, rival})
    if each == "once":
        return [{"t": focus, "r": rival}]
    if each in ("i", "j"):
        return [{each: k, "t": focus, "r": rival} for k in few]
    if each == "same":
        return [{"i": focus, "j": focus, "t": focus, "r": rival}]
    if each == "other":
        return [{"i": rival, "j": focus, "t": focus, "r": rival}] if rival != focus else []
    return []


def _bind(node: Node, bind: dict[str, int]) -> Node:
    """Return a formula with its indices replaced by classes; quantities remain letters."""
    if node[0] == "sym":
        return (node[0], node[1], *(str(bind[k]) if k in bind else k for k in node[2:]))
    if node[0] == "num":
        return node
    return tuple(_bind(part, bind) if isinstance(part, tuple) else part for part in node)


def value_of(node: Node, lookup: Lookup, bind: dict[str, int]) -> Decimal | None:
    """Return the value of a quantity, or of the derivative of one by another; None for any other formula."""
    if node[0] == "sym":
        return lookup(node[1], tuple(bind[k] if k in bind else int(k) for k in node[2:]))
    if node[0] == "d":
        upper, lower = node[1], node[2]
        indices = tuple(bind[k] if k in bind else int(k) for k in (*upper[2:], *lower[2:]))
        return lookup(f"{upper[1]}/{lower[1]}", indices)
    return None


def substitute(node: Node, lookup: Lookup, bind: dict[str, int], count: int) -> Node:
    """Return a formula with every quantity replaced by its number and every sum written out."""
    kind = node[0]
    if kind in ("sym", "d"):
        value = value_of(node, lookup, bind)
        return _bind(node, bind) if value is None else num(value)
    if kind in ("num", "dots"):
        return node
    if kind == "delta":
        return ("num", str(int(bind[node[1]] == bind[node[2]])))
    if kind == "sum":
        classes = [k for k in range(count) if node[3] is None or k != bind[node[3]]]
        terms = [substitute(node[2], lookup, {**bind, node[1]: k}, count) for k in classes]
        if len(terms) > MAX_TERMS:
            terms = [*terms[:2], ("dots",), terms[-1]]
        return ("num", "0") if not terms else terms[0] if len(terms) == 1 else ("add", *terms)
    return tuple(substitute(part, lookup, bind, count) if isinstance(part, tuple) else part for part in node)


def lines(formula: Formula, lookup: Lookup, focus: int, rival: int, count: int) -> tuple[Node, ...]:
    """Return the formula's lines of numbers: left side = right side with numbers in it = result."""
    result = []
    with precisely():
        for bind in bindings(formula.each, focus, rival, count):
            left, right = formula.form[1], formula.form[formula.side]
            numbers = substitute(right, lookup, bind, count)
            value = value_of(left, lookup, bind)
            sides = [_bind(left, bind), numbers]
            if value is not None and numbers != num(value, None):
                sides.append(num(value, None))
            result.append(eq(*sides))
    return tuple(result)
