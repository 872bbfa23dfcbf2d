"""Scene: a row, its exact quantities by the letters that formulas use, and the error of float64 in each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from softxent.explain.algorithms import run
from softxent.explain.formats import FORMATS
from softxent.explain.formulas.formula import Lookup
from softxent.explain.problem import Problem
from softxent.explain.values import Values

__all__ = ["Scene", "lookup_in", "textbook_errors"]

_VECTORS = {
    "x": "x", "z": "z", "d": "d", "e": "e", "a": "a", "q": "q", "y": "y", "h": "h",
    "L/a": "by_a", "L/z": "by_z", "L/x": "g", "g": "g",
}  # fmt: skip
_SCALARS = {"m": "m", "S": "S", "L": "L", "Y": "Y", "T": "T", "η": "eta"}


@dataclass(frozen=True, slots=True)
class Scene:
    """The material of a step: the row, its exact values, and the errors of float64."""

    problem: Problem
    values: Values
    errors: dict[str, float]

    @property
    def unit(self) -> bool:
        """Whether the targets sum to 1, up to the rounding of the given labels."""
        return abs(float(self.values.Y) - 1) <= 1e-9


def lookup_in(values: Values, extra: dict[str, Decimal] | None = None) -> Lookup:
    """Return a function that gives the value of a quantity, from its letter and indices."""

    def lookup(name: str, index: tuple[int, ...]) -> Decimal | None:
        if extra and name in extra:
            return extra[name]
        if name in _SCALARS:
            value: Decimal = getattr(values, _SCALARS[name])
            return value
        if name in _VECTORS and len(index) == 1:
            vector: tuple[Decimal, ...] = getattr(values, _VECTORS[name])
            return vector[index[0]]
        if name in ("a/z", "J"):
            return values.J[index[0]][index[1]]
        if name == "H":
            return values.hessian[index[0]][index[1]]
        return None

    return lookup


def textbook_errors(problem: Problem, values: Values) -> dict[str, float]:
    """Return the largest error of each quantity, in ulps, when float64 computes it with the maximum subtracted."""
    f64 = FORMATS["float64"]
    z = [float(v) for v in values.z]
    y = [float(v) for v in values.y]
    peak = max(z)
    d = [v - peak for v in z]
    e = [math.exp(v) for v in d]
    total = 0.0
    for v in e:
        total += v
    a = [v / total for v in e]
    outcome = run("shifted", z, y, f64)
    count = range(len(z))
    jacobian = [[a[i] * ((i == j) - a[j]) for j in count] for i in count]
    by_a = [-t / p if p else (0.0 if not t else math.copysign(math.inf, -t)) for t, p in zip(y, a, strict=True)]
    chain = [sum(by_a[i] * jacobian[i][j] for i in count if y[i]) for j in count]

    def worst(got: list[float], exact: tuple[Decimal, ...]) -> float:
        return max(f64.ulps(g, v) for g, v in zip(got, exact, strict=True))

    return {
        "d": worst(d, values.d),
        "e": worst(e, values.e),
        "S": f64.ulps(total, values.S),
        "a": worst(a, values.a),
        "L": f64.ulps(outcome.loss, values.L),
        "L/a": worst(by_a, values.by_a),
        "J": max(worst(jacobian[i], values.J[i]) for i in count),
        "chain": worst(chain, values.by_z),
        "L/z": worst(list(outcome.gradient), values.by_z),
    }
