"""Values: every quantity of the derivation for one row, exact, by formulas that do not cancel.

z_i = x_i / T          d_i = z_i − m       e_i = exp(d_i)       R_i = Σ_{j≠i} e_j       S = Σ e_j
a_i = e_i / S          q_i = R_i / S       y_i = w_i((1 − ε) h_i + ε/C)                 Y = Σ y_i
L = Σ y_i (ln S − d_i)                     g_i = (a_i (Y − y_i) − y_i q_i) / T,  which is (a_i Y − y_i)/T
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from softxent.explain.exact import INFINITY, ONE, ZERO, exact, exp, ln, log1p, precisely, total
from softxent.explain.problem import Problem

__all__ = ["Values", "values_of"]

Vector = tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """One row's quantities, as Decimals of 80 digits; see the module's docstring for the letters."""

    x: Vector
    z: Vector
    m: Decimal
    d: Vector
    e: Vector
    S: Decimal
    log_total: Decimal
    a: Vector
    q: Vector
    log_a: Vector
    h: Vector
    y: Vector
    Y: Decimal
    L: Decimal
    by_a: Vector  # ∂L/∂a_i = −y_i/a_i
    J: tuple[Vector, ...]  # ∂a_i/∂z_j
    by_z: Vector  # ∂L/∂z_i = a_i Y − y_i
    g: Vector  # ∂L/∂x_i
    hessian: tuple[Vector, ...]  # with respect to x
    entropy: Decimal  # H(y)
    T: Decimal
    eta: Decimal


def values_of(problem: Problem) -> Values:
    """Return every quantity of a row."""
    with precisely():
        T = exact(problem.temperature)
        raw = tuple(exact(v) for v in problem.inputs)
        x = raw if problem.from_logits else tuple(ln(v) for v in raw)
        return derive(x, _targets(problem), T, exact(problem.learning_rate), tuple(exact(v) for v in problem.labels))


def _targets(problem: Problem) -> Vector:
    smoothing = exact(problem.label_smoothing)
    count = problem.num_classes
    weight = problem.weight or (1.0,) * count
    return tuple(
        exact(w) * ((ONE - smoothing) * exact(h) + smoothing / count)
        for w, h in zip(weight, problem.labels, strict=True)
    )


def derive(x: Vector, y: Vector, T: Decimal, eta: Decimal = ONE, h: Vector | None = None) -> Values:
    """Return every quantity of logits x and targets y. The caller is inside precisely()."""
    peak = max(x)
    d = tuple(-INFINITY if v.is_infinite() else (v - peak) / T for v in x)
    z = tuple(v if v.is_infinite() else v / T for v in x)
    e = tuple(exp(v) for v in d)
    count = range(len(x))
    top = x.index(peak)
    rest = total(e[j] for j in count if j != top)
    S = ONE + rest
    log_total = log1p(rest)
    a = tuple(v / S for v in e)
    others = tuple(total(e[j] for j in count if j != i) for i in count)
    q = tuple(v / S for v in others)
    log_a = tuple(v - log_total for v in d)
    Y = total(y)
    terms = [-v * w for v, w in zip(y, log_a, strict=True) if v]
    # Impossible classes with targets of both signs: inf − inf has no value.
    opposed = INFINITY in terms and -INFINITY in terms
    L = Decimal("NaN") if opposed else total(terms)
    by_a = tuple(
        ZERO if not t else (-t / v if v else (-INFINITY if t > 0 else INFINITY)) for t, v in zip(y, a, strict=True)
    )
    J = tuple(tuple(a[i] * q[i] if i == j else -a[i] * a[j] for j in count) for i in count)
    by_z = tuple(a[i] * (Y - y[i]) - y[i] * q[i] for i in count)
    g = tuple(v / T for v in by_z)
    hessian = tuple(tuple(Y * J[i][j] / T / T for j in count) for i in count)
    entropy = total(-v * ln(v) for v in y if v > 0)
    return Values(
        x, z, peak / T, d, e, S, log_total, a, q, log_a, h or y, y, Y, L, by_a, J, by_z, g, hessian, entropy, T, eta
    )
