"""The frame of a row: the scaling in which its exponentials are computed and added, without rounding z − m.

exp(z) = 2^(n/8) e^r with n the integer nearest to 8 z/ln 2 and r = z − n ln2/8, exact in its leading part
(arithmetic.term). Sums are kept relative to 2^k_m, k_m the integer nearest to m/ln 2 for the row's maximum m. This
rounds nothing, whereas exp(z − m) needs the rounding error of the difference. For |m| above a limit, n times the rest
of ln2/8 would become too large; then m is subtracted first, and z − m is exact for every z that counts (Sterbenz).

A frame is, for one row or for a vector of rows:
    shift: 0 or m;  k: k_m, that of m − shift
    magic: a number that, added to 8 z/ln 2, gives n and, in the low bits, the exponent field of 2^(n/8 − k_m + K)
    floor: the logit at which that field is 0 and the power of two +0; logits below it are raised to it and add 0
A term is e^z · 2^(K − k_m): the factor 2^K keeps every term that counts out of the subnormal numbers.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.arithmetic.exp import magic_number, power, reduced, significand, small_part
from softxent.kernels.cpu.arithmetic.term import STEPS, table_exp
from softxent.kernels.cpu.simd.floats import SCALE_EXPONENT_32, SCALE_EXPONENT_64, absolute, fma, quick_two_sum, two_sum
from softxent.kernels.cpu.simd.jit import inlined
from softxent.kernels.cpu.simd.lanes import (
    bits,
    convert,
    floats_to_integers,
    from_bits,
    select,
)
from softxent.kernels.cpu.simd.vector import dtype_of

__all__ = [
    "SETTLED",
    "add_term",
    "combine",
    "exp_in_frame",
    "frame",
    "is_finite",
    "log_probability",
    "scaled",
    "scaling",
    "settle",
    "term",
    "unscaled",
]

_f = np.float32
_LIMIT_32, _TOP_32 = _f(4096.0), _f(127 + SCALE_EXPONENT_32)
_LIMIT_64, _TOP_64 = 2.0**20, 1023.0 + SCALE_EXPONENT_64
_LN2_32, _LN2 = _f(0.6931471805599453), 0.6931471805599453


@inlined
def is_finite(x):
    """Whether x is finite."""
    return absolute(x) < np.inf


@inlined
def _frame_32(m):
    shift = select(absolute(m) > _LIMIT_32, m, 0.0)
    _, k, _ = reduced(m - shift, magic_number(m))
    exponent = -(k - _TOP_32)
    return shift, k, exponent * -_LN2_32, exponent * STEPS + magic_number(m)


@inlined
def _frame_64(m):
    shift = select(absolute(m) > _LIMIT_64, m, 0.0)
    _, k, _ = reduced(m - shift, magic_number(m))
    exponent = -(k - _TOP_64)
    return shift, k, exponent * -_LN2, exponent * STEPS + magic_number(m)


def frame(m):
    """Return (shift, k, floor, magic) for a finite maximum m."""
    raise TypeError("frame runs inside kernels only")


@overload(frame, inline="always")
def _frame(m):
    return (lambda m: _frame_32(m)) if dtype_of(m) == types.float32 else (lambda m: _frame_64(m))


@inlined
def term(x, shift, floor, magic):
    """Return hi + lo = e^(x − shift) · 2^(K − k_m); 0 if x − shift ≤ floor, NaN for NaN."""
    x = x - shift
    x = select(x < floor, floor, x)
    return table_exp(x, magic)


@inlined
def scaled(hi, lo, factor, factor_lo, unit):
    """Return (hi + lo) · (factor + factor_lo) · unit, unit a power of two, rounded once above the subnormal numbers."""
    return fma(hi, factor, fma(hi, factor_lo, lo * factor)) * unit


@inlined
def _log_32(x, m, log_s, log_s_lo):
    return convert(np.float32, (convert(np.float64, x) - m) - log_s)


@inlined
def _log_64(x, m, log_s, log_s_lo):
    d, d_lo = two_sum(x, -m)
    s, lost = two_sum(d, -log_s)
    # If x − m has overflowed or x is −inf, the rounding error is NaN, and the sum alone is right.
    return select(s > -np.inf, s + (lost + (d_lo - log_s_lo)), s)


def log_probability(x, m, log_s, log_s_lo):
    """Return (x − m) − (log_s + log_s_lo), rounded once: two terms of the same sign. m, log_s, log_s_lo: float64."""
    raise TypeError("log_probability runs inside kernels only")


@overload(log_probability, inline="always")
def _log_probability(x, m, log_s, log_s_lo):
    if dtype_of(x) == types.float32:
        return lambda x, m, log_s, log_s_lo: _log_32(x, m, log_s, log_s_lo)
    return lambda x, m, log_s, log_s_lo: _log_64(x, m, log_s, log_s_lo)


@inlined
def _add_32(s, e, hi, lo):
    # A float64 sum of float32 terms needs no correction.
    return s + convert(np.float64, hi), e + lo


@inlined
def _add_64(s, e, hi, lo):
    s, lost = two_sum(s, hi)
    return s, e + (lost + lo)


def add_term(s, e, hi, lo):
    """Add a term to the sum s + e. s: float64; e: of the term's dtype."""
    raise TypeError("add_term runs inside kernels only")


@overload(add_term, inline="always")
def _add_term(s, e, hi, lo):
    if dtype_of(hi) == types.float32:
        return lambda s, e, hi, lo: _add_32(s, e, hi, lo)
    return lambda s, e, hi, lo: _add_64(s, e, hi, lo)


# After this many terms the corrections are added into the sum: they hold the terms' low parts, up to a 22nd of the
# terms, and are too large to accumulate for long. The error of 16 of them is at most a 22nd of 8 roundings.
SETTLED = 16


def settle(zero, s, e):
    """Return the sum s + e with all of e that s can hold moved into s. The dtype of zero is that of the terms."""
    raise TypeError("settle runs inside kernels only")


@overload(settle, inline="always")
def _settle(zero, s, e):
    if dtype_of(zero) == types.float32:
        return lambda zero, s, e: (s + convert(np.float64, e), zero)
    return lambda zero, s, e: quick_two_sum(s, e)


def combine(zero, s, e, other, other_e):
    """Return the sum of two sums; the dtype of zero decides whether they have corrections."""
    raise TypeError("combine runs inside kernels only")


@overload(combine, inline="always")
def _combine(zero, s, e, other, other_e):
    if dtype_of(zero) == types.float32:
        return lambda zero, s, e, other, other_e: (s + other, e + other_e)

    def pair(zero, s, e, other, other_e):
        total, lost = two_sum(s, other)
        return total, (e + other_e) + lost

    return pair


_UNSCALE_32, _UNSCALE_64 = 2.0**-SCALE_EXPONENT_32, 2.0**-SCALE_EXPONENT_64


def unscaled(zero, s):
    """s · 2^-K."""
    raise TypeError("unscaled runs inside kernels only")


@overload(unscaled, inline="always")
def _unscaled(zero, s):
    if dtype_of(zero) == types.float32:
        return lambda zero, s: s * _UNSCALE_32
    return lambda zero, s: s * _UNSCALE_64


@inlined
def exp_in_frame(x, k):
    """Return e^x · 2^-k as a normalised pair of float64, x and k float64; 0 if it is below 2^-1000."""
    t, own, r = reduced(x, magic_number(x))
    hi, lo = significand(r, small_part(own))
    distance = own - k
    near = distance > -1000.0
    p = power(t, 1023 - floats_to_integers(k))
    hi = select(near, hi * p, 0.0)
    lo = select(near, lo * p, 0.0)
    s = hi + lo
    return s, lo - (s - hi)


# A factor is split into a number near 1 and a power of two, which is multiplied last, so that no earlier product is
# subnormal. (If the power itself would be subnormal, the factor takes the rest, and the result is 0.)
_LEAST_32, _MOST_32, _TERM_32 = -126, 127, SCALE_EXPONENT_32
_LEAST_64, _MOST_64, _TERM_64 = -1022, 1023, SCALE_EXPONENT_64


@inlined
def _split(f, f_lo, up, least, most, term_exponent):
    own = ((bits(f) >> 52) & 0x7FF) - 1023
    wanted = own - (up + term_exponent)
    last = select(wanted < least, own * 0 + least, wanted)
    last = select(last > most, own * 0 + most, last)
    # factor = f · 2^(−own + wanted − last), in two steps, each a normal power of two.
    down = from_bits((1023 - own) << 52)
    rest = wanted - last
    rest = select(rest < -1000, own * 0 - 1000, rest)
    down = down * from_bits((rest + 1023) << 52)
    return f * down, f_lo * down, from_bits((last + 1023) << 52)


def scaling(zero, f, f_lo, up):
    """Return (factor, factor_lo, unit), with which `scaled` turns terms into e^z · 2^-k_m · (f + f_lo) · 2^-up.

    f, f_lo: finite float64; up: int64; zero tells the dtype.
    """
    raise TypeError("scaling runs inside kernels only")


@overload(scaling, inline="always")
def _scaling(zero, f, f_lo, up):
    if dtype_of(zero) == types.float32:
        return lambda zero, f, f_lo, up: _split(f, f_lo, up, _LEAST_32, _MOST_32, _TERM_32)
    return lambda zero, f, f_lo, up: _split(f, f_lo, up, _LEAST_64, _MOST_64, _TERM_64)
