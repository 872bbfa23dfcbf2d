"""Exponentials of a row that has more bits than its dtype: logits under a softcap or a temperature, soft labels.

One row: m = max z, e_j = exp(z_j − m), R = Σ_{j≠r} e_j without one reference class r. Every kernel takes C-contiguous
arrays of float32 or float64 and writes into arrays of the caller.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.arithmetic.exp import exp_pair
from softxent.kernels.cpu.arithmetic.sums import BLOCK, accumulate, finish, fold_others
from softxent.kernels.cpu.simd.floats import fma, maximum, quick_two_sum, two_prod, two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = [
    "find",
    "quotient",
    "row_max",
    "scale_row",
    "slope_unit",
    "sum_exponentials",
    "write_exponentials",
]

_LEAST_FACTOR = 2.0**-100


@kernel
def row_max(z):
    """max z, NaN if any is NaN. z: (C,), C ≥ 1."""
    m = z[0]
    for j in range(z.size):
        m = maximum(m, z[j])
    return m


@kernel
def find(z, value):
    """The first index at which z holds value. z: (C,)."""
    for j in range(z.size):
        if z[j] == value:
            return j
    return 0


@kernel
def write_exponentials(z, z_lo, m, m_lo, e, e_lo):
    """Write e_j + e_lo_j = 2^K · exp((z_j + z_lo_j) − (m + m_lo)), to four bits (float32) or six beyond the dtype.

    z, e, e_lo: (n,) of one dtype; z_lo: (n,) or None.
    """
    for j in range(z.size):
        d, d_lo = two_sum(z[j], -m)
        if z_lo is not None:
            d_lo = d_lo + (z_lo[j] - m_lo)
        hi, lo = exp_pair(d, d_lo)
        e[j], e_lo[j] = quick_two_sum(hi, lo)


@kernel
def sum_exponentials(z, z_lo, m, m_lo, skip, e, e_lo, high, low):
    """Return (R, R_lo) = 2^K · Σ_{j≠skip} exp(z_j − m), normalised; write 2^K · exp(z_j − m) to e + e_lo for every j.

    z: (C,); z_lo: (C,) or None; e: (C,), or None if only the sum is wanted; e_lo: (C,), or (BLOCK,) if e is None; both
    of z's dtype; high, low: (BLOCK,) float64 buffers. For the sum the skipped class is set to zero, so that blocks
    start at the same classes for every label. e may be z: an element is read before it is written.
    """
    s = 0.0
    lost = 0.0
    if e is None:
        scratch = np.empty(BLOCK, z.dtype)
    for start in range(0, z.size, BLOCK):
        part = z[start : start + BLOCK]
        n = part.size
        part_lo = None if z_lo is None else z_lo[start : start + BLOCK]
        terms = scratch[:n] if e is None else e[start : start + BLOCK]
        terms_lo = e_lo[:n] if e is None else e_lo[start : start + BLOCK]
        write_exponentials(part, part_lo, m, m_lo, terms, terms_lo)
        block_s, block_lost = fold_others(terms, terms_lo, skip - start, high, low)
        s, lost = accumulate(s, lost, block_s, block_lost)
    return finish(s, lost)


@kernel
def quotient(numerator, d, s, s_lo):
    """Return numerator / (d · (s + s_lo)) as a pair of float64: one rounding for all three operands together."""
    p, p_lo = two_prod(d, s)
    p_lo = fma(d, s_lo, p_lo)
    q = numerator / p
    return q, (fma(-q, p, numerator) - q * p_lo) / p


def slope_unit(z):
    """Return the unit of an array of slopes, in which they are stored: it keeps them out of the subnormal numbers."""
    raise TypeError("slope_unit runs inside kernels only")


@overload(slope_unit, inline="always")
def _slope_unit(z):
    if z.dtype == types.float32:
        return lambda z: 2.0**-24
    return lambda z: 2.0**-200


@kernel
def scale_row(e, e_lo, slope, factor, factor_lo, out):
    """out_j = (e_j + e_lo_j) · slope_j · (factor + factor_lo). e, out: (C,), possibly the same array.

    slope: (C,) in units of slope_unit, or None for ones. Only the last product can be subnormal.
    """
    if slope is not None:
        factor *= slope_unit(e)
        factor_lo *= slope_unit(e)
        for j in range(e.size):
            x, x_lo = two_prod(np.float64(e[j]), np.float64(slope[j]))
            x_lo += np.float64(e_lo[j]) * slope[j]
            out[j] = fma(x, factor, fma(x, factor_lo, x_lo * factor))
    elif e.itemsize == 8 or abs(factor) >= _LEAST_FACTOR:
        f = e.dtype.type(factor)
        f_lo = e.dtype.type((factor - np.float64(f)) + factor_lo)
        for j in range(e.size):
            x = e[j]
            out[j] = fma(x, f, fma(x, f_lo, e_lo[j] * f))
    else:
        # Near float32's smallest numbers the factor itself would lose bits (for instance a class weight of 1e-30).
        for j in range(e.size):
            out[j] = (np.float64(e[j]) + np.float64(e_lo[j])) * factor
