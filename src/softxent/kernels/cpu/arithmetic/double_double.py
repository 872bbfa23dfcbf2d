"""Arithmetic on unevaluated sums of two float64 (about 104 bits), for numbers that must be exact before rounding.

Algorithms: Dekker (1971); Hida, Li and Bailey, "Algorithms for quad-double precision floating point arithmetic" (2001).
"""

from __future__ import annotations

import math

import numpy as np

from softxent.kernels.cpu.simd.floats import fma, quick_two_sum, two_prod, two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["dd_add", "dd_div", "dd_exp", "dd_expm1", "dd_mul"]

_LN2 = (0.6931471805599453, 2.3190468138462996e-17, 5.707708438416212e-34)
# 1/n! as pairs, n = 2 … 12, for terms that matter beyond float64's precision; the rest as float64.
_INVERSE_FACTORIALS = (
    (0.5, 0.0),
    (0.16666666666666666, 9.25185853854297e-18),
    (0.041666666666666664, 2.3129646346357427e-18),
    (0.008333333333333333, 1.1564823173178714e-19),
    (0.001388888888888889, -5.300543954373577e-20),
    (0.0001984126984126984, 1.7209558293420705e-22),
    (2.48015873015873e-05, 2.1511947866775882e-23),
    (2.7557319223985893e-06, -1.858393274046472e-22),
    (2.755731922398589e-07, 2.3767714622250297e-23),
    (2.505210838544172e-08, -1.448814070935912e-24),
    (2.08767569878681e-09, -1.20734505911326e-25),
)
_LATE_INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(24, 12, -1))


@kernel
def dd_add(a, a_lo, b, b_lo):
    """(a + a_lo) + (b + b_lo)."""
    s, e = two_sum(a, b)
    t, f = two_sum(a_lo, b_lo)
    s, e = quick_two_sum(s, e + t)
    return quick_two_sum(s, e + f)


@kernel
def dd_mul(a, a_lo, b, b_lo):
    """(a + a_lo) · (b + b_lo)."""
    p, e = two_prod(a, b)
    return quick_two_sum(p, e + (a * b_lo + a_lo * b))


@kernel
def dd_div(a, a_lo, b, b_lo):
    """(a + a_lo) / (b + b_lo): two Newton corrections of the rounded quotient."""
    q = a / b
    r = fma(-q, b, a)
    rest = r + (a_lo - q * b_lo)
    q2 = rest / b
    # The remainder after q + q2, to the last bits of a pair.
    p, e = two_prod(q2, b)
    rest = ((r - p) - e) + (a_lo - q * b_lo) - q2 * b_lo
    q, q2 = quick_two_sum(q, q2)
    return quick_two_sum(q, q2 + rest / b)


@kernel
def _expm1_reduced(r, r_lo):
    """e^r − 1 for |r| ≤ 0.35, relative error about 2^-100: Taylor's series, its first eleven coefficients as pairs."""
    late = 0.0
    for coefficient in _LATE_INVERSE_FACTORIALS:
        late = fma(late, r, coefficient)
    s, s_lo = late, 0.0
    for n in range(len(_INVERSE_FACTORIALS) - 1, -1, -1):
        s, s_lo = dd_mul(s, s_lo, r, r_lo)
        s, s_lo = dd_add(_INVERSE_FACTORIALS[n][0], _INVERSE_FACTORIALS[n][1], s, s_lo)
    s, s_lo = dd_mul(s, s_lo, r, r_lo)
    s, s_lo = dd_mul(s, s_lo, r, r_lo)
    return dd_add(r, r_lo, s, s_lo)


@kernel
def _reduce(x, x_lo):
    """(k, r, r_lo) with x = k ln 2 + r, |r| ≤ 0.35."""
    k = np.floor(x / _LN2[0] + 0.5)  # a float, unlike math.floor here
    p, e = two_prod(-k, _LN2[0])
    r, r_lo = dd_add(x, x_lo, p, e)
    p, e = two_prod(-k, _LN2[1])
    r, r_lo = dd_add(r, r_lo, p, e - k * _LN2[2])
    return k, r, r_lo


@kernel
def dd_exp(x, x_lo, up):
    """2^up · e^(x + x_lo), x ≤ 700; 0 below −1100."""
    if x < -1100.0:
        return 0.0, 0.0
    k, r, r_lo = _reduce(x, x_lo)
    e, e_lo = _expm1_reduced(r, r_lo)
    e, e_lo = dd_add(1.0, 0.0, e, e_lo)
    return math.ldexp(e, int(k) + up), math.ldexp(e_lo, int(k) + up)


@kernel
def dd_expm1(x, x_lo):
    """e^(x + x_lo) − 1, x ≤ 700, relative error about 2^-100."""
    if abs(x) < 0.34:
        return _expm1_reduced(x, x_lo)
    e, e_lo = dd_exp(x, x_lo, 0)
    return dd_add(-1.0, 0.0, e, e_lo)
