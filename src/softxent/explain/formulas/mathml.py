"""Formulas as MathML Core, which every browser draws without fonts or scripts."""

from __future__ import annotations

from html import escape

from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.printer import Printer

__all__ = ["mathml"]


def mathml(node: Node, *, block: bool = False) -> str:
    """Return a formula as a <math> element.

    >>> mathml(("eq", ("sym", "S"), ("num", "1.5")))
    '<math><mrow><mi>S</mi><mo>=</mo><mn>1.5</mn></mrow></math>'
    """
    display = ' display="block"' if block else ""
    return f"<math{display}><mrow>{_PRINTER.write(node)}</mrow></math>"


# The minus of a negative number, which browsers set closer than that of a difference.
_MINUS = '<mo form="prefix">−</mo>'


class _MathML(Printer):
    def bracket(self, a: str) -> str:
        return f"<mrow><mo>(</mo>{a}<mo>)</mo></mrow>"

    def symbol(self, name: str, index: list[str]) -> str:
        letter = f"<mi>{escape(name)}</mi>"
        if not index:
            return letter
        joint = "<mo>,</mo>" if any(len(k) > 1 for k in index) else ""
        below = joint.join(f"<mn>{k}</mn>" if k.isdigit() else f"<mi>{escape(k)}</mi>" for k in index)
        return f"<msub>{letter}<mrow>{below}</mrow></msub>"

    def number(self, digits: str) -> str:
        if digits.startswith("-"):
            return f"<mrow>{_MINUS}{self.number(digits[1:])}</mrow>"
        if digits == "inf":
            return "<mi>∞</mi>"
        mantissa, _, exponent = digits.partition("e")
        if not exponent:
            return f"<mn>{escape(digits)}</mn>"
        power = f"<mn>{abs(int(exponent))}</mn>"
        power = power if int(exponent) >= 0 else f"<mrow><mo>−</mo>{power}</mrow>"
        return f"<mrow><mn>{mantissa}</mn><mo>×</mo><msup><mn>10</mn>{power}</msup></mrow>"

    def dots(self) -> str:
        return "<mo>⋯</mo>"

    def word(self, key: str) -> str:
        return f"<mtext>{escape(key)}</mtext>"

    def chain(self, sides: list[str]) -> str:
        return "<mo>=</mo>".join(sides)

    def minus(self) -> str:
        return _MINUS

    def sign(self, sign: str) -> str:
        return f"<mo>{sign}</mo>"

    def product(self, factors: list[str]) -> str:
        return "<mo>·</mo>".join(factors)

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac><mrow>{above}</mrow><mrow>{below}</mrow></mfrac>"

    def power(self, base: str, exponent: str) -> str:
        return f"<msup><mrow>{base}</mrow><mn>{exponent}</mn></msup>"

    def exponential(self, exponent: str) -> str:
        return f"<msup><mi>e</mi><mrow>{exponent}</mrow></msup>"

    def named(self, name: str, argument: str) -> str:
        return f"<mi>{name}</mi><mspace width='0.17em'/>{argument}"

    def sigma(self, index: str, other: str | None, body: str) -> str:
        below = f"<mi>{index}</mi>"
        if other is not None:
            below += f"<mo>≠</mo>{f'<mn>{other}</mn>' if other.isdigit() else f'<mi>{other}</mi>'}"
        return f"<munder><mo>∑</mo><mrow>{below}</mrow></munder><mrow>{body}</mrow>"

    def partial(self, f: str, x: str) -> str:
        return self.fraction(f"<mo>∂</mo>{f}", f"<mo>∂</mo>{x}")

    def second(self, f: str, x: str, y: str) -> str:
        return self.fraction(f"<msup><mo>∂</mo><mn>2</mn></msup>{f}", f"<mo>∂</mo>{x}<mo>∂</mo>{y}")

    def transpose(self, a: str) -> str:
        return f"<msup><mrow>{a}</mrow><mi>T</mi></msup>"

    def function(self, name: str, arguments: list[str]) -> str:
        inside = "<mo>,</mo>".join(arguments)
        return f"<mi>{escape(name)}</mi><mrow><mo>(</mo>{inside}<mo>)</mo></mrow>"


_PRINTER = _MathML()
