"""e^(d + d_lo) · 2^K for d ≤ 0, to 0.6 ulp, in float32 and float64, vectorisable.

Let d + d_lo be a logit minus the row's maximum: the rounded difference and its rounding error. With k the integer
nearest to d/ln 2:

    r = d − k·ln2_hi              exact, by a fused multiply-add
    t = d_lo − k·ln2_lo           the small part
    e^(d + d_lo) = 2^k · e^r · (1 + t),   e^r = 1 + r + r²·Q(r)

1 + r (in float64 1 + r + r²/2) is kept as hi + lo, so that only the last rounding, hi + (lo + …), matters.
Q interpolates (e^r − 1 − r)/r² at Chebyshev nodes on |r| ≤ ln 2 / 2: relative error of e^r 2^-32 (degree 5,
float32) and 2^-62 (degree 10, float64). Plain max-subtraction drops d_lo: |d|·2^-24 in float32, |d|·2^-53 in float64
(Blanchard, Higham and Higham, IMA J. Numer. Anal. 41, 2021, Theorem 4.3).
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.simd.floats import SCALE_EXPONENT_32, SCALE_EXPONENT_64, fma, quick_two_sum, two_prod
from softxent.kernels.cpu.simd.jit import inlined
from softxent.kernels.cpu.simd.lanes import power_of_low_bits
from softxent.kernels.cpu.simd.vector import dtype_of

__all__ = ["exp_pair", "magic_number", "power", "reduced", "scaled_exp", "significand", "small_part", "unscale"]

_f = np.float32
_LOG2E_32 = _f(1.4426950408889634)
_MAGIC_32 = _f(1.5 * 2**23)
_LN2_HI_32 = _f(0.6931471824645996)
_LN2_LO_32 = _f(-1.9046542121259336e-09)
_Q0_32 = _f(0.5)
_Q1_32 = _f(0.1666666716337204)
_Q2_32 = _f(0.04166646674275398)
_Q3_32 = _f(0.00833331048488617)
_Q4_32 = _f(0.0013933649752289057)
_Q5_32 = _f(0.00019890991097781807)
# Below these, e^d · 2^K is subnormal, and the probability rounds to zero whatever the scaling.
_LOWEST_32 = _f(-131.0)
_LOWEST_64 = -797.0

_LOG2E_64 = 1.4426950408889634
_MAGIC_64 = 1.5 * 2**52
_LN2_HI_64 = 0.6931471805599453
_LN2_LO_64 = 2.3190468138462996e-17
_Q1_64 = 0.1666666666666667
_Q2_64 = 0.04166666666666667
_Q3_64 = 0.008333333333326136
_Q4_64 = 0.0013888888888883748
_Q5_64 = 0.00019841269874820627
_Q6_64 = 2.4801587325547743e-05
_Q7_64 = 2.7557255400206422e-06
_Q8_64 = 2.75572736431103e-07
_Q9_64 = 2.5105217004720745e-08
_Q10_64 = 2.0914686968086876e-09


_MINUS_LN2_LO_32, _MINUS_LN2_LO_64 = _f(-_LN2_LO_32), -_LN2_LO_64
_BIAS_32, _BIAS_64 = 127, 1023


@inlined
def _reduce_32(x, magic):
    t = fma(x, _LOG2E_32, magic)
    k = t - magic
    return t, k, fma(-k, _LN2_HI_32, x)


@inlined
def _reduce_64(x, magic):
    t = fma(x, _LOG2E_64, magic)
    k = t - magic
    return t, k, fma(-k, _LN2_HI_64, x)


def reduced(x, magic):
    """Return (t, k, r) with k the integer nearest to x/ln 2, t = k + magic, r = x − k·ln2_hi exactly.

    magic: 1.5·2^23 (float32) or 1.5·2^52, plus a number that is added to k in the low bits of t.
    """
    raise TypeError("reduced runs inside kernels only")


@overload(reduced, inline="always")
def _reduced(x, magic):
    if dtype_of(x) == types.float32:
        return lambda x, magic: _reduce_32(x, magic)
    return lambda x, magic: _reduce_64(x, magic)


def magic_number(x):
    """1.5·2^23 for float32, 1.5·2^52 for float64."""
    raise TypeError("magic_number runs inside kernels only")


@overload(magic_number, inline="always")
def _magic_number(x):
    return (lambda x: _MAGIC_32) if dtype_of(x) == types.float32 else (lambda x: _MAGIC_64)


def small_part(k):
    """−k·ln2_lo, the correction of r."""
    raise TypeError("small_part runs inside kernels only")


@overload(small_part, inline="always")
def _small_part(k):
    if dtype_of(k) == types.float32:
        return lambda k: k * _MINUS_LN2_LO_32
    return lambda k: k * _MINUS_LN2_LO_64


@inlined
def _significand_32(r, small):
    q = fma(r, _Q5_32, _Q4_32)
    q = fma(q, r, _Q3_32)
    q = fma(q, r, _Q2_32)
    q = fma(q, r, _Q1_32)
    q = fma(q, r, _Q0_32)
    q = r * r * q
    hi = r + _f(1.0)
    lo = r - (hi - _f(1.0))
    return hi, fma(small, hi + q, lo + q)


@inlined
def _significand_64(r, small):
    q = fma(r, _Q10_64, _Q9_64)
    q = fma(q, r, _Q8_64)
    q = fma(q, r, _Q7_64)
    q = fma(q, r, _Q6_64)
    q = fma(q, r, _Q5_64)
    q = fma(q, r, _Q4_64)
    q = fma(q, r, _Q3_64)
    q = fma(q, r, _Q2_64)
    q = fma(q, r, _Q1_64)
    # 1 + r + r²/2 is exact, so that only r³ Q, which is below 0.008, is rounded.
    square, square_lo = two_prod(r, r)
    q = square * r * q
    one = r + 1.0
    one_lo = r - (one - 1.0)
    hi, lo = quick_two_sum(one, square * 0.5)
    return hi, (lo + one_lo) + fma(small, hi + q, fma(square_lo, 0.5, q))


def significand(r, small):
    """Return e^(r + small), |r| ≤ ln 2 / 2, as hi + lo with |lo| < hi / 8: four (float32), six bits (float64) more."""
    raise TypeError("significand runs inside kernels only")


@overload(significand, inline="always")
def _significand(r, small):
    if dtype_of(r) == types.float32:
        return lambda r, small: _significand_32(r, small)
    return lambda r, small: _significand_64(r, small)


@inlined
def power(t, exponent):
    """2^(k + exponent − bias), with t from `reduced`: the low bits of t, which are k, become the exponent field.

    exponent: int64, or a vector of integers of the dtype's width; k + exponent must be in 1 … 2·bias.
    """
    return power_of_low_bits(t, exponent)


@inlined
def _exp_32(d, d_lo):
    t, k, r = _reduce_32(d, _MAGIC_32)
    hi, lo = _significand_32(r, fma(-k, _LN2_LO_32, d_lo))
    p = power(t, _BIAS_32 + SCALE_EXPONENT_32)
    inside = d > _LOWEST_32
    return (hi * p if inside else _f(0.0)), (lo * p if inside else _f(0.0))


@inlined
def _exp_64(d, d_lo):
    t, k, r = _reduce_64(d, _MAGIC_64)
    hi, lo = _significand_64(r, fma(-k, _LN2_LO_64, d_lo))
    p = power(t, _BIAS_64 + SCALE_EXPONENT_64)
    inside = d > _LOWEST_64
    return (hi * p if inside else 0.0), (lo * p if inside else 0.0)


def exp_pair(d, d_lo):
    """e^(d + d_lo) · 2^K as an unevaluated sum hi + lo with |lo| < hi / 8: four (float32), six bits (float64) more."""
    raise TypeError("exp_pair runs inside kernels only")


@overload(exp_pair, inline="always")
def _exp_pair(d, d_lo):
    if d == types.float32:
        return lambda d, d_lo: _exp_32(d, d_lo)
    if d == types.float64:
        return lambda d, d_lo: _exp_64(d, d_lo)
    return None


@inlined
def scaled_exp(d, d_lo):
    """e^(d + d_lo) · 2^K, rounded once; 0 if it is too small to matter, and for d = −inf."""
    hi, lo = exp_pair(d, d_lo)
    return hi + lo


_UNSCALE_32 = 2.0**-64
_UNSCALE_64 = 2.0**-128


def unscale(dtype_like):
    """2^-K, as float64, for the K of an array's dtype."""
    raise TypeError("unscale runs inside kernels only")


@overload(unscale, inline="always")
def _unscale(dtype_like):
    if dtype_like.dtype == types.float32:
        return lambda dtype_like: _UNSCALE_32
    return lambda dtype_like: _UNSCALE_64
