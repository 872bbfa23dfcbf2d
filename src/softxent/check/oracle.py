"""The exact oracle: every number that it returns is proved to be the true one, correctly rounded.

Each formula is free of cancellation where mathematics allows it (log1p, the sum of the OTHER exponentials). The
precision is doubled until both ends of the ball round to the same float64: that is the proof. A number that cannot be
proved raises `OracleError`; none is guessed. Exponentials below e^−30000 are taken as 0: no dtype can hold them.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.errors import SoftxentError

__all__ = ["Number", "OracleError", "backend", "exact", "round_to", "use"]

LOWEST = -30000.0
MOST_BITS = 1 << 17
_chosen: ModuleType | None = None


class OracleError(SoftxentError):
    """The oracle cannot prove a number, or no library of balls is installed."""


def use(name: str | None) -> None:
    """Use "flint" or "mpmath"; None: flint if it is installed."""
    global _chosen
    _chosen = None if name is None else importlib.import_module(f"softxent.check.balls_{name}")
    _row.cache_clear()


def backend() -> ModuleType:
    """Return the module of balls."""
    global _chosen
    if _chosen is None:
        for name in ("flint", "mpmath"):
            try:
                _chosen = importlib.import_module(f"softxent.check.balls_{name}")
            except ImportError:
                continue
            break
        else:
            raise OracleError("the exact oracle needs python-flint or mpmath: pip install 'softxent[check]'")
    return _chosen


@dataclass(frozen=True)
class Number:
    """A proved number: hi is the value correctly rounded to float64; middle ± 2^-110 of itself holds the value."""

    hi: float
    middle: Fraction | None  # None for NaN and ±inf

    @property
    def lo(self) -> float:
        """The rest of it, rounded."""
        if self.middle is None or not math.isfinite(self.hi):
            return 0.0
        return float(self.middle - Fraction(self.hi))

    def digits(self, count: int = 40) -> str:
        """Return count significant digits (2^-110 proves at most 33 of them: ask `exact` for more bits)."""
        if self.middle is None:
            return str(self.hi)
        import decimal

        with decimal.localcontext() as context:
            context.prec = count
            context.Emin, context.Emax = decimal.MIN_EMIN, decimal.MAX_EMAX
            return str(decimal.Decimal(self.middle.numerator) / decimal.Decimal(self.middle.denominator))


def round_to(value: Fraction, bits: int, least: int, most: Fraction) -> Fraction | float:
    """Return value rounded to nearest even, to `bits` bits; least: the exponent of the smallest subnormal."""
    if value == 0:
        return Fraction(0)
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - bits + 1, least)
    rounded = round(size / unit) * unit
    if rounded > most:
        return math.inf if value > 0 else -math.inf
    return rounded if value > 0 else -rounded


def to_float(value: Fraction) -> float:
    """Return value correctly rounded to float64; inf if it overflows."""
    try:
        return float(value)  # Python's division of integers is correctly rounded, also for subnormal results
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def settle(build: Callable[[], Sequence[Any]], bits: int = 110) -> list[Number]:
    """Return build's balls as numbers, each at the first precision that proves it; NaN and ±inf unchanged."""
    found: dict[int, Number] = {}
    precision = 192
    while precision <= MOST_BITS:
        with backend().precision(precision):
            values = list(build())
            for i, value in enumerate(values):
                if i not in found:
                    number = _proved(value, bits)
                    if number is not None:
                        found[i] = number
        if len(found) == len(values):
            return [found[i] for i in range(len(values))]
        precision *= 2
    raise OracleError(f"no proof at {MOST_BITS} bits")


def _proved(value: Any, bits: int) -> Number | None:
    if isinstance(value, float):
        return Number(value, Fraction(value) if math.isfinite(value) else None)
    low, high = backend().interval(value)
    middle = (low + high) / 2
    if (high - low) * (1 << bits) > abs(middle) and high != low and max(abs(low), abs(high)) > Fraction(1, 1 << 3000):
        return None
    hi = to_float(low)
    return Number(hi, middle) if hi == to_float(high) else None


class Row:
    """One row of logits as balls, and the functions of its softmax."""

    def __init__(self, z: Sequence[float] | Sequence[Fraction]) -> None:
        self.size = len(z)
        self.top = max(range(len(z)), key=lambda i: z[i])
        b = backend()
        self.z = [None if v == -math.inf else _ball(v) for v in z]
        self.m = self.z[self.top]
        self.d = [None if v is None else v - self.m for v in self.z]
        far = [v == -math.inf or float(v) - float(z[self.top]) < LOWEST for v in z]
        self.e = [b.ball(0.0) if f else b.exp(d) for d, f in zip(self.d, far, strict=True)]
        self.rest = sum((e for i, e in enumerate(self.e) if i != self.top), b.ball(0.0))
        self.total = 1 + self.rest
        self.log_total = b.log1p(self.rest)
        self.inverse = 1 / self.total

    def p(self, i: int) -> Any:
        """The probability of class i."""
        return self.e[i] * self.inverse

    def others(self, i: int) -> Any:
        """The sum of the exponentials of the classes other than i."""
        return self.rest if i == self.top else self.total - self.e[i]

    def log_p(self, i: int) -> Any:
        """The log-probability of class i; −inf if it is impossible."""
        return -math.inf if self.d[i] is None else self.d[i] - self.log_total

    def loss(self, i: int) -> Any:
        """The loss of label i."""
        return math.inf if self.d[i] is None else self.log_total - self.d[i]

    def pull(self, i: int, label: int) -> Any:
        """The gradient of the loss."""
        return -self.others(i) * self.inverse if i == label else self.p(i)


def _ball(v: float | Fraction) -> Any:
    b = backend()
    if isinstance(v, Fraction):
        return b.ball(0.0) + _integer(v.numerator) / _integer(v.denominator)
    return b.ball(float(v))


def _integer(n: int) -> Any:
    """Return an integer exactly, as a sum of floats."""
    b, sign, n = backend(), -1 if n < 0 else 1, abs(n)
    value, shift = b.ball(0.0), b.ball(1.0)
    while n:
        value = value + b.ball(float(n & ((1 << 50) - 1))) * shift
        n >>= 50
        shift = shift * b.ball(float(1 << 50))
    return sign * value


@functools.lru_cache(maxsize=4)
def _row(z: tuple[Any, ...], precision: int) -> Row:
    return Row(z)


def _undefined(z: Sequence[Any]) -> bool:
    return any(v != v or v == math.inf for v in z) or all(v == -math.inf for v in z)


def exact(kind: str, z: npt.ArrayLike | Sequence[Fraction], extra: Any = None, *, bits: int = 110) -> list[Number]:
    """Return the proved results of one row, flat.

    Let z have shape (C,): logits; for "softmax_jacobian" and "softmax_vjp" probabilities, unless "…_from_logits" is
    added. extra: the label (cross_entropy…), the cotangent (vjp) or the targets (binary_cross_entropy).

    >>> [x.hi for x in exact("cross_entropy", [40.0, 0.0], 0)]
    [4.248354255291589e-18]
    """
    row = tuple(z) if len(z) and isinstance(z[0], Fraction) else tuple(float(v) for v in np.asarray(z).ravel())  # type: ignore[arg-type,index]
    return settle(lambda: _build(kind, row, extra), bits)


def _build(kind: str, z: tuple[Any, ...], extra: Any) -> list[Any]:
    n, everything = len(z), range(len(z))
    if kind in ("sigmoid", "binary_cross_entropy"):
        return [_elementwise(kind, v, None if extra is None else float(np.ravel(extra)[i])) for i, v in enumerate(z)]
    if kind == "softmax_jacobian":
        p = [backend().ball(v) for v in z]
        return [p[i] * (1 - p[i]) if i == j else -p[i] * p[j] for i in everything for j in everything]
    if kind == "softmax_vjp":
        p, g = [backend().ball(v) for v in z], [backend().ball(float(v)) for v in np.ravel(extra)]
        mean = sum((a * b for a, b in zip(p, g, strict=True)), backend().ball(0.0))
        return [a * (b - mean) for a, b in zip(p, g, strict=True)]
    if _undefined(z):
        return _undefined_result(kind, z)
    row = _row(z, _bits())
    if kind == "softmax":
        return [row.p(i) for i in everything]
    if kind == "log_softmax":
        return [row.log_p(i) for i in everything]
    if kind == "logsumexp":
        return [row.m + row.log_total]
    if kind == "cross_entropy":
        return [row.loss(int(extra))]
    if kind == "cross_entropy_grad":
        return [row.pull(i, int(extra)) for i in everything]
    if kind == "softmax_jacobian_from_logits":
        p = [row.p(i) for i in everything]
        return [p[i] * row.others(i) * row.inverse if i == j else -p[i] * p[j] for i in everything for j in everything]
    if kind == "softmax_vjp_from_logits":
        p, g = [row.p(i) for i in everything], [backend().ball(float(v)) for v in np.ravel(extra)]
        return [p[i] * sum((p[j] * (g[i] - g[j]) for j in everything), backend().ball(0.0)) for i in range(n)]
    raise OracleError(f"no formula for {kind}")


def _bits() -> int:
    chosen = backend()
    return int(chosen.iv.prec if hasattr(chosen, "iv") else chosen.flint.ctx.prec)


def _undefined_result(kind: str, z: tuple[Any, ...]) -> list[Any]:
    if kind == "logsumexp":
        return [math.nan if any(v != v for v in z) else math.inf if math.inf in z else -math.inf]
    count = {"cross_entropy": 1, "softmax_jacobian_from_logits": len(z) ** 2}.get(kind, len(z))
    return [math.nan] * count


def _elementwise(kind: str, z: float, target: float | None) -> Any:
    if z != z:
        return math.nan
    b = backend()
    e = b.ball(0.0) if abs(z) > -LOWEST else b.exp(-abs(b.ball(z)))
    if kind == "sigmoid":
        return (1 if z >= 0 else e) / (1 + e)
    assert target is not None
    # log(1 + e^−|z|) + max(z, 0) − t z: if z > 0, the linear terms are |z| (1 − t), without cancellation.
    t = b.ball(target)
    if math.isinf(z):
        return 0.0 if target == (z > 0) else math.inf
    return b.log1p(e) + abs(b.ball(z)) * ((1 - t) if z >= 0 else t)
