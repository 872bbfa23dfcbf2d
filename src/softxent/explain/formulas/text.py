"""Formulas as a line of Unicode text, for terminals."""

from __future__ import annotations

from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.printer import Printer

__all__ = ["text"]

_SUBSCRIPTS = str.maketrans("0123456789ijkprt", "₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₚᵣₜ")
_POWERS = {"2": "²"}


def text(node: Node) -> str:
    """Return a formula as one line.

    >>> text(("eq", ("sym", "a", "i"), ("div", ("exp", ("sym", "d", "i")), ("sym", "S"))))
    'aᵢ = e^dᵢ / S'
    """
    return _PRINTER.write(node)


class _Text(Printer):
    two_dimensional = False

    def bracket(self, a: str) -> str:
        return f"({a})"

    def symbol(self, name: str, index: list[str]) -> str:
        # Indices follow each other without a comma, unless one has two digits: ₁₂ means one and two.
        return name + ("," if any(len(k) > 1 for k in index) else "").join(k.translate(_SUBSCRIPTS) for k in index)

    def number(self, digits: str) -> str:
        return digits

    def dots(self) -> str:
        return "…"

    def word(self, key: str) -> str:
        return key

    def chain(self, sides: list[str]) -> str:
        return " = ".join(sides)

    def minus(self) -> str:
        return "−"

    def sign(self, sign: str) -> str:
        return f" {sign} "

    def product(self, factors: list[str]) -> str:
        return "·".join(factors)

    def fraction(self, above: str, below: str) -> str:
        return f"{above} / {below}"

    def power(self, base: str, exponent: str) -> str:
        return base + _POWERS.get(exponent, f"^{exponent}")

    def exponential(self, exponent: str) -> str:
        return f"e^{exponent}"

    def named(self, name: str, argument: str) -> str:
        return f"{name} {argument}"

    def sigma(self, index: str, other: str | None, body: str) -> str:
        below = index.translate(_SUBSCRIPTS) + ("" if other is None else "≠" + other.translate(_SUBSCRIPTS))
        return f"Σ{below} {body}"

    def partial(self, f: str, x: str) -> str:
        return f"∂{f}/∂{x}"

    def second(self, f: str, x: str, y: str) -> str:
        return f"∂²{f}/∂{x}∂{y}"

    def transpose(self, a: str) -> str:
        return f"{a}ᵀ"

    def function(self, name: str, arguments: list[str]) -> str:
        return f"{name}({', '.join(arguments)})"


_PRINTER = _Text()
