"""Double-double arithmetic on arrays: a number is an unevaluated sum hi + lo of two float64, about 2^-68 right here.

It is for big arrays, for which ball arithmetic would take minutes; every error that it finds is proved again by balls.
It uses Knuth's TwoSum, Veltkamp's and Dekker's TwoProduct (Dekker, Numer. Math. 18, 1971), and an exponential by table:
with x = (k + j/64) log 2 + r, |r| ≤ 0.0055, e^x = 2^k · 2^(j/64) · e^r.
"""

from __future__ import annotations

import decimal
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Pair", "exp", "expm1", "log", "log1p", "pair", "product", "total"]

Float = npt.NDArray[np.float64]
STEPS = 64
SPLITTER = 134217729.0  # 2^27 + 1


@dataclass(frozen=True)
class Pair:
    """hi + lo, with hi the sum rounded to float64."""

    hi: Float
    lo: Float

    def __getitem__(self, index: Any) -> Pair:
        return Pair(self.hi[index], self.lo[index])

    def __neg__(self) -> Pair:
        return Pair(-self.hi, -self.lo)

    def __add__(self, other: Pair) -> Pair:
        high, low = two_sum(self.hi, other.hi)
        return renormalised(high, low + (self.lo + other.lo))

    def __sub__(self, other: Pair) -> Pair:
        return self + (-other)

    def __mul__(self, other: Pair) -> Pair:
        high, low = two_product(self.hi, other.hi)
        return renormalised(high, low + (self.hi * other.lo + self.lo * other.hi))

    def __truediv__(self, other: Pair) -> Pair:
        q = self.hi / other.hi
        rest = self - Pair(q, np.zeros_like(q)) * other
        return renormalised(q, rest.hi / other.hi)

    def reshape(self, *shape: int) -> Pair:
        """Return it in another shape."""
        return Pair(self.hi.reshape(*shape), self.lo.reshape(*shape))


def pair(x: npt.ArrayLike) -> Pair:
    """Return float64 numbers as pairs."""
    hi = np.asarray(x, np.float64)
    return Pair(hi, np.zeros_like(hi))


def two_sum(a: Float, b: Float) -> tuple[Float, Float]:
    """Return a + b rounded and its error; the error of an infinite sum is 0."""
    s = a + b
    t = s - a
    e = (a - (s - t)) + (b - t)
    return s, np.where(np.isfinite(e), e, 0.0)


def two_product(a: Float, b: Float) -> tuple[Float, Float]:
    """Return a b rounded and its error."""
    p = a * b
    t = SPLITTER * a
    a1 = t - (t - a)
    a2 = a - a1
    t = SPLITTER * b
    b1 = t - (t - b)
    b2 = b - b1
    e = ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2
    return p, np.where(np.isfinite(e), e, 0.0)


def renormalised(high: Float, low: Float) -> Pair:
    """Return high + low as a pair; |high| ≥ |low|."""
    s = high + low
    e = low - (s - high)
    return Pair(s, np.where(np.isfinite(e), e, 0.0))


def product(a: Float, b: Float) -> Pair:
    """Return the exact products of float64 numbers."""
    return Pair(*two_product(a, b))


def total(x: Pair) -> Pair:
    """Return the sum over the last axis, which each of log2(n) rounds of pair additions halves."""
    n = x.hi.shape[-1]
    if n == 0:
        return pair(np.zeros(x.hi.shape[:-1]))
    while n > 1:
        half = n // 2
        folded = x[..., :half] + x[..., half : 2 * half]
        x = (
            Pair(
                np.concatenate([folded.hi, x.hi[..., 2 * half : n]], -1),
                np.concatenate([folded.lo, x.lo[..., 2 * half : n]], -1),
            )
            if n % 2
            else folded
        )
        n = half + n % 2
    return x[..., 0]


@functools.cache
def _table() -> tuple[Float, Float, tuple[float, float, float]]:
    """Return 2^(j/64) as pairs, and log(2)/64 in three parts; the first two times any 20-bit integer are exact."""
    with decimal.localcontext() as context:
        context.prec = 60
        ln2 = decimal.Decimal(2).ln()
        powers = [(ln2 * j / STEPS).exp() for j in range(STEPS)]
        hi = [float(p) for p in powers]
        lo = [float(p - decimal.Decimal(h)) for p, h in zip(powers, hi, strict=True)]
        step = ln2 / STEPS
        first = float(int(step * 2**38)) / 2**38
        second = float(int((step - decimal.Decimal(first)) * 2**70)) / 2**70
        third = float(step - decimal.Decimal(first) - decimal.Decimal(second))
    return np.array(hi), np.array(lo), (first, second, third)


def _reduced(x: Pair) -> tuple[Float, Pair]:
    """Return n and e^r − 1 with x = n log(2)/64 + r."""
    _, _, (first, second, third) = _table()
    n = np.rint(x.hi / (first + second))
    a = x.hi - n * first  # exact
    high, low = two_sum(a, -n * second)
    r, rest = two_sum(high, low + (x.lo - n * third))
    # e^r − 1 − r, relative to r²: the plain float64 value is right to 2^-52 of a number below 2^-15.
    tail = r * r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040)))))
    return n, renormalised(r, rest * (1 + r) + tail)


def exp(x: Pair) -> Pair:
    """Return e^x for x ≤ 700; 0 below −800."""
    powers, rests, _ = _table()
    small = ~(x.hi >= -800)
    n, s = _reduced(Pair(np.where(small, 0.0, x.hi), np.where(small, 0.0, x.lo)))
    k, j = np.divmod(n.astype(np.int64), STEPS)
    t = Pair(powers[j], rests[j])
    value = t + t * s
    with np.errstate(under="ignore", over="ignore"):
        e = k.astype(np.int32)
        hi, lo = np.ldexp(value.hi, e), np.ldexp(value.lo, e)
    nan = np.isnan(x.hi)
    zero = small & ~nan
    return Pair(np.where(zero, 0.0, np.where(nan, np.nan, hi)), np.where(small, 0.0, lo))


def expm1(x: Pair) -> Pair:
    """Return e^x − 1, |x| ≤ 700, with a small relative error."""
    n, s = _reduced(x)
    return _chosen(n == 0, s, exp(x) - pair(np.ones_like(x.hi)))


def _chosen(condition: npt.NDArray[np.bool_], a: Pair, b: Pair) -> Pair:
    return Pair(np.where(condition, a.hi, b.hi), np.where(condition, a.lo, b.lo))


def log(x: Pair) -> Pair:
    """Return log x for 1 ≤ x, by one Newton step on e^y = x."""
    y = pair(np.log(x.hi))
    return y + (x * exp(-y) - pair(np.ones_like(x.hi)))


def log1p(x: Pair) -> Pair:
    """Return log(1 + x) for x ≥ 0, with a small relative error, by one Newton step on e^y − 1 = x."""
    y = pair(np.log1p(x.hi))
    step = x - expm1(y)
    return y + Pair(step.hi / (1 + x.hi), np.zeros_like(x.hi))
