"""Recover the exponential that a softmax uses from its results, and name its mistake.

For the row [0, x, x], x ≤ 0, the quotient of two probabilities is the function's own exp(x), whatever the shift and the
sum are. Its shape shows the mistake: another base, a table, a limit (1 + x/n)^n, a polynomial, a floor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softxent.check.report import Diagnosis
from softxent.check.session import Session

__all__ = ["exponential"]

Float = npt.NDArray[np.float64]
STEP = "exp(x)"
# Larger than the relative error of any library's exponential.
ROUGH = 2.0**-40


def exponential(session: Session) -> Diagnosis | None:
    """Return the mistake in the exponential of a softmax, a sigmoid or a loss's gradient; None if it has none."""
    if session.kind.name not in ("softmax", "sigmoid", "cross_entropy_grad") or session.narrow:
        return None
    x = -np.concatenate([np.arange(1, 257) / 4096, np.arange(1, 161) / 8])
    found = _quotients(session, x)
    if found is None:
        return None
    f = found[1:]
    with np.errstate(all="ignore"):
        error = f / np.exp(x) - 1
    near = x >= -16
    if not np.isfinite(f).all() or np.abs(error[near]).max() < ROUGH or np.abs(f[0] - 1) > 0.01:
        return None  # it is right, or not an exponential at all
    return (
        _base(x, f)
        or _stairs(x, f)
        or _limit(x, f)
        or _floor(x, f, error)
        or (None if session.kind.name == "cross_entropy_grad" else _polynomial(x, error))
    )


def _quotients(session: Session, x: Float) -> Float | None:
    """Return the function's exponentials at 0 and x."""
    # Three classes, because some functions have a special formula for two.
    z = np.stack([np.zeros(len(x) + 1), np.concatenate([[0.0], x]), np.concatenate([[0.0], x])], -1)
    kind = session.kind.name
    if kind == "sigmoid":
        z = z[:, 1:2]
    batches = [session.batch(z[i : i + 1], [0]) for i in range(len(z))]
    session.call(batches[:4])
    if session.pace > 0.003:
        return None
    outcomes = session.call(batches)
    if any(o.value is None or o.dtype != "float64" for o in outcomes):
        return None
    value = np.concatenate([o.value for o in outcomes if o.value is not None])
    with np.errstate(all="ignore"):
        if kind == "sigmoid":
            return np.asarray(value[:, 0] / (1 - value[:, 0]))
        first = value[:, 0] + 1 if kind == "cross_entropy_grad" else value[:, 0]
        return np.asarray(value[:, 1] / first)


def _base(x: Float, f: Float) -> Diagnosis | None:
    """Return another base b: log f = x log b."""
    if (f <= 0).any():
        return None
    slopes = np.log(f) / x
    slope = float(np.median(slopes[x < -1]))
    if abs(slope - 1) < 1e-14 or np.abs(slopes[x < -1] - slope).max() > max(1e-14, 0.02 * abs(slope - 1)):
        return None
    base = float(np.exp(slope))
    text = next(
        (f"{base:.{n}g}" for n in range(1, 16) if abs(float(f"{base:.{n}g}") - base) < 3e-15 * base), f"{base:.15g}"
    )
    temperature = float(f"{1 / slope:.3g}")
    if abs(slope - 1) > 0.01 and len(text) > 4 and abs(1 / slope - temperature) < 1e-12 * temperature:
        return Diagnosis("temperature", STEP, f"It divides the logits by {temperature:g}.")
    if abs(slope - 1) > 0.01:
        return Diagnosis(f"base {text}", STEP, f"It raises {text} to the logits: the base is e.")
    return Diagnosis(
        "rounded e",
        "exp(x): the base e is no floating-point number",
        f"It raises {text} to the logits: the base is rounded, and the error grows with |z − m|.",
    )


def _stairs(x: Float, f: Float) -> Diagnosis | None:
    """Return a table without interpolation: neighbouring arguments have the same value."""
    fine = f[x >= -256 / 4096]
    different = len(np.unique(np.round(fine, 14)))
    if different > len(fine) // 2:
        return None
    step = 1 / 16 / max(1, different - 1)
    return Diagnosis(
        "exponential by table",
        STEP,
        f"Its exponential is a staircase with steps of about 1/{1 / step:.0f}: a table "
        "without interpolation, or rounded logits.",
    )


def _limit(x: Float, f: Float) -> Diagnosis | None:
    """Return a limit that is not reached: (1 + x/n)^n for n = 2^k or 10^k."""
    for n in sorted([2.0**k for k in range(1, 31)] + [10.0**k for k in range(1, 10)]):
        with np.errstate(all="ignore"):
            model = np.maximum(1 + x / n, 0) ** n
        if np.all(np.abs(f - model) <= 0.02 * np.abs(model - np.exp(x)) + 1e-13 * n * model):
            return Diagnosis(
                "inexact exponential", STEP, f"Its exponential is (1 + x/n)^n with n = {n:g}: only the limit is e^x."
            )
    return None


def _floor(x: Float, f: Float, error: Float) -> Diagnosis | None:
    """Return a floor: the exponential is right near 0, and constant or 0 far below."""
    good = np.abs(error) < 1e-9
    if not good[x > -1].all() or good[-1]:
        return None
    most = float(x[good].min())
    far = f[x < most - 0.2]
    if far.size and np.all(far == 0):
        return Diagnosis("small elements zeroed", STEP, f"Its exponential is 0 below z − m = {most:.4g}.")
    if far.size > 2 and np.ptp(far) <= 1e-9 * far.max():
        return Diagnosis(
            "clipped logits",
            STEP,
            f"Its exponential does not fall below {far[0]:.3g}: z − m is cut at {np.log(far[0]):.4g}.",
        )
    return None


def _polynomial(x: Float, error: Float) -> Diagnosis | None:
    """Return a polynomial: the error is smooth, and a power of x near 0."""
    small = np.abs(error[x > -0.07])
    if small.max() < 1e-13 and np.abs(error).max() > 1e-9:
        return Diagnosis(
            "Taylor series",
            STEP,
            "Its exponential is right near 0 and worse and worse away from it: a series cut short.",
        )
    near = np.abs(error[x > -16])
    if near.max() < 0.2:
        return Diagnosis(
            "inexact exponential",
            STEP,
            f"Its exponential is an approximation: off by up to {near.max():.2g} of its value.",
        )
    with np.errstate(all="ignore"):
        order = float(np.median(np.diff(np.log(small[32:])) / np.diff(np.log(np.abs(x[x > -0.07][32:])))))
    if 1.5 < order < 12 and small[0] < 1e-5:
        return Diagnosis(
            "Taylor series", STEP, f"Its exponential is a polynomial of degree {round(order) - 1}: a series cut short."
        )
    return None
