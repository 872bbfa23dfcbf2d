"""Exact values of whole batches in double-double, and the quantities that errors are compared with.

The results agree with the oracle's balls to 2^-60 of each value (a test holds this). An error that a sweep finds is
proved again by balls before it is reported. No formula cancels, as in the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from softxent.check import pairs
from softxent.check.pairs import Pair, pair

__all__ = ["Rows", "exact_batch"]

Float = npt.NDArray[np.float64]


def _last(x: Pair) -> Pair:
    return Pair(x.hi[..., None], x.lo[..., None])


def _where(condition: npt.NDArray[np.bool_], a: Pair, b: Pair) -> Pair:
    return Pair(np.where(condition, a.hi, b.hi), np.where(condition, a.lo, b.lo))


@dataclass(frozen=True)
class Rows:
    """A batch of logits (N, C), float64, finite or −inf, with at least one finite value in each row."""

    z: Float

    @cached_property
    def top(self) -> npt.NDArray[np.intp]:
        """The index of the largest class of each row."""
        return self.z.argmax(-1)

    @cached_property
    def m(self) -> Float:
        """The largest logit of each row."""
        return np.take_along_axis(self.z, self.top[:, None], -1)[:, 0]

    @cached_property
    def d(self) -> Pair:
        """z − m, exactly; −inf if that overflows: the exponential is 0 either way."""
        with np.errstate(over="ignore", invalid="ignore"):
            return Pair(*pairs.two_sum(self.z, np.broadcast_to(-self.m[:, None], self.z.shape)))

    @cached_property
    def e(self) -> Pair:
        """exp(z − m)."""
        return pairs.exp(self.d)

    def others(self, label: npt.NDArray[np.intp]) -> Pair:
        """The sum of the exponentials of all classes but the label."""
        mask = np.arange(self.z.shape[1]) == label[:, None]
        return pairs.total(Pair(np.where(mask, 0.0, self.e.hi), np.where(mask, 0.0, self.e.lo)))

    @cached_property
    def rest(self) -> Pair:
        """The sum of all exponentials but the largest."""
        return self.others(self.top)

    @cached_property
    def sum(self) -> Pair:
        """S."""
        return self.rest + pair(np.ones_like(self.m))

    @cached_property
    def log_sum(self) -> Pair:
        """log S."""
        return pairs.log1p(self.rest)

    @cached_property
    def p(self) -> Pair:
        """The probabilities."""
        return self.e / _last(self.sum)

    @cached_property
    def log_p(self) -> Pair:
        """Their logarithms."""
        return self.d - _last(self.log_sum)

    def at(self, x: Pair, label: npt.NDArray[np.intp]) -> Pair:
        """Return the label's element of each row."""
        index = label[:, None]
        return Pair(np.take_along_axis(x.hi, index, -1)[:, 0], np.take_along_axis(x.lo, index, -1)[:, 0])


def jacobian(p: Pair, one_minus: Pair) -> Pair:
    """Return p_i (δ_ij − p_j)."""
    column, row = Pair(p.hi[:, :, None], p.lo[:, :, None]), Pair(p.hi[:, None, :], p.lo[:, None, :])
    off = -(column * row)
    diagonal = p * one_minus
    eye = np.eye(p.hi.shape[1], dtype=bool)
    return _where(eye, Pair(diagonal.hi[:, :, None] + 0 * off.hi, diagonal.lo[:, :, None] + 0 * off.lo), off)


def vjp(p: Pair, g: Float) -> Pair:
    """Return p_i (g_i − ⟨p, g⟩)."""
    mean = pairs.total(p * pair(g))
    return p * (pair(g) - _last(mean))


def exact_batch(kind: str, z: Float, extra: npt.NDArray[np.generic] | None = None) -> tuple[Pair, Rows]:
    """Return the results of every row, and the rows with their sums; no row may be NaN by definition."""
    rows = Rows(z)
    with np.errstate(all="ignore"):
        return _of(kind, rows, extra), rows


def _of(kind: str, rows: Rows, extra: npt.NDArray[np.generic] | None) -> Pair:
    z = rows.z
    if kind == "softmax":
        return rows.p
    if kind == "log_softmax":
        return _where(z == -np.inf, pair(np.full_like(z, -np.inf)), rows.log_p)
    if kind == "logsumexp":
        return pair(rows.m) + rows.log_sum
    if kind == "softmax_jacobian":
        return jacobian(pair(z), Pair(*pairs.two_sum(np.ones_like(z), -z)))
    if kind == "softmax_vjp":
        return vjp(pair(z), np.asarray(extra, np.float64))
    if kind == "softmax_jacobian_from_logits":
        classes = np.arange(z.shape[1])
        others = [rows.others(np.full(len(z), c)) for c in classes]
        q = Pair(np.stack([o.hi for o in others], -1), np.stack([o.lo for o in others], -1)) / _last(rows.sum)
        return jacobian(rows.p, q)
    if kind == "softmax_vjp_from_logits":
        return vjp(rows.p, np.asarray(extra, np.float64))
    if kind == "sigmoid":
        e = pairs.exp(pair(-np.abs(z)))
        one = pair(np.ones_like(z))
        return _where(z >= 0, one, e) / (one + e)
    if kind == "binary_cross_entropy":
        t = np.asarray(extra, np.float64)
        rest = Pair(*pairs.two_sum(np.ones_like(z), -t))
        linear = pair(np.abs(z)) * _where(z >= 0, rest, pair(t))
        return pairs.log1p(pairs.exp(pair(-np.abs(z)))) + linear
    label = np.asarray(extra, np.intp)
    if kind == "cross_entropy":
        return -rows.at(rows.log_p, label)
    if kind == "cross_entropy_grad":
        hot = np.arange(z.shape[1]) == label[:, None]
        pull = -(rows.others(label) / rows.sum)
        return _where(hot, Pair(pull.hi[:, None] + 0 * z, pull.lo[:, None] + 0 * z), rows.p)
    raise KeyError(kind)
