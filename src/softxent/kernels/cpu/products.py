"""Products with the softmax Jacobian and with the Hessian of the cross-entropy, row by row.

    J v = p ⊙ (v − ⟨p, v⟩)                       the Jacobian is symmetric: one map for JVP and VJP
    H v = p ⊙ (A (v − ⟨p, v⟩) + 2 λ ⟨p, v⟩) / D,  A = Y + 2 λ lse;  with a slope s: s ⊙ H (s ⊙ v)

v − ⟨p, v⟩ uses a dot product with its rounding errors, so that a large common offset of v cancels as far as Σ p = 1
holds.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.arithmetic.exponentials import find, row_max, slope_unit
from softxent.kernels.cpu.arithmetic.sums import BLOCK, accumulate, finish, fold, fold_plain
from softxent.kernels.cpu.general import weighted_shortfall
from softxent.kernels.cpu.jacobian import LESS, probability_pairs
from softxent.kernels.cpu.simd.floats import fma, two_prod, two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["dot", "hvp_rows", "jacobian_product_rows"]


@kernel
def dot(a, b, high, low):
    """Return Σ a_j b_j as a pair. a, b: (C,); high, low: (BLOCK,) float64 buffers."""
    s = 0.0
    lost = 0.0
    for start in range(0, a.size, BLOCK):
        n = min(BLOCK, a.size - start)
        for j in range(n):
            high[j], low[j] = two_prod(np.float64(a[start + j]), np.float64(b[start + j]))
        block_s, block_lost = fold(high, low, n)
        s, lost = accumulate(s, lost, block_s, block_lost)
    return finish(s, lost)


@kernel
def _mean(p, p_lo, v, slope, high, low):
    """Return Σ (p_j + p_lo_j) v_j slope_j as a pair."""
    s = 0.0
    lost = 0.0
    for start in range(0, p.size, BLOCK):
        n = min(BLOCK, p.size - start)
        for j in range(n):
            c = start + j
            t, t_lo = np.float64(v[c]), 0.0
            if slope is not None:
                t, t_lo = two_prod(t, np.float64(slope[c]))
            x, x_lo = two_prod(p[c], t)
            high[j] = x
            low[j] = x_lo + (p_lo[c] * t + p[c] * t_lo)
        block_s, block_lost = fold(high, low, n)
        s, lost = accumulate(s, lost, block_s, block_lost)
    return finish(s, lost)


def _product_row(p, v, out, high, low):
    raise TypeError("_product_row runs inside kernels only")


@overload(_product_row)
def _product_row_for(p, v, out, high, low):
    def single(p, v, out, high, low):
        # Products of float32 are exact in float64, and a sum of them is right to 2^-29 of what a float32 of v can show.
        mean = 0.0
        for start in range(0, p.size, BLOCK):
            n = min(BLOCK, p.size - start)
            a, b, c = p[start : start + n], v[start : start + n], high[:n]
            for j in range(n):
                c[j] = np.float64(a[j]) * np.float64(b[j])
            mean += fold_plain(high, n)
        for j in range(p.size):
            out[j] = np.float64(p[j]) * (np.float64(v[j]) - mean)

    def double(p, v, out, high, low):
        mean, mean_lo = dot(p, v, high, low)
        for j in range(p.size):
            d, d_lo = two_sum(v[j], -mean)
            out[j] = p[j] * (d + (d_lo - mean_lo))

    return single if p.dtype == types.float32 else double


@kernel
def jacobian_product_rows(p, v, out):
    """out = p ⊙ (v − ⟨p, v⟩). p, v, out: (N, C), float32 or float64."""
    high = np.empty(BLOCK)
    low = np.empty(BLOCK)
    for i in range(p.shape[0]):
        _product_row(p[i], v[i], out[i], high, low)


@kernel
def hvp_rows(z, z_lo, offset, slope, labels, ignore_index, weight, keep, spread, z_loss, divisor, tangent, out):
    """out = H v of each row's loss. labels: (N,) int64, or (N, C) probabilities; tangent: (N, C).

    The other arguments are those of general.
    """
    high = np.empty(BLOCK)
    low = np.empty(BLOCK)
    p = np.empty(z.shape[1])
    p_lo = np.empty(z.shape[1])
    m_lo = z.dtype.type(0)
    for i in range(z.shape[0]):
        if labels.ndim == 1:
            if labels[i] == ignore_index:
                out[i, :] = 0.0
                continue
        m = row_max(z[i])
        if not math.isfinite(m):
            out[i, :] = np.nan
            continue
        row_lo = None if z_lo is None else z_lo[i]
        largest = find(z[i], m)
        if z_lo is not None:
            m_lo = z_lo[i, largest]
        if labels.ndim == 1:
            total = 0.0
            if spread != 0.0:
                _, _, total, _ = weighted_shortfall(z[i], row_lo, m, m_lo, None, weight, keep, spread, high, low)
            total += keep if weight is None else keep * weight[labels[i]]
        else:
            _, _, total, _ = weighted_shortfall(z[i], row_lo, m, m_lo, labels[i], weight, keep, spread, high, low)
        rest, rest_lo = probability_pairs(z[i], row_lo, largest, p, p_lo, high, low)
        twice = 0.0
        lse = 0.0
        if z_loss != 0.0:
            # 1/p of the largest class is S, and S − 1 = (1 − p)/p.
            lse = np.float64(m) + (math.log1p((rest + rest_lo) / p[largest]) + np.float64(m_lo))
            if offset is not None:
                lse += offset[i]
            twice = 2.0 * z_loss
        mean, mean_lo = _mean(p, p_lo, tangent[i], None if slope is None else slope[i], high, low)
        mean *= LESS
        mean_lo *= LESS
        factor = total + twice * lse
        for j in range(z.shape[1]):
            v, v_lo = np.float64(tangent[i, j]), 0.0
            if slope is not None:
                v, v_lo = two_prod(v, np.float64(slope[i, j]))
            d, d_lo = two_sum(v, -mean)
            t = fma(factor, d, factor * ((d_lo - mean_lo) + v_lo) + twice * mean) / divisor
            if slope is not None:
                # The units of both slopes are removed at the very end.
                t *= slope[i, j]
                out[i, j] = (p[j] * t + p_lo[j] * t) * (LESS * slope_unit(z) * slope_unit(z))
            else:
                out[i, j] = (p[j] * t + p_lo[j] * t) * LESS
