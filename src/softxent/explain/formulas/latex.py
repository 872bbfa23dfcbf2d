"""Formulas as LaTeX, and text with LaTeX's special characters escaped."""

from __future__ import annotations

from softxent.explain.formulas.formula import Node
from softxent.explain.formulas.printer import Printer

__all__ = ["escape", "latex"]

_LETTERS = {
    "δ": r"\delta", "σ": r"\sigma", "η": r"\eta", "ε": r"\varepsilon", "∇L": r"\nabla_{\!z} L",
    "∇ₐL": r"\nabla_{\!a} L", "x′": "x'", "a′": "a'",
}  # fmt: skip
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "−": "$-$", "·": r"$\cdot$", "…": r"\ldots{}", "‖": r"$\|$",
    "δ": r"$\delta$", "σ": r"$\sigma$", "η": r"$\eta$", "ε": r"$\varepsilon$", "∞": r"$\infty$", "Σ": r"$\Sigma$",
    "ᵢ": "$_i$", "ⱼ": "$_j$", "ₖ": "$_k$",
    "≠": r"$\neq$", "ᵀ": r"$^{\mathsf{T}}$", "◀": r"$\leftarrow$", "▶": r"$\rightarrow$", "\ufffd": "?",
}  # fmt: skip


def latex(node: Node) -> str:
    r"""Return a formula for math mode.

    >>> print(latex(("eq", ("sym", "a", "i"), ("div", ("exp", ("sym", "d", "i")), ("sym", "S")))))
    a_{i} = \frac{e^{d_{i}}}{S}
    """
    return _PRINTER.write(node)


def escape(text: str) -> str:
    r"""Return text that LaTeX typesets unchanged.

    >>> print(escape("50% of $x_1$"))
    50\% of \$x\_1\$
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


class _Latex(Printer):
    def bracket(self, a: str) -> str:
        return rf"\left({a}\right)"

    def symbol(self, name: str, index: list[str]) -> str:
        letter = _LETTERS.get(name, name)
        joint = "," if any(len(k) > 1 for k in index) else ""
        return f"{letter}_{{{joint.join(index)}}}" if index else letter

    def number(self, digits: str) -> str:
        mantissa, _, exponent = digits.partition("e")
        if digits in ("inf", "-inf"):
            return digits.replace("inf", r"\infty")
        return mantissa if not exponent else rf"{mantissa}\times 10^{{{int(exponent)}}}"

    def dots(self) -> str:
        return r"\cdots"

    def word(self, key: str) -> str:
        return rf"\text{{{escape(key)}}}"

    def chain(self, sides: list[str]) -> str:
        return " = ".join(sides)

    def minus(self) -> str:
        return "-"

    def sign(self, sign: str) -> str:
        return " + " if sign == "+" else " - "

    def product(self, factors: list[str]) -> str:
        return r" \cdot ".join(factors)

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def exponential(self, exponent: str) -> str:
        return f"e^{{{exponent}}}"

    def named(self, name: str, argument: str) -> str:
        return rf"\{name} {argument}"

    def sigma(self, index: str, other: str | None, body: str) -> str:
        below = index if other is None else rf"{index} \neq {other}"
        return rf"\sum_{{{below}}} {body}"

    def partial(self, f: str, x: str) -> str:
        return rf"\frac{{\partial {f}}}{{\partial {x}}}"

    def second(self, f: str, x: str, y: str) -> str:
        return rf"\frac{{\partial^2 {f}}}{{\partial {x}\,\partial {y}}}"

    def transpose(self, a: str) -> str:
        return rf"{a}^{{\mathsf{{T}}}}"

    def function(self, name: str, arguments: list[str]) -> str:
        named = r"\sigma" if name == "σ" else rf"\mathrm{{{name}}}"
        return rf"{named}\left({', '.join(arguments)}\right)"


_PRINTER = _Latex()
