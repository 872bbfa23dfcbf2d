"""softcap · tanh(x / softcap) and division by a temperature, with the rounding error, and the derivatives.

Exponentials turn a logit's absolute error into a relative one: rounding c · tanh(x/c) to the dtype would cost c ulps.
So the result is a pair (z, z_lo), computed in float64 for float32 logits, in double-double for float64 logits.

    z   = c tanh(x/c) / T
    z'  = sech²(x/c) / T            sech² v = 4 E / (1 + E)², E = e^(−2|v|)
    z'' = −(2/c) tanh(x/c) sech²(x/c) / T
"""

from __future__ import annotations

import math

import numpy as np

from softxent.kernels.cpu.arithmetic.double_double import dd_add, dd_div, dd_exp, dd_expm1, dd_mul
from softxent.kernels.cpu.arithmetic.exponentials import row_max, slope_unit
from softxent.kernels.cpu.simd.floats import two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["transform_rows"]


# Internally, derivatives are multiplied by 2^_UP, so that none is subnormal before the last rounding.
_UP = 200


@kernel
def _tanh_pair(v, v_lo):
    """Return tanh v and 2^_UP · sech² v, each a pair, for a double-double v."""
    sign = -1.0 if v < 0.0 else 1.0
    u, u_lo = -2.0 * sign * v, -2.0 * sign * v_lo
    minus, minus_lo = dd_expm1(u, u_lo)
    plus, plus_lo = dd_add(2.0, 0.0, minus, minus_lo)
    t, t_lo = dd_div(-minus, -minus_lo, plus, plus_lo)
    e, e_lo = dd_exp(u, u_lo, _UP + 2)
    square, square_lo = dd_mul(plus, plus_lo, plus, plus_lo)
    d, d_lo = dd_div(e, e_lo, square, square_lo)
    return sign * t, sign * t_lo, d, d_lo


@kernel
def _capped(x, softcap, wide):
    """Return c tanh(x/c) as a pair, and 2^_UP times its first (a pair) and second derivative. x: a finite float64."""
    if softcap == 0.0:
        return x, 0.0, 2.0**_UP, 0.0, 0.0
    if wide:
        t, t_lo = dd_div(x, 0.0, softcap, 0.0)
        t, t_lo, d, d_lo = _tanh_pair(t, t_lo)
        v, v_lo = dd_mul(t, t_lo, softcap, 0.0)
        bend, bend_lo = dd_mul(t, t_lo, d, d_lo)
        return v, v_lo, d, d_lo, -2.0 * dd_div(bend, bend_lo, softcap, 0.0)[0]
    u = -2.0 * abs(x / softcap)
    if u > -12.0:
        # One expm1 for both: 1 + e loses at most 18 of the 29 additional bits of float64.
        minus = math.expm1(u)
        e, t = 1.0 + minus, -minus / (2.0 + minus)
    else:
        e = math.exp(u)
        t = (1.0 - e) / (1.0 + e)
    t = math.copysign(t, x)
    d = 4.0 * e / ((1.0 + e) * (1.0 + e)) * 2.0**_UP
    return softcap * t, 0.0, d, 0.0, -2.0 / softcap * t * d


@kernel
def _difference(v, v_lo, top, top_lo, temperature):
    """Return ((v + v_lo) − (top + top_lo)) / T as a pair; v and top are capped logits."""
    if math.isinf(temperature):
        return 0.0, 0.0
    d, d_lo = dd_add(v, v_lo, -top, -top_lo)
    if math.isfinite(d):
        q, q_lo = dd_div(d, d_lo, temperature, 0.0)
    else:
        # The difference overflows, but its quotient may not: halve both.
        d, d_lo = two_sum(0.5 * v, -0.5 * top)
        q, q_lo = dd_div(d, d_lo, 0.5 * temperature, 0.0)
    return q, (q_lo if math.isfinite(q) else 0.0)


@kernel
def _transform_single(x, softcap, temperature, top, z, z_lo, slope, curvature):
    """Transform a float32 row, for which float64 has enough bits."""
    unit = 2.0**-_UP / slope_unit(x)
    for j in range(x.size):
        raw = np.float64(x[j])
        if softcap != 0.0 and math.isfinite(raw):
            v, _, d, _, bend = _capped(raw, softcap, False)
        else:
            # −inf stays an impossible class: the cap is for finite logits.
            v, d, bend = raw, (2.0**_UP if softcap == 0.0 else 0.0), 0.0
        q = (v - top) / temperature if math.isfinite(v) else v
        z[j] = q
        high = np.float64(z[j])
        z_lo[j] = q - high if math.isfinite(high) else 0.0
        slope[j] = d / temperature * unit
        if curvature is not None:
            curvature[j] = bend / temperature * unit


@kernel
def transform_rows(x, softcap, temperature, z, z_lo, slope, curvature, offset):
    """Write z + z_lo, and z' and z'' in units of slope_unit; z is shifted by its row's maximum, the offset.

    x, z, z_lo, slope: (N, C) of one dtype; curvature: the same, or None; softcap: 0.0 for none; offset: (N,) float64.
    The shift comes before any rounding to the dtype: a common offset costs no bit, and no finite logit overflows. lse
    of the transformed row is offset + lse of the written z.
    """
    wide = x.itemsize == 8
    for i in range(x.shape[0]):
        m = np.float64(row_max(x[i]))
        top, top_lo = 0.0, 0.0
        if math.isfinite(m):
            top, top_lo, _, _, _ = _capped(m, softcap, wide)
        offset[i] = top / temperature
        if not wide:
            bends = None if curvature is None else curvature[i]
            _transform_single(x[i], softcap, temperature, top, z[i], z_lo[i], slope[i], bends)
            continue
        for j in range(x.shape[1]):
            raw = np.float64(x[i, j])
            if math.isfinite(raw):
                v, v_lo, d, d_lo, bend = _capped(raw, softcap, wide)
                v, v_lo = _difference(v, v_lo, top, top_lo, temperature)
            else:
                # −inf stays an impossible class: the cap is for finite logits.
                v, v_lo, d, d_lo, bend = raw, 0.0, (2.0**_UP if softcap == 0.0 else 0.0), 0.0, 0.0
            z[i, j] = v
            high = np.float64(z[i, j])
            z_lo[i, j] = (v - high) + v_lo if math.isfinite(high) else 0.0
            if math.isfinite(temperature):
                d = dd_div(d, d_lo, temperature, 0.0)[0]
            else:
                d = 0.0
            slope[i, j] = d * (2.0**-_UP / slope_unit(x))
            if curvature is not None:
                curvature[i, j] = bend / temperature * (2.0**-_UP / slope_unit(x))
