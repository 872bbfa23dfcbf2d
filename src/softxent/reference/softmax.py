"""softmax and related functions: m = max x, e_i = exp(x_i − m), R = Σ e without the maximum's, S = 1 + R.

Two formulas keep every digit: log S is log1p(R), and 1 − p_i is the sum of the OTHER exponentials over S. The rounding
error of x_i − m is carried into the exponential.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.errors import ShapeError

__all__ = [
    "Exponentials",
    "Wide",
    "exponentials",
    "hardmax",
    "log_softmax",
    "logsumexp",
    "quiet",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
    "wide",
]

Wide = npt.NDArray[np.longdouble]


def quiet() -> np.errstate:
    """Return a context without floating-point warnings: here inf and NaN are intended results."""
    return np.errstate(all="ignore")


def wide(array: npt.ArrayLike) -> Wide:
    """Return an array of any real dtype as longdouble."""
    values = np.asarray(array)
    if values.dtype.kind not in "fiub":  # bfloat16 is known to NumPy as an opaque kind; float64 holds all of its values
        values = values.astype(np.float64)
    return values.astype(np.longdouble)


def difference(a: Wide, b: Wide) -> tuple[Wide, Wide]:
    """Return a − b rounded, and its rounding error (0 if the difference is not finite)."""
    d = a - b
    back = d - a
    lost = (a - (d - back)) - (b + back)
    return d, np.where(np.isfinite(d) & np.isfinite(lost), lost, 0)


@dataclass(frozen=True, slots=True)
class Exponentials:
    """The quantities of rows of logits from which all functions are built; the class axis is last, 1 long in sums."""

    shift: Wide  # x_i − m, of x's shape
    lost: Wide  # its rounding error
    peak: Wide  # m
    e: Wide  # exp(x_i − m)
    others: Wide  # R_i = Σ_{j≠i} e_j, of x's shape
    total: Wide  # S
    log_total: Wide  # log S

    @property
    def p(self) -> Wide:
        """The probabilities."""
        return self.e / self.total

    @property
    def q(self) -> Wide:
        """1 − p without cancellation."""
        return self.others / self.total

    @property
    def log_p(self) -> Wide:
        """The logarithms of the probabilities: a sum of two terms of the same sign."""
        return (self.shift - self.log_total) + self.lost


def exponentials(x: Wide, temperature: float = 1.0) -> Exponentials:
    """Return the exponentials of rows of logits x / temperature; rows with NaN or +inf, or with only −inf, are NaN."""
    if x.shape[-1] == 0:
        raise ShapeError(f"logits must have at least one class; got shape {x.shape}")
    top = np.argmax(x, axis=-1, keepdims=True)  # the first NaN, if there is one
    peak = np.take_along_axis(x, top, axis=-1)
    shift, lost = difference(x, peak)
    if temperature != 1.0:
        # Subtract before dividing: then a large common offset costs no digits.
        possible = np.isfinite(shift)
        shift, lost = np.where(possible, shift / temperature, shift), lost / temperature
        peak = np.where(np.isfinite(peak), peak / temperature, peak)
    defined = np.isfinite(np.take_along_axis(x, top, axis=-1))
    shift = np.where(defined, shift, np.nan)
    e = np.exp(shift)
    e = np.where(e > 0, e + e * lost, e)
    rest = e.copy()
    np.put_along_axis(rest, top, 0, axis=-1)
    rest_sum = rest.sum(axis=-1, keepdims=True)
    others = rest_sum + 1 - e  # e_i ≤ 1 ≤ R_i + e_i − 1 for every class but the maximum's: nothing cancels
    np.put_along_axis(others, top, rest_sum, axis=-1)
    return Exponentials(shift, lost, peak, e, others, 1 + rest_sum, np.log1p(rest_sum))


def softmax(x: npt.ArrayLike) -> Wide:
    """Let x have shape (…, C): exp(x_i − m) / Σ_j exp(x_j − m).

    >>> softmax([0.0, 0.0]).tolist() == [0.5, 0.5]
    True
    """
    with quiet():
        return exponentials(_rows(x)).p.reshape(np.shape(x))


def log_softmax(x: npt.ArrayLike) -> Wide:
    """Let x have shape (…, C): (x_i − m) − log1p(R).

    >>> float(log_softmax([40.0, 0.0])[0])
    -4.248354255291589e-18
    """
    with quiet():
        return exponentials(_rows(x)).log_p.reshape(np.shape(x))


def logsumexp(x: npt.ArrayLike) -> Wide:
    """Let x have shape (…, C): m + log1p(R), of shape (…). −inf for a row of −inf, +inf with a +inf, NaN with a NaN.

    >>> float(logsumexp([0.0, -40.0]))
    4.248354255291589e-18
    """
    rows = _rows(x)
    with quiet():
        parts = exponentials(rows)
        value = np.where(np.isfinite(parts.peak), parts.peak + parts.log_total, parts.peak)
    return value.reshape(np.shape(x)[:-1])


def hardmax(x: npt.ArrayLike) -> Wide:
    """Let x have shape (…, C): 1 at the first maximum, 0 elsewhere; NaN rows as in softmax."""
    rows = _rows(x)
    top = np.argmax(rows, axis=-1, keepdims=True)
    result = np.zeros_like(rows)
    np.put_along_axis(result, top, 1, axis=-1)
    return np.where(np.isfinite(np.take_along_axis(rows, top, axis=-1)), result, np.nan).reshape(np.shape(x))


def softmax_jacobian(x: npt.ArrayLike) -> Wide:
    """Let x have shape (…, C): J_ij = p_i (δ_ij − p_j), of shape (…, C, C); 1 − p_i from the other classes."""
    with quiet():
        parts = exponentials(_rows(x))
        p = parts.p
        jacobian: Any = -p[..., :, None] * p[..., None, :]
        diagonal = np.arange(p.shape[-1])
        jacobian[..., diagonal, diagonal] = p * parts.q
    return wide(jacobian).reshape(np.shape(x)[:-1] + jacobian.shape[-2:])


def softmax_jvp(p: npt.ArrayLike, tangent: npt.ArrayLike) -> Wide:
    """Let p, tangent have shape (…, C): p ⊙ (t − ⟨p, t⟩), for p as given."""
    probabilities, vector = wide(p), wide(tangent)
    with quiet():
        return wide(probabilities * (vector - (probabilities * vector).sum(axis=-1, keepdims=True)))


def softmax_vjp(p: npt.ArrayLike, cotangent: npt.ArrayLike) -> Wide:
    """Let p, cotangent have shape (…, C): the same map as softmax_jvp, because the Jacobian is symmetric."""
    return softmax_jvp(p, cotangent)


def _rows(x: npt.ArrayLike) -> Wide:
    """Return x as longdouble with at least one axis; a scalar is a row of one class."""
    return np.atleast_1d(wide(x))
