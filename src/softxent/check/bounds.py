"""The error bound of each element: the largest error of an ordinary, correct implementation. The strict one is 4 ulps.

An ordinary implementation subtracts the maximum and otherwise computes each formula literally in the dtype. To
first order in the unit roundoff u (Blanchard, Higham and Higham, IMA J. Numer. Anal. 41, 2021, with the logits' own
differences in place of x_max − x_min; A = 24 for exp, log and division of any current library, c(n) for the sum):

    softmax            p_i (A + c + 2|log p_i| + |z_i − m| + E) u        E = Σ p_j |z_j − m|
    log-softmax        (A + c + E + 2|z_i − m| + 2 log S) u
    logsumexp          (A + c + E + 2|m| + 4 log S + Σ_k (S_k/S) (|lse_k| + 6)) u, S_k, lse_k those of the first
                       k classes: a chain of logaddexp rounds lse_k at every class; S_k/S of that error remains
    loss               that of log-softmax: in lse − z_y a common offset of the logits eats the digits of log S
    its gradient       that of softmax, p_i (|m| + |lse|) u for exp(z − lse);
                       at the label 4u for p − 1, plus the bounds of the others, for minus their sum
    Jacobian           4(|log p| terms of both) |p_i p_j| u, on the diagonal p_i u: p − p²
    VJP                p_i (|g_i| + ⟨p, |g|⟩) (A + c) u

These are absolute numbers: for a confident row p − 1 cancels, and log-softmax's largest element is lost. Ordinary code
does that, so it is reported as a note (`strict`); an error beyond the bound is a finding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import Rows
from softxent.check.pairs import Pair

__all__ = ["NORMAL", "ROUNDOFF", "owed", "summation"]

Float = npt.NDArray[np.float64]

ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
NORMAL = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}
LARGEST = {
    "float64": 1.7976931348623157e308,
    "float32": 3.4028234663852886e38,
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
}
A = 24.0


def summation(n: int) -> float:
    """Return c(n) = n, the bound for adding one by one; pairwise sums and sums in lanes stay far below it."""
    return float(n)


def owed(kind: str, rows: Rows, extra: npt.NDArray[np.generic] | None, exact: Pair, dtype: str) -> Float:
    """Return the error bound of every element, in absolute numbers; beyond it an error is a finding."""
    u, tiny = ROUNDOFF[dtype], NORMAL[dtype]
    with np.errstate(all="ignore"):
        bound = _terms(kind, rows, extra, exact) * u + tiny * _flushed(kind, rows, extra)
    return np.where(np.isnan(bound), 0.0, bound)


def _flushed(kind: str, rows: Rows, extra: npt.NDArray[np.generic] | None) -> float | Float:
    """Return how many terms may be flushed to 0 because they are below the smallest normal number."""
    if kind.startswith("softmax_vjp"):
        g = np.abs(np.asarray(extra, np.float64))
        return 2 + 2 * (g + g.sum(-1, keepdims=True))
    if kind in ("logsumexp", "log_softmax", "cross_entropy", "cross_entropy_grad"):
        return float(max(1, rows.z.shape[-1]))
    return 2.0


def _terms(kind: str, rows: Rows, extra: npt.NDArray[np.generic] | None, exact: Pair) -> Float:
    z, value = rows.z, np.abs(exact.hi)
    n = z.shape[-1]
    base = A + summation(n)
    if kind in ("sigmoid", "binary_cross_entropy"):
        size = np.where(np.isfinite(z), np.abs(z), 0.0)
        return value * (A + 2 * size) if kind == "sigmoid" else A * (value + 1) + 4 * size
    if kind == "softmax_jacobian":
        return _with_diagonal(value * 8, z * (8 + summation(n)))
    if kind == "softmax_vjp":
        g = np.abs(np.asarray(extra, np.float64))
        return z * (g + (z * g).sum(-1, keepdims=True)) * (8 + 2 * summation(n))
    p, d = rows.p.hi, np.where(np.isfinite(rows.d.hi), np.abs(rows.d.hi), 0.0)
    log_s = rows.log_sum.hi[:, None]
    spread = (np.where(p > 0, p * d, 0.0)).sum(-1, keepdims=True)
    relative = base + spread + 2 * (d + log_s) + d
    m = np.abs(rows.m)[:, None]
    if kind == "softmax":
        return p * relative
    if kind == "log_softmax":
        return np.where(np.isfinite(value), base + spread + 2 * d + 2 * log_s + 2 * value, 0.0)
    if kind == "logsumexp":
        return (base + spread + 2 * m + 4 * log_s)[:, 0] + _chain(rows)
    if kind == "softmax_jacobian_from_logits":
        both = relative[:, :, None] + relative[:, None, :]
        return _with_diagonal(value * (8 + both), 2 * p * relative + 4 * p)
    if kind == "softmax_vjp_from_logits":
        g = np.abs(np.asarray(extra, np.float64))
        worst = (p * g * relative).sum(-1, keepdims=True)
        return p * (g * relative + worst + (p * g).sum(-1, keepdims=True) * (relative + summation(n)))
    label = np.asarray(extra, np.intp)[:, None]
    if kind == "cross_entropy":
        d_label = np.take_along_axis(d, label, -1)
        return np.where(np.isfinite(value), (base + spread + 2 * d_label + 2 * log_s)[:, 0] + 2 * value, 0.0)
    if kind == "cross_entropy_grad":
        hot = np.arange(n) == label
        each = p * (relative + 2 * m + 2 * log_s)
        # The label's element is p − 1, or minus the sum of the others.
        others = np.where(hot, 0.0, each).sum(-1, keepdims=True)
        return each + np.where(hot, 4.0 + others, 0.0)
    raise KeyError(kind)


def _chain(rows: Rows) -> Float:
    """Return the error of lse that is left if the logsumexp of the first k classes is rounded for every k."""
    part = np.cumsum(rows.p.hi, -1)
    partial = (rows.m + rows.log_sum.hi)[:, None] + np.log(np.where(part > 0, part, 1.0))
    return np.where(part > 0, part * (np.abs(partial) + 6.0), 0.0).sum(-1)


def _with_diagonal(off: Float, diagonal: Float) -> Float:
    bound = off.copy()
    index = np.arange(diagonal.shape[-1])
    bound[:, index, index] = diagonal
    return bound
