"""log(1 + x) and log s as pairs of float64, for scalars and vectors, without a branch.

With y = 1 + x = 2^k f, √½ ≤ f < √2, u = f − 1 (x itself where k = 0, so that nothing cancels) and s = u / (2 + u):

    log y = k ln 2 + 2 artanh s = k ln 2 + 2 s + s³ (2/3 + 2/5 s² + 2/7 s⁴ + …),   |s| ≤ 0.1716

k ln 2, 2 s and 2/3 s³ are kept as pairs; the later terms are below 2^-13 of them, so that float64 gives them to 2^-60
of the result. (The reduction is that of Tang, "Table-driven implementation of the logarithm function", 1990.)
"""

from __future__ import annotations

from softxent.kernels.cpu.simd.floats import fma, quick_two_sum, two_prod, two_sum
from softxent.kernels.cpu.simd.jit import inlined
from softxent.kernels.cpu.simd.lanes import bits, from_bits, integers_to_floats, select

__all__ = ["log1p_pair", "log1p_single", "log_pair"]

_LN2 = 0.6931471805599453
_LN2_LO = 2.3190468138462996e-17
# bits(1.0) − bits(√½), so that the exponent field steps at √½ · 2^k.
_TO_ROOT = 0x3FF0000000000000 - 0x3FE6A09E667F3BCD
_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10 = (2.0 / (2 * n + 3) for n in range(11))
_T0_LO = 3.700743415417188e-17
_TINY = 2.0**-60


@inlined
def log1p_pair(x, x_lo):
    """log(1 + x + x_lo), x ≥ 0, relative error 2^-60, as a pair."""
    y, y_lo = two_sum(x, 1.0 + x * 0.0)
    y_lo = y_lo + x_lo
    exponent = ((bits(y) + _TO_ROOT) >> 52) - 1023
    down = from_bits((1023 - exponent) << 52)
    k = integers_to_floats(exponent)
    in_place = exponent == 0
    u = select(in_place, x, y * down - 1.0)
    u_lo = select(in_place, x_lo, y_lo * down)
    v = u + 2.0
    v_lo = (u - (v - 2.0)) + u_lo
    s = u / v
    s_lo = (fma(-s, v, u) + (u_lo - s * v_lo)) / v
    square, square_lo = two_prod(s, s)
    cube, cube_lo = two_prod(square, s)
    cube_lo = fma(square_lo, s, cube_lo)
    t = fma(square, _T10, _T9)
    t = fma(t, square, _T8)
    t = fma(t, square, _T7)
    t = fma(t, square, _T6)
    t = fma(t, square, _T5)
    t = fma(t, square, _T4)
    t = fma(t, square, _T3)
    t = fma(t, square, _T2)
    t = fma(t, square, _T1)
    t = fma(t, square, _T0_LO)
    tail, tail_lo = two_prod(cube, _T0 + s * 0.0)
    tail_lo = fma(cube, t, fma(cube_lo, _T0, tail_lo)) + s_lo * fma(square, 2.0, 2.0)
    whole, whole_lo = two_prod(k, _LN2 + k * 0.0)
    log, log_lo = two_sum(whole, s * 2.0)
    log, log_lo = quick_two_sum(log, log_lo + (tail + (fma(k, _LN2_LO, whole_lo) + tail_lo)))
    # Below 2^-60 the function equals its argument, to the last subnormal bit.
    small = x < _TINY
    return select(small, x, log), select(small, x_lo, log_lo)


@inlined
def log1p_single(x):
    """log(1 + x), float64 x ≥ 0, relative error 2^-32: enough to round to float32."""
    y = x + 1.0
    exponent = ((bits(y) + _TO_ROOT) >> 52) - 1023
    k = integers_to_floats(exponent)
    u = select(exponent == 0, x, y * from_bits((1023 - exponent) << 52) - 1.0)
    s = u / (u + 2.0)
    square = s * s
    t = fma(square, _T5, _T4)
    t = fma(t, square, _T3)
    t = fma(t, square, _T2)
    t = fma(t, square, _T1)
    t = fma(t, square, _T0)
    return fma(k, _LN2, fma(s * square, t, s + s))


@inlined
def log_pair(s, s_lo):
    """log(s + s_lo), s ≥ 1, error 2^-60 of max(1, result), as a pair."""
    rest, lost = two_sum(s, -1.0 + s * 0.0)
    return log1p_pair(rest, lost + s_lo)
