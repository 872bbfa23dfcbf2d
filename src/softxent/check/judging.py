"""Compare one batch's results with the exact ones: errors in ulps, and as multiples of the error bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softxent.check.bounds import LARGEST, NORMAL, ROUNDOFF, owed
from softxent.check.bulk import Rows, exact_batch
from softxent.check.calling import Batch
from softxent.check.kinds import Kind
from softxent.check.pairs import Pair

__all__ = ["Judgement", "coarser", "judge", "plain_first", "ulp"]

Float = npt.NDArray[np.float64]
LEAST = {"float64": -1074, "float32": -149, "float16": -24, "bfloat16": -133}
BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


def coarser(a: str, b: str) -> str:
    """Return the dtype with fewer bits, that of the input or that of the result; an unknown one counts as float64."""
    return max((a if a in ROUNDOFF else "float64", b if b in ROUNDOFF else "float64"), key=ROUNDOFF.__getitem__)


def ulp(exact: Float, dtype: str) -> Float:
    """Return the spacing of the dtype at the exact values, at least the smallest subnormal."""
    _, exponent = np.frexp(np.where(np.isfinite(exact), exact, 1.0))
    return np.ldexp(1.0, np.maximum(exponent.astype(np.int64) - BITS[dtype], LEAST[dtype]).astype(np.int32))


def plain_first(batch: Batch) -> Float:
    """Return a batch's first argument as float64."""
    first = batch.first
    return (first["bfloat16"] if first.dtype.names else first).astype(np.float64)


@dataclass(frozen=True)
class Judgement:
    """The errors of a batch's results, element by element, and the region of each element."""

    value: Float
    exact: Pair
    error: Float
    ratio: Float  # error / bound
    ulps: Float
    spacing: Float  # one ulp
    bound: Float
    region: npt.NDArray[np.str_]
    dtype: str

    def worst(self, by: Float) -> tuple[int, ...]:
        """Return the index of the worst element by some measure."""
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(by)), by.shape))


def judge(kind: Kind, batch: Batch, value: Float, dtype: str) -> Judgement:
    """Judge the results of rows that are defined: finite or −inf logits."""
    z = plain_first(batch)
    exact, rows = exact_batch(kind.exact, z, batch.extra)
    bound = owed(kind.exact, rows, batch.extra, exact, dtype)
    error = distance(value, exact, dtype)
    with np.errstate(all="ignore"):
        ratio = np.where(error == 0, 0.0, error / np.where(bound > 0, bound, 1e-320))
        spacing = ulp(scale_of(kind, rows, batch.extra, exact.hi), dtype)
        ulps = error / spacing
    region = regions(kind, exact.hi, batch.extra, dtype)
    return Judgement(value, exact, error, ratio, ulps, spacing, bound, region, dtype)


def scale_of(kind: Kind, rows: Rows, extra: npt.NDArray[np.generic] | None, exact: Float) -> Float:
    """Return the numbers whose ulps are counted: the results, or their largest terms if these inevitably cancel."""
    if kind.name == "logsumexp":
        return np.maximum(np.abs(rows.m), rows.log_sum.hi)
    if kind.name == "softmax_vjp":
        p, g = rows.z if kind.first == "probabilities" else rows.p.hi, np.abs(np.asarray(extra, np.float64))
        return np.maximum(np.abs(exact), p * np.maximum(g, (p * g).max(-1, keepdims=True)))
    return exact


def distance(value: Float, exact: Pair, dtype: str) -> Float:
    """Return |value − exact|; inf if only one of them is NaN, or infinite."""
    with np.errstate(all="ignore"):
        error = np.abs((value - exact.hi) - exact.lo)
        overflowed = np.abs(exact.hi) >= LARGEST[dtype]
        same = (value == exact.hi) | (np.isnan(value) & np.isnan(exact.hi))
        same |= overflowed & (np.sign(value) == np.sign(exact.hi)) & (np.abs(value) >= LARGEST[dtype])
        special = ~np.isfinite(value) | ~np.isfinite(exact.hi)
    return np.where(same & special, 0.0, np.where(special, np.inf, error))


def regions(kind: Kind, exact: Float, extra: npt.NDArray[np.generic] | None, dtype: str) -> npt.NDArray[np.str_]:
    """Return the name of the region of every element."""
    size = np.abs(exact)
    small = (size < NORMAL[dtype]) & (size > 0)
    if kind.name in ("softmax", "sigmoid", "softmax_jacobian", "softmax_vjp"):
        region = np.where(size >= 0.01, "head", "tail")
    elif kind.name == "cross_entropy_grad":
        hot = np.arange(exact.shape[-1]) == np.asarray(extra, np.intp)[:, None]
        region = np.where(hot & (size < 0.1), "confident", np.where(size >= 0.01, "head", "tail"))
    elif kind.name == "logsumexp":
        region = np.where(size >= 0.1, "head", "near 0")
    else:
        region = np.where(size >= 0.1, "head", "confident")
    return np.where(small, "subnormal", region)
