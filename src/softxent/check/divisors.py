"""Find the wrong divisor of a mean from calls with several numbers of rows; a call of one row may be wrong too."""

from __future__ import annotations

import numpy as np

from softxent.check.bulk import exact_batch
from softxent.check.mistakes import STEP_MEAN
from softxent.check.report import Diagnosis
from softxent.check.session import Session

__all__ = ["of_divisors"]

# (N rows, C classes): every N twice, to see whether the divisor depends on N alone.
SHAPES = ((1, 4), (1, 9), (2, 5), (2, 8), (3, 5), (3, 9), (4, 6), (4, 7), (8, 5), (8, 9))
ROUNDING = 1e-13
# The number that is added to N may differ by this share between different N.
SAME = 1e-3
# An ε against an empty batch is below this; a miscount is above.
SMALL = 0.5


def of_divisors(session: Session) -> Diagnosis | None:
    """Return the divisor of a loss or a gradient if nothing else is wrong; None otherwise."""
    kind, way = session.kind, session.way
    if kind.name not in ("cross_entropy", "cross_entropy_grad") or not way.batched or session.compiles:
        return None
    if kind.name == "cross_entropy" and way.reduction == "none":
        return None
    divisors: dict[int, list[float]] = {}
    for n, c in SHAPES:
        batch = session.batch(np.random.default_rng(10 * n + c).normal(size=(n, c)), seed=n)
        outcome = session.call([batch], whole=True)[0]
        if outcome.value is None or outcome.dtype != "float64":
            return None
        right = exact_batch(kind.exact, batch.first, batch.extra)[0].hi
        right = np.atleast_1d(right.sum()) if kind.name == "cross_entropy" else right
        with np.errstate(all="ignore"):
            ratio = right / np.reshape(outcome.value, right.shape)
        if not np.isfinite(ratio).all() or np.ptp(ratio) > ROUNDING * 10 * np.abs(ratio).max():
            return None
        divisors.setdefault(n, []).append(float(np.median(ratio)))
    if any(abs(a - b) > ROUNDING * 10 * abs(a) for a, b in divisors.values()):
        return None
    by = {n: (a + b) / 2 for n, (a, b) in divisors.items()}
    added = by[1] - 1
    off = max(abs(d - n - added) for n, d in by.items())
    if abs(added) > 10 * ROUNDING and off <= SAME * abs(added) + ROUNDING * max(by):
        name = "ε in the divisor" if abs(added) < SMALL else "wrong divisor"
        said = f"It divides the sum over the rows by N {'−' if added < 0 else '+'} {abs(added):.3g}."
        return Diagnosis(name, STEP_MEAN, said)
    if max(abs(d / n - by[1]) for n, d in by.items()) < SAME * abs(by[1]):
        return None  # one factor of the mean
    if max(abs(d - by[1]) for d in by.values()) < ROUNDING * 10 * abs(by[1]):
        whole = f": it is divided by {by[1]:.0f}" if round(by[1]) > 1 and abs(by[1] - round(by[1])) < SAME else ""
        said = f"It is {1 / by[1]:.6g} times the sum over the rows, with 1 to {max(by)} rows alike{whole}."
        return None if abs(by[1] - 1) < SAME else Diagnosis("scaled", STEP_MEAN, said)
    said = ", ".join(f"{d:.6g} for {n} row{'s' * (n > 1)}" for n, d in by.items())
    return Diagnosis("wrong divisor", STEP_MEAN, f"It divides the sum over the rows by {said}.")
