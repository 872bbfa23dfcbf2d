"""Intervals of mpmath, in pure Python, used if python-flint is missing: slower, with the same proofs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import mpmath
from mpmath import iv

NAME = f"mpmath {mpmath.__version__}"


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with this many bits."""
    before = iv.prec
    iv.prec = bits
    try:
        yield
    finally:
        iv.prec = before


def ball(x: float) -> Any:
    """Return a float as an interval of width 0."""
    return iv.mpf(x)


def exp(x: Any) -> Any:
    """Return e^x."""
    return iv.exp(x)


def log1p(x: Any) -> Any:
    """Return log(1 + x) for x ≥ 0: by x − x²/2 ≤ log(1 + x) ≤ x if 1 + x would lose x."""
    if x.b < iv.mpf(2) ** (-iv.prec // 2):
        return iv.mpf([(x - x * x / 2).a, x.b])
    return iv.log(1 + x)


def interval(x: Any) -> tuple[Fraction, Fraction]:
    """Return the ends."""
    low, high = x._mpi_
    return _fraction(low), _fraction(high)


def _fraction(raw: Any) -> Fraction:
    sign, man, exponent, _ = raw
    man = -int(man) if sign else int(man)
    exponent = int(exponent)
    return Fraction(man << exponent) if exponent >= 0 else Fraction(man, 1 << -exponent)
