"""Three ways to compute the same loss and gradient, each operation rounded once to a format.

naive      computes e^z and −log of the quotient, as the formula is written
shifted    subtracts the maximum first, as most libraries do
softxent   subtracts the maximum and keeps the rounding error of the difference, takes the loss by log1p, and sums the
           other classes for 1 − p. In half precision it reads once, computes in float32 and writes once

The exponential and the logarithm are float64's, rounded to the format: they are at least as accurate as the format's
own, so that the errors shown are the algorithms'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from softxent.explain.formats import FORMATS, Format

__all__ = ["ALGORITHMS", "Outcome", "run"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an algorithm returns: probabilities, loss, gradient with respect to the logits."""

    p: tuple[float, ...]
    loss: float
    gradient: tuple[float, ...]


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def _divide(a: float, b: float) -> float:
    if b == 0 or math.isinf(b):
        if math.isinf(a) and math.isinf(b):
            return math.nan
        if b == 0:
            return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
    return a / b


def _naive(z: list[float], y: Sequence[float], r: Callable[[float], float]) -> Outcome:
    e = [r(_exp(v)) for v in z]
    total = 0.0
    for v in e:
        total = r(total + v)
    p = [r(_divide(v, total)) for v in e]
    loss = 0.0
    for p_i, y_i in zip(p, y, strict=True):
        if y_i:
            loss = r(loss - r(y_i * r(_log(p_i))))
    mass = math.fsum(y)
    return Outcome(tuple(p), loss, tuple(r(r(p_i * mass) - y_i) for p_i, y_i in zip(p, y, strict=True)))


def _shifted(z: list[float], y: Sequence[float], r: Callable[[float], float]) -> Outcome:
    peak = max(z)
    d = [r(v - peak) for v in z]
    e = [r(_exp(v)) for v in d]
    total = 0.0
    for v in e:
        total = r(total + v)
    p = [r(_divide(v, total)) for v in e]
    log_total = r(_log(total))
    loss = 0.0
    for d_i, y_i in zip(d, y, strict=True):
        if y_i:
            loss = r(loss + r(y_i * r(log_total - d_i)))
    mass = math.fsum(y)
    return Outcome(tuple(p), loss, tuple(r(r(p_i * mass) - y_i) for p_i, y_i in zip(p, y, strict=True)))


def _softxent(z: list[float], y: Sequence[float], r: Callable[[float], float]) -> Outcome:
    top = z.index(max(z))
    peak = z[top]
    d, lost, e = [], [], []
    for v in z:
        shift = r(v - peak)
        back = r(shift - v)
        left = r(r(v - r(shift - back)) - r(peak + back)) if math.isfinite(shift) else 0.0
        left = left if math.isfinite(left) else 0.0
        power = r(_exp(shift))
        d.append(shift)
        lost.append(left)
        e.append(r(power + r(power * left)) if power else power)
    rest = 0.0
    for i, v in enumerate(e):
        if i != top:
            rest = r(rest + v)
    total = r(1.0 + rest)
    log_total = r(math.log1p(rest))
    mass = math.fsum(y)
    loss, p, gradient = 0.0, [], []
    for i, y_i in enumerate(y):
        others = 0.0
        for j, v in enumerate(e):
            if j != i:
                others = r(others + v)
        p_i = r(e[i] / total)
        p.append(p_i)
        if y_i:
            loss = r(loss + r(y_i * r(r(log_total - d[i]) - lost[i])))
        gradient.append(r(r(p_i * r(mass - y_i)) - r(r(y_i * others) / total)))
    return Outcome(tuple(p), loss, tuple(gradient))


ALGORITHMS = {"naive": _naive, "shifted": _shifted, "softxent": _softxent}


def run(algorithm: str, z: Sequence[float], y: Sequence[float], fmt: Format) -> Outcome:
    """Round logits and labels to a format, and return the outcome of an algorithm in that format.

    >>> run("shifted", [40.0, 0.0], [1.0, 0.0], FORMATS["float64"]).loss
    0.0
    >>> run("softxent", [40.0, 0.0], [1.0, 0.0], FORMATS["float64"]).loss
    4.248354255291589e-18
    """
    half = fmt.bits < 24 and algorithm == "softxent"
    inner = FORMATS["float32"] if half else fmt
    outcome = ALGORITHMS[algorithm]([fmt.round(v) for v in z], [fmt.round(v) for v in y], inner.round)
    if not half:
        return outcome
    return Outcome(tuple(fmt.round(v) for v in outcome.p), outcome.loss, tuple(fmt.round(v) for v in outcome.gradient))
