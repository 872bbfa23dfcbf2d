"""Balls of python-flint (Arb: Johansson, IEEE Trans. Computers 66, 2017): a midpoint and a radius around the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import flint

NAME = f"python-flint {flint.__version__}"


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with this many bits."""
    with flint.ctx.workprec(bits):
        yield


def ball(x: float) -> Any:
    """Return a float as a ball of radius 0."""
    return flint.arb(x)


def exp(x: Any) -> Any:
    """Return e^x."""
    return x.exp()


def log1p(x: Any) -> Any:
    """Return log(1 + x)."""
    return x.log1p()


def interval(x: Any) -> tuple[Fraction, Fraction]:
    """Return the ends of the ball."""
    middle, radius = (_fraction(v) for v in (x.mid(), x.rad()))
    return middle - radius, middle + radius


def _fraction(x: Any) -> Fraction:
    man, exponent = x.man_exp()
    man, exponent = int(man), int(exponent)
    return Fraction(man << exponent) if exponent >= 0 else Fraction(man, 1 << -exponent)
