"""Probabilities as pairs of float64, and the softmax Jacobian from them.

A product of two probabilities has the errors of both, and a product with a tangent doubles them. The exponential has
four bits more than a float64 (arithmetic.exp), so a probability hi + lo is right to about 2^-57, and results computed
from it are right to a rounding or two.
"""

from __future__ import annotations

import math

import numpy as np

from softxent.kernels.cpu.arithmetic.exp import exp_pair
from softxent.kernels.cpu.arithmetic.exponentials import find, quotient, row_max
from softxent.kernels.cpu.arithmetic.sums import BLOCK, accumulate, finish, fold
from softxent.kernels.cpu.simd.floats import fma, quick_two_sum, two_prod, two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["LESS", "probability_pairs", "softmax_jacobian_rows"]

LESS = 2.0**-128


@kernel
def probability_pairs(z, z_lo, largest, p, p_lo, high, low):
    """Write 2^128 · softmax(z + z_lo) as pairs p + p_lo; return the pair 2^128 · (1 − p) of the largest class.

    The power of two keeps results of pairs out of the subnormal numbers, until LESS removes it.

    z: (C,) float32 or float64; z_lo: (C,) or None; largest: the index of max z; p, p_lo: (C,) float64;
    high, low: (BLOCK,) float64 buffers.
    """
    m = np.float64(z[largest])
    m_lo = 0.0 if z_lo is None else np.float64(z_lo[largest])
    s = 0.0
    lost = 0.0
    for start in range(0, z.size, BLOCK):
        n = min(BLOCK, z.size - start)
        for j in range(n):
            c = start + j
            d, d_lo = two_sum(np.float64(z[c]), -m)
            if z_lo is not None:
                d_lo = d_lo + (np.float64(z_lo[c]) - m_lo)
            hi, lo = exp_pair(d, d_lo)
            p[c], p_lo[c] = quick_two_sum(hi, lo)
            high[j] = p[c]
            low[j] = p_lo[c]
        if start <= largest < start + n:
            high[largest - start] = 0.0
            low[largest - start] = 0.0
        block_s, block_lost = fold(high, low, n)
        s, lost = accumulate(s, lost, block_s, block_lost)
    rest, rest_lo = finish(s, lost)
    s, lost = two_sum(p[largest], rest)
    factor, factor_lo = quotient(1.0 / LESS, 1.0, s, lost + rest_lo + p_lo[largest])
    for c in range(z.size):
        x, x_lo = two_prod(p[c], factor)
        p[c], p_lo[c] = x, fma(p[c], factor_lo, fma(p_lo[c], factor, x_lo))
    q, q_lo = two_prod(rest, factor)
    return q, q_lo + (rest * factor_lo + rest_lo * factor)


@kernel
def softmax_jacobian_rows(z, out):
    """out_ijk = p_j (δ_jk − p_k), p the softmax of row i. z: (N, C); out: (N, C, C).

    On the diagonal, 1 − p_j is the sum of the others for the largest class; for other classes it cannot cancel.
    """
    high = np.empty(BLOCK)
    low = np.empty(BLOCK)
    c = z.shape[1]
    p = np.empty(c)
    p_lo = np.empty(c)
    for i in range(z.shape[0]):
        m = row_max(z[i])
        if not math.isfinite(m):
            out[i, :, :] = np.nan
            continue
        largest = find(z[i], m)
        rest, rest_lo = probability_pairs(z[i], None, largest, p, p_lo, high, low)
        for j in range(c):
            for k in range(c):
                x, x_lo = two_prod(-p[j], p[k])
                out[i, j, k] = (x + (x_lo - (p[j] * p_lo[k] + p_lo[j] * p[k]))) * (LESS * LESS)
            if j == largest:
                q, q_lo = rest, rest_lo
            else:
                q, q_lo = two_sum(1.0 / LESS, -p[j])
                q_lo -= p_lo[j]
            x, x_lo = two_prod(p[j], q)
            out[i, j, j] = (x + (x_lo + (p[j] * q_lo + p_lo[j] * q))) * (LESS * LESS)
