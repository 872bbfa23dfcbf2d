"""The exact oracle of the losses: cross-entropy with every modifier, its gradient and Hessian-vector product, one row.

Beside each value stands its scale: the largest term that is added, which is what the error is relative to. For an index
label without smoothing and z-loss nothing cancels: there the scale is the value itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb
from oracle import NAN, classes, largest, row_of, settle
from ulps import Exact


@dataclass
class Loss:
    """One row's loss; build it inside `settle`. label: an integer, or (C,) probabilities."""

    x: np.ndarray
    label: object
    weight: object = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    softcap: float | None = None
    temperature: float = 1.0
    divisor: float = 1.0

    def __post_init__(self) -> None:
        self.row = row_of(self.x, self.temperature, self.softcap)
        self.n = self.row.x.size
        self.hard = np.ndim(self.label) == 0
        self.relative = self.hard and self.label_smoothing == 0.0 and self.z_loss == 0.0

    @cached_property
    def t(self) -> list:
        """t_c = w_c ((1 − ε) y_c + ε/C)."""
        epsilon = arb(self.label_smoothing)
        w = [1.0] * self.n if self.weight is None else np.asarray(self.weight, np.float64).tolist()
        if self.hard:
            y = [float(c == int(self.label)) for c in range(self.n)]
        else:
            y = np.asarray(self.label).astype(np.float64).tolist()
        return [arb(w[c]) * ((1 - epsilon) * arb(y[c]) + epsilon / self.n) for c in range(self.n)]

    @cached_property
    def y_total(self):
        """Σ t_c."""
        return sum(self.t, arb(0))

    @cached_property
    def size(self):
        """max(|m|, log S): what the error of lse is relative to."""
        return largest(self.row.m, self.row.log_total)

    @cached_property
    def extra(self):
        """2 λ lse, and the largest term of it."""
        twice = 2 * arb(self.z_loss)
        return (twice * self.row.lse, twice * self.size) if self.z_loss else (arb(0), arb(0))

    def loss(self) -> tuple:
        """Σ t_c (log S − d_c) + λ lse²."""
        signs = {bool(t > 0) for t, d in zip(self.t, self.row.d, strict=True) if d is None and not t.is_zero()}
        if signs:
            return (math.inf if signs == {True} else -math.inf if signs == {False} else NAN), None
        terms = [
            t * (self.row.log_total - d)
            for t, d in zip(self.t, self.row.d, strict=True)
            if d is not None and not t.is_zero()
        ]
        value = sum(terms, arb(0))
        if self.z_loss:
            value += arb(self.z_loss) * self.row.lse**2
        scale = largest(*terms, arb(self.z_loss) * self.size**2, value)
        return value, None if self.relative else scale

    @cached_property
    def a_size(self):
        """The largest term of A = Y + 2 λ lse."""
        return largest(self.y_total, self.extra[1], *self.t)

    def z_gradient(self, c: int) -> tuple:
        """(A − t_c) p_c − t_c (1 − p_c), and its largest term."""
        row, t = self.row, self.t
        p = row.p(c)
        value = (self.y_total - t[c] + self.extra[0]) * p - t[c] * row.others(c) * row.inverse
        return value, None if self.relative else largest(t[c], p * self.a_size)

    def gradient(self, c: int) -> tuple:
        """With respect to the logit as given, over the divisor."""
        slope, _ = self.row.slope(c)
        value, scale = self.z_gradient(c)
        factor = slope / arb(self.divisor)
        return value * factor, None if self.relative else scale * abs(factor)

    def products(self, tangent: np.ndarray) -> list:
        """s_c (A p_c (u_c − ⟨p, u⟩) + 2 λ p_c ⟨p, u⟩) + b_c g_c v_c with u = s ⊙ v, over the divisor."""
        p = [self.row.p(c) for c in range(self.n)]
        slopes = [self.row.slope(c) for c in range(self.n)]
        v = [arb(a) for a in np.asarray(tangent).astype(np.float64).tolist()]
        u = [slope * a for (slope, _), a in zip(slopes, v, strict=True)]
        parts = [a * b for a, b in zip(p, u, strict=True)]
        mean = sum(parts, arb(0))
        term = largest(mean, *parts)
        a, a_size = self.y_total + self.extra[0], self.a_size
        twice = 2 * arb(self.z_loss)
        result = []
        for c, (slope, bend) in enumerate(slopes):
            g, g_size = self.z_gradient(c)
            g_size = abs(g) if g_size is None else g_size
            value = slope * p[c] * (a * (u[c] - mean) + twice * mean) + bend * g * v[c]
            size = largest(
                slope * p[c] * a_size * largest(u[c], term), slope * p[c] * twice * term, bend * g_size * v[c]
            )
            result.append((value / arb(self.divisor), size / abs(arb(self.divisor))))
        return result


@dataclass(frozen=True)
class RowResult:
    """Exact loss, gradient and Hessian-vector product of a row, and what their errors are relative to."""

    loss: Exact
    loss_scale: Exact
    grad: Exact
    grad_scale: Exact
    hvp: Exact | None = None
    hvp_scale: Exact | None = None


def cross_entropy(x, label, *, tangent=None, index=None, **modifiers) -> RowResult:
    """Return the exact results of one row; the gradient at the classes of index. modifiers: the fields of Loss."""
    first = Loss(x, label, **modifiers)
    if not first.row.defined:
        bad, one = Exact.of(np.full(len(classes(first.n, index)), NAN)), Exact.of(NAN)
        return RowResult(one, one, bad, bad, None if tangent is None else bad, None if tangent is None else bad)

    loss = settle(lambda: [Loss(x, label, **modifiers).loss()], ())

    def gradients() -> list:
        record = Loss(x, label, **modifiers)
        return [record.gradient(c) for c in classes(record.n, index)]

    grad = settle(gradients)
    hvp = (None, None)
    if tangent is not None:
        hvp = settle(lambda: Loss(x, label, **modifiers).products(tangent))
    return RowResult(*loss, *grad, *hvp)


def probability_loss(p, label, *, tangent=None, weight=None, label_smoothing=0.0, divisor=1.0) -> RowResult:
    """Return the exact results of −Σ t_c log p_c for probabilities as given; t_c = 0 adds nothing."""
    values = np.asarray(p).astype(np.float64).tolist()

    def targets() -> list:
        return Loss(np.zeros(len(values)), label, weight=weight, label_smoothing=label_smoothing).t

    def loss() -> list:
        t = targets()
        if any(v == 0.0 and not a.is_zero() for a, v in zip(t, values, strict=True)):
            return [(math.inf, None)]
        terms = [-a * arb(v).log() for a, v in zip(t, values, strict=True) if not a.is_zero()]
        total = sum(terms, arb(0))
        return [(total, largest(total, *terms) if len(terms) > 1 else None)]

    def derivative(order: int) -> list:
        result = []
        for c, (t, v) in enumerate(zip(targets(), values, strict=True)):
            if t.is_zero():
                result.append((arb(0), None))
            elif v == 0.0:
                result.append((-math.inf if order == 1 else math.inf, None))
            elif order == 1:
                result.append((-t / (arb(v) * arb(divisor)), None))
            else:
                result.append((t * arb(float(tangent[c])) / (arb(v) ** 2 * arb(divisor)), None))
        return result

    hvp = (None, None) if tangent is None else settle(lambda: derivative(2))
    return RowResult(*settle(loss, ()), *settle(lambda: derivative(1)), *hvp)


def binary_cross_entropy(x: float, y: float, *, weight=1.0, pos_weight=1.0, divisor=1.0) -> RowResult:
    """Return the exact w (q y softplus(−x) + (1 − y) softplus(x)) and derivative for one finite logit."""

    def parts() -> tuple:
        v = arb(x)
        e = arb(0) if abs(x) > 30000.0 else (-abs(v)).exp()
        tail = e.log1p()
        up, down = (1 / (1 + e), e / (1 + e)) if x >= 0 else (e / (1 + e), 1 / (1 + e))
        return tail + max(x, 0.0), tail + max(-x, 0.0), up, down

    def pair(positive, negative, sign: int, over: float) -> list:
        w, q = arb(weight) / arb(over), arb(pos_weight) * arb(y)
        first, second = w * q * positive, w * (1 - arb(y)) * negative
        return [(sign * first + second, largest(first, second))]

    def loss() -> list:
        high, low, _, _ = parts()
        return pair(low, high, 1, 1.0)

    def grad() -> list:
        _, _, up, down = parts()
        return pair(down, up, -1, divisor)

    return RowResult(*settle(loss, ()), *settle(grad, ()))


def kl_divergence(y, x) -> tuple[Exact, Exact]:
    """Return the exact Σ y_c (log y_c − log p_c) of one row, and the larger of Σ |y log y| and Σ |y log p|."""
    labels = np.asarray(y).astype(np.float64).tolist()

    def build() -> list:
        row = row_of(x)
        own, cross = [], []
        for c, v in enumerate(labels):
            if v == 0.0:
                continue
            if row.d[c] is None:
                return [(math.inf, None)]
            own.append(arb(v) * arb(v).log())
            cross.append(arb(v) * (row.log_total - row.d[c]))
        sizes = [sum(map(abs, terms), arb(0)) for terms in (own, cross)]
        return [(sum(own + cross, arb(0)), largest(*sizes))]

    return settle(build, ())


def total(losses: list[Exact], divisor: float = 1.0) -> Exact:
    """Return the exact sum of losses over a divisor: NaN where one is NaN or the divisor is 0."""
    if divisor == 0.0 or any(np.isnan(v.hi) for v in losses):
        return Exact.of(NAN)
    if any(np.isinf(v.hi) for v in losses):
        return Exact.of(math.inf)

    def ball(v: Exact):
        return (arb(float(v.hi)) + arb(float(v.lo))) * arb(2) ** int(v.exponent)

    return settle(lambda: [(sum((ball(v) for v in losses), arb(0)) / arb(divisor), None)], ())[0]
