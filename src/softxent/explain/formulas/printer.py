"""The walk through a formula, which adds the necessary brackets. Each printer defines how the parts look."""

from __future__ import annotations

from abc import ABC, abstractmethod

from softxent.explain.formulas.formula import Node

__all__ = ["ATOM", "CHAIN", "POWER", "PRODUCT", "SUM", "Printer"]

# How tightly an operation binds.
ATOM, POWER, PRODUCT, SUM, CHAIN = 5, 4, 3, 2, 1


class Printer(ABC):
    """Walks a formula. The abstract methods get their parts as text, with the necessary brackets."""

    # Whether fractions and exponents are set above and below, so that their parts need no brackets.
    two_dimensional = True

    def write(self, node: Node) -> str:
        """Return a formula."""
        return self.parse(node)[0]

    def within(self, node: Node, level: int) -> str:
        """Return a part, in brackets if it binds less tightly than level."""
        written, own = self.parse(node)
        return written if own >= level else self.bracket(written)

    def parse(self, node: Node) -> tuple[str, int]:
        """Return a part and how tightly it binds."""
        kind, *parts = node
        # How tightly a numerator and a denominator must bind to need no brackets.
        tight, free = (CHAIN, CHAIN) if self.two_dimensional else (PRODUCT, POWER)
        if kind == "sym":
            return self.symbol(parts[0], parts[1:]), ATOM
        if kind == "num":
            return self.number(parts[0]), SUM if parts[0].startswith("-") else ATOM
        if kind == "dots":
            return self.dots(), ATOM
        if kind == "word":
            return self.word(parts[0]), ATOM
        if kind == "eq":
            return self.chain([self.within(part, SUM) for part in parts]), CHAIN
        if kind == "add":
            return self.total(parts), SUM
        if kind == "neg":
            return self.minus() + self.within(parts[0], PRODUCT), SUM
        if kind == "mul":
            return self.product([self._factor(part) for part in parts]), PRODUCT
        if kind == "div":
            return self.fraction(self.within(parts[0], tight), self.within(parts[1], free)), PRODUCT
        if kind == "pow":
            return self.power(self.within(parts[0], ATOM), parts[1][1]), POWER
        if kind == "exp":
            return self.exponential(self.within(parts[0], CHAIN if self.two_dimensional else ATOM)), POWER
        if kind in ("ln", "max"):
            return self.named(kind, self.within(parts[0], ATOM)), PRODUCT
        if kind == "sum":
            return self.sigma(parts[0], parts[2], self.within(parts[1], PRODUCT)), PRODUCT
        if kind == "d":
            return self.partial(self.within(parts[0], ATOM), self.within(parts[1], ATOM)), POWER
        if kind == "dd":
            return self.second(*(self.within(part, ATOM) for part in parts)), POWER
        if kind == "delta":
            return self.symbol("δ", parts), ATOM
        if kind == "transpose":
            return self.transpose(self.within(parts[0], ATOM)), POWER
        name, arguments = (kind, parts) if kind in ("log1p", "diag") else (parts[0], parts[1:])
        return self.function(name, [self.write(argument) for argument in arguments]), ATOM

    def _factor(self, part: Node) -> str:
        loose = part[0] == "sum" or (part[0] == "div" and not self.two_dimensional)
        return self.within(part, POWER if loose else PRODUCT)

    def total(self, terms: list[Node]) -> str:
        """Return a sum: a negative term is subtracted, and a negative number is in brackets."""
        written = self.within(terms[0], SUM)
        for term in terms[1:]:
            if term[0] == "neg":
                written += self.sign("−") + self.within(term[1], PRODUCT)
            else:
                written += self.sign("+") + self.within(term, PRODUCT)
        return written

    @abstractmethod
    def bracket(self, a: str) -> str: ...  # noqa: D102
    @abstractmethod
    def symbol(self, name: str, index: list[str]) -> str: ...  # noqa: D102
    @abstractmethod
    def number(self, digits: str) -> str: ...  # noqa: D102
    @abstractmethod
    def dots(self) -> str: ...  # noqa: D102
    @abstractmethod
    def word(self, key: str) -> str: ...  # noqa: D102
    @abstractmethod
    def chain(self, sides: list[str]) -> str: ...  # noqa: D102
    @abstractmethod
    def minus(self) -> str: ...  # noqa: D102
    @abstractmethod
    def sign(self, sign: str) -> str: ...  # noqa: D102
    @abstractmethod
    def product(self, factors: list[str]) -> str: ...  # noqa: D102
    @abstractmethod
    def fraction(self, above: str, below: str) -> str: ...  # noqa: D102
    @abstractmethod
    def power(self, base: str, exponent: str) -> str: ...  # noqa: D102
    @abstractmethod
    def exponential(self, exponent: str) -> str: ...  # noqa: D102
    @abstractmethod
    def named(self, name: str, argument: str) -> str: ...  # noqa: D102
    @abstractmethod
    def sigma(self, index: str, other: str | None, body: str) -> str: ...  # noqa: D102
    @abstractmethod
    def partial(self, f: str, x: str) -> str: ...  # noqa: D102
    @abstractmethod
    def second(self, f: str, x: str, y: str) -> str: ...  # noqa: D102
    @abstractmethod
    def transpose(self, a: str) -> str: ...  # noqa: D102
    @abstractmethod
    def function(self, name: str, arguments: list[str]) -> str: ...  # noqa: D102
