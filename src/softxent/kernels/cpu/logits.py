"""softcap · tanh(x / softcap) and division by a temperature, with what the rounding loses, and the derivatives.

The exponentials see a logit's absolute error: c · tanh(x/c) rounded to the dtype would already cost c ulps. So the
result is a pair (z, z_lo): computed in float64 for float32 logits, in double-double for float64 logits.

    z   = c tanh(x/c) / T
    z'  = sech²(x/c) / T            sech² v = 4 E / (1 + E)², E = e^(−2|v|)
    z'' = −(2/c) tanh(x/c) sech²(x/c) / T
"""

from __future__ import annotations

import math

import numpy as np

from softxent.kernels.cpu.double_double import dd_add, dd_div, dd_exp, dd_expm1, dd_mul
from softxent.kernels.cpu.floats import two_sum
from softxent.kernels.cpu.jit import kernel
from softxent.kernels.cpu.softmax import row_max

__all__ = ["transform_rows"]


@kernel
def _tanh_pair(v, v_lo):
    """Return tanh v and sech² v, each a pair, for a double-double v."""
    sign = -1.0 if v < 0.0 else 1.0
    u, u_lo = -2.0 * sign * v, -2.0 * sign * v_lo
    minus, minus_lo = dd_expm1(u, u_lo)
    plus, plus_lo = dd_add(2.0, 0.0, minus, minus_lo)
    t, t_lo = dd_div(-minus, -minus_lo, plus, plus_lo)
    e, e_lo = dd_exp(u, u_lo)
    square, square_lo = dd_mul(plus, plus_lo, plus, plus_lo)
    d, d_lo = dd_div(4.0 * e, 4.0 * e_lo, square, square_lo)
    return sign * t, sign * t_lo, d, d_lo


@kernel
def transform_rows(x, softcap, temperature, z, z_lo, slope, curvature, offset):
    """Write z + z_lo, z' and z''; and into offset what each row was shifted by beforehand.

    x, z, z_lo, slope: (N, C) of one dtype; curvature: the same, or None; softcap: 0.0 for none; offset: (N,) float64.
    Below T = 1 without softcap a row is shifted by its maximum before it is divided, so that no logit overflows that
    was finite: lse(z) is then offset + lse of what is written.
    """
    wide = x.itemsize == 8
    for i in range(x.shape[0]):
        shift = 0.0
        if softcap == 0.0 and temperature < 1.0:
            shift = np.float64(row_max(x[i]))
            if not math.isfinite(shift):
                shift = 0.0
        offset[i] = shift / temperature
        for j in range(x.shape[1]):
            raw = np.float64(x[i, j])
            v, v_lo = two_sum(raw, -shift)
            derivative = 1.0
            derivative_lo = 0.0
            bend = 0.0
            if math.isinf(raw) or math.isnan(raw):
                # −inf stays an impossible class: the cap is for logits that are numbers.
                v, v_lo = raw, 0.0
                derivative = 1.0 if softcap == 0.0 else 0.0
            elif math.isinf(v):
                v_lo = 0.0
            elif softcap != 0.0:
                if wide:
                    t, t_lo = dd_div(v, 0.0, softcap, 0.0)
                    t, t_lo, derivative, derivative_lo = _tanh_pair(t, t_lo)
                    v, v_lo = dd_mul(t, t_lo, softcap, 0.0)
                    bend, bend_lo = dd_mul(t, t_lo, derivative, derivative_lo)
                    bend = -2.0 * dd_div(bend, bend_lo, softcap, 0.0)[0]
                else:
                    t = math.tanh(v / softcap)
                    e = math.exp(-2.0 * abs(v / softcap))
                    derivative = 4.0 * e / ((1.0 + e) * (1.0 + e))
                    v = softcap * t
                    bend = -2.0 / softcap * t * derivative
            if temperature != 1.0 and math.isfinite(v):
                if math.isinf(temperature):
                    v, v_lo = 0.0, 0.0
                else:
                    v, v_lo = dd_div(v, v_lo, temperature, 0.0)
                    if not math.isfinite(v):
                        v_lo = 0.0
            z[i, j] = v
            high = np.float64(z[i, j])
            z_lo[i, j] = (v - high) + v_lo if math.isfinite(high) else 0.0
            # One rounding for the whole slope, but where its parts are subnormal, or T is infinite.
            if derivative > 1e-280 and math.isfinite(temperature):
                derivative = dd_div(derivative, derivative_lo, temperature, 0.0)[0]
            else:
                derivative = derivative / temperature
            slope[i, j] = derivative
            if curvature is not None:
                curvature[i, j] = bend / temperature
