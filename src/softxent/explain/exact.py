"""Exact values in decimal arithmetic, and their text.

Python's decimal (libmpdec) rounds exp and ln correctly at any precision, and its exponents are practically unlimited:
nothing overflows or underflows. Values have 80 digits, and differences that would cancel are written as sums. So the
standard library alone gives numbers that are right to the last bit of float64.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal

__all__ = ["DIGITS", "INFINITY", "ONE", "ZERO", "exact", "exp", "ln", "log1p", "precisely", "short", "show", "total"]

DIGITS = 80
ZERO, ONE, INFINITY = Decimal(0), Decimal(1), Decimal("Infinity")

_CONTEXT = decimal.Context(prec=DIGITS, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX, traps=[decimal.InvalidOperation])


@contextmanager
def precisely() -> Iterator[None]:
    """Compute with DIGITS digits, and with exponents of any size, inside the with block."""
    with decimal.localcontext(_CONTEXT):
        yield


def exact(value: float) -> Decimal:
    """Return the exact value of a float."""
    return Decimal(value)


def exp(x: Decimal) -> Decimal:
    """Return e^x; 0 for −inf."""
    return x.exp()


def ln(x: Decimal) -> Decimal:
    """Return the natural logarithm; −inf for 0."""
    return x.ln() if x else -INFINITY


def log1p(x: Decimal) -> Decimal:
    """Return ln(1 + x) for x ≥ 0 with all digits. If x is so small that 1 + x would drop some, sum the series.

    >>> with precisely():
    ...     print(f"{log1p(Decimal('1e-100')):.3e}")
    1.000e-100
    """
    if x.adjusted() > -8 or not x:
        with decimal.localcontext() as context:
            context.prec += 16
            return (ONE + x).ln()
    term, value, n = x, x, 1
    while term.adjusted() > value.adjusted() - DIGITS - 2:
        n += 1
        term = -term * x
        value += term / n
    return value


def total(values: Iterable[Decimal]) -> Decimal:
    """Return the sum."""
    return sum(values, ZERO)


def show(value: Decimal) -> str:
    """Return the shortest digits of the nearest float64; scientific notation if the value is beyond float64's range.

    >>> show(Decimal("0.1")), show(Decimal(3)), show(Decimal("1.25e-4343")), show(-INFINITY)
    ('0.1', '3', '1.25e-4343', '-inf')
    """
    number = float(value)
    if value.is_nan():
        return "nan"
    if value.is_infinite():
        return "inf" if value > 0 else "-inf"
    if math.isinf(number) or (number == 0 and value):
        return _scientific(value, 17)
    if number == 0:
        return "0"
    text = repr(number)
    return text.removesuffix(".0")


def short(value: Decimal, digits: int = 6) -> str:
    """Return a value rounded to a number of significant digits, without trailing zeros.

    >>> short(Decimal("0.7308793357119")), short(Decimal(4)), short(Decimal("2.3984878e-145")), short(Decimal(-4))
    ('0.730879', '4', '2.39849e-145', '-4')
    """
    if not value.is_finite():
        return show(value)
    if not value:
        return "0"
    if not -4 <= value.adjusted() < digits:
        return _scientific(value, digits)
    text = f"{decimal.Context(prec=digits, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX).plus(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(value: Decimal, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{'-' if exponent[0] == '-' else '+'}{abs(int(exponent)):02d}"
