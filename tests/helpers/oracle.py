"""The exact oracle: ball arithmetic, whose balls prove that what is handed out is right to 2^−106.

Every form here is free of cancellation (log1p, the sum of the OTHER exponentials), and the precision is doubled until
each ball is that narrow: relative to the value, or for sums that cancel by nature relative to their largest term (the
scale, returned beside the value). Exponentials below e^−30000 are taken as 0: no dtype here holds their like, and
numbers with giant exponents must never be converted.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import flint
import numpy as np
from flint import arb
from ulps import Exact

BITS = 110
LOWEST = -30000.0
NAN = float("nan")


def to_exact(balls: Sequence, shape: tuple[int, ...] | None = None) -> Exact:
    """Return balls (or floats: NaN, ±inf) as exact values."""
    parts = np.array([_parts(b) for b in balls], dtype=object).reshape(len(balls), 3)
    shape = (len(balls),) if shape is None else shape
    return Exact(
        parts[:, 0].astype(np.float64).reshape(shape),
        parts[:, 1].astype(np.float64).reshape(shape),
        parts[:, 2].astype(np.int64).reshape(shape),
    )


def _parts(ball) -> tuple[float, float, int]:
    if isinstance(ball, float):
        return (ball, 0.0, 0) if not math.isfinite(ball) else (*_split(*_as_integers(arb(ball))),)
    return _split(*_as_integers(ball))


def _as_integers(ball) -> tuple[int, int]:
    man, exp = ball.mid().man_exp()
    return int(man), int(exp)


def _split(man: int, exp: int) -> tuple[float, float, int]:
    if man == 0:
        return 0.0, 0.0, 0
    bits = man.bit_length()
    if exp + bits < -60000:
        return 0.0, 0.0, 0
    if bits <= 53:
        return math.ldexp(man, -bits), 0.0, exp + bits
    hi = man / (1 << bits)  # Python divides integers correctly rounded
    rest = man - (int(math.ldexp(hi, 53)) << (bits - 53))
    return hi, rest / (1 << bits), exp + bits


def settle(build: Callable[[], list[tuple]], shape: tuple[int, ...] | None = None) -> tuple[Exact, Exact]:
    """Return (values, scales): build's pairs of balls, at the first precision where each value is narrow enough.

    build returns (value, scale) pairs; scale is None where the value itself is what the error is relative to.
    """
    precision = 192
    while precision <= 1 << 14:
        with flint.ctx.workprec(precision):
            pairs = build()
            if all(_settled(value, scale) for value, scale in pairs):
                scales = [value if scale is None else scale for value, scale in pairs]
                return to_exact([value for value, _ in pairs], shape), to_exact(scales, shape)
        precision *= 2
    raise AssertionError("the oracle's precision did not suffice")


def _settled(value, scale) -> bool:
    if isinstance(value, float) or value.is_exact():
        return True
    if value.rel_accuracy_bits() >= BITS:
        return True
    if value.abs_upper() < arb(2) ** -50000:
        return True
    return isinstance(scale, arb) and bool(value.rad() * arb(2) ** BITS <= scale.abs_lower())


def largest(*terms):
    """Return the term of the largest magnitude, as a ball of that magnitude."""
    best = arb(0)
    for term in terms:
        size = abs(arb(term)) if not isinstance(term, arb) else abs(term)
        if size.mid() > best.mid():
            best = size
    return best


@dataclass
class Row:
    """One row of transformed logits as balls, and what softmax makes of them. Build it inside `settle`."""

    x: np.ndarray
    temperature: float = 1.0
    softcap: float | None = None

    def __post_init__(self) -> None:
        self.x = np.asarray(self.x).astype(np.float64)
        self.top = int(np.argmax(self.x))
        # Every logit −inf, any +inf, any NaN: the row is NaN.
        self.defined = bool(np.isfinite(self.x[self.top]))

    @cached_property
    def z(self) -> list:
        """The logits after softcap and temperature; None for an impossible class."""
        return [None if v == -math.inf else self._transform(v) for v in self.x.tolist()]

    def _transform(self, v: float):
        z = arb(v)
        if self.softcap is not None:
            c = arb(self.softcap)
            z = c * (z / c).tanh()
        return arb(0) if math.isinf(self.temperature) else z / arb(self.temperature)

    @cached_property
    def m(self):
        """The largest of them."""
        return self.z[self.top]

    @cached_property
    def d(self) -> list:
        """z_i − m; None for an impossible class."""
        if self.softcap is None and self.temperature == 1.0:
            return [None if z is None else z - self.m for z in self.z]
        if math.isinf(self.temperature):
            return self.z
        if self.softcap is None:
            top, t = arb(self.x[self.top]), arb(self.temperature)
            return [None if z is None else (arb(v) - top) / t for v, z in zip(self.x.tolist(), self.z, strict=True)]
        return [arb(0) if i == self.top else None if z is None else z - self.m for i, z in enumerate(self.z)]

    @cached_property
    def e(self) -> list:
        """exp(z_i − m)."""
        return [arb(0) if d is None or d < LOWEST else d.exp() for d in self.d]

    @cached_property
    def rest(self):
        """Σ of all exponentials but the largest."""
        return sum((e for i, e in enumerate(self.e) if i != self.top), arb(0))

    @cached_property
    def total(self):
        """S."""
        return 1 + self.rest

    @cached_property
    def log_total(self):
        """log S, by log1p."""
        return self.rest.log1p()

    @cached_property
    def lse(self):
        """m + log S."""
        return self.m + self.log_total

    @cached_property
    def inverse(self):
        """1/S."""
        return 1 / self.total

    def p(self, i: int):
        """The probability of class i."""
        return self.e[i] * self.inverse

    def others(self, i: int):
        """Σ of the exponentials of the classes other than i: S − e_i does not cancel but for the largest."""
        return self.rest if i == self.top else self.total - self.e[i]

    def log_p(self, i: int):
        """log p_i, −inf for an impossible class: a sum of two terms of one sign."""
        return -math.inf if self.d[i] is None else self.d[i] - self.log_total

    def slope(self, i: int) -> tuple:
        """(z', z'') at x_i."""
        inverse = arb(0) if math.isinf(self.temperature) else 1 / arb(self.temperature)
        if self.softcap is None:
            return inverse, arb(0)
        v = self.x[i] / self.softcap
        if not abs(v) < 30000.0:
            return arb(0), arb(0)
        u = arb(self.x[i]) / arb(self.softcap)
        sech2 = 1 / u.cosh() ** 2
        return sech2 * inverse, -2 * u.tanh() * sech2 * inverse / arb(self.softcap)


@functools.lru_cache(maxsize=8)
def _kept_row(x: bytes, temperature: float, softcap: float | None, precision: int) -> Row:
    return Row(np.frombuffer(x), temperature, softcap)


def row_of(x, temperature: float = 1.0, softcap: float | None = None) -> Row:
    """Return the row of logits at the precision in force: one row is asked for many things."""
    return _kept_row(np.asarray(x).astype(np.float64).tobytes(), temperature, softcap, flint.ctx.prec)


def classes(n: int, index) -> list[int]:
    """Return the classes that are asked for: those of index, or all."""
    return list(range(n)) if index is None else [int(i) for i in index]


def _undefined(n: int, value: float = NAN) -> Exact:
    return Exact.of(np.full(n, value))


def softmax(x, index=None, temperature: float = 1.0, softcap: float | None = None) -> Exact:
    """exp(z_i − m) / S, of all classes or of those of index."""
    wanted = classes(np.size(x), index)
    if not row_of(x).defined:
        return _undefined(len(wanted))

    def build() -> list:
        row = row_of(x, temperature, softcap)
        return [(row.p(i), None) for i in wanted]

    return settle(build)[0]


def log_softmax(x, index=None) -> Exact:
    """(z_i − m) − log1p(rest), of all classes or of those of index."""
    wanted = classes(np.size(x), index)
    if not row_of(x).defined:
        return _undefined(len(wanted))

    def build() -> list:
        row = row_of(x)
        return [(row.log_p(i), None) for i in wanted]

    return settle(build)[0]


def logsumexp(x) -> tuple[Exact, Exact]:
    """m + log S, and max(|m|, log S)."""
    row = row_of(x)
    if not row.defined:
        value = Exact.of(row.x[row.top])
        return value, value

    def build() -> list:
        row = row_of(x)
        return [(row.lse, largest(row.m, row.log_total))]

    return settle(build, ())


def softmax_jacobian(x) -> Exact:
    """p_i (δ_ij − p_j), 1 − p_i by the other exponentials."""
    n = np.size(x)
    if not row_of(x).defined:
        return _undefined(n * n).reshape(n, n)

    def build() -> list:
        row = row_of(x)
        p = [row.p(i) for i in range(n)]
        return [
            (p[i] * row.others(i) / row.total if i == j else -p[i] * p[j], None) for i in range(n) for j in range(n)
        ]

    return settle(build, (n, n))[0]


def softmax_jvp(p, v) -> tuple[Exact, Exact]:
    """p_i (v_i − ⟨p, v⟩) of p as given, and the largest term; the VJP is the same map."""
    probabilities, vector = np.asarray(p).astype(np.float64).tolist(), np.asarray(v).astype(np.float64).tolist()

    def build() -> list:
        products = [arb(a) * arb(b) for a, b in zip(probabilities, vector, strict=True)]
        mean = sum(products, arb(0))
        term = largest(mean, *products)
        return [
            (arb(a) * (arb(b) - mean), arb(a) * largest(b, term)) for a, b in zip(probabilities, vector, strict=True)
        ]

    return settle(build)


def sigmoid(x) -> Exact:
    """1/(1 + exp(−x)) of every element."""

    def one(v: float):
        if math.isnan(v) or math.isinf(v):
            return v if math.isnan(v) else arb(1 if v > 0 else 0)
        e = arb(0) if abs(v) > -LOWEST else (-abs(arb(v))).exp()
        return (1 if v >= 0 else e) / (1 + e)

    return settle(lambda: [(one(v), None) for v in np.asarray(x).astype(np.float64).ravel().tolist()], np.shape(x))[0]


def log_sigmoid(x) -> Exact:
    """−log(1 + exp(−x)) of every element."""

    def one(v: float):
        if math.isnan(v) or v == -math.inf:
            return v
        if v == math.inf:
            return arb(0)
        e = arb(0) if abs(v) > -LOWEST else (-abs(arb(v))).exp()
        return arb(min(v, 0.0)) - e.log1p()

    return settle(lambda: [(one(v), None) for v in np.asarray(x).astype(np.float64).ravel().tolist()], np.shape(x))[0]
