"""The frame in which a row's exponentials are computed and added: no logit's difference from the maximum is rounded.

exp(z) = 2^k e^r with k the integer nearest to z/ln 2 and r = z − k ln 2, exact in its leading part (softxent.kernels.
cpu.exp). Sums are kept relative to 2^k_m, k_m that of the row's maximum m: an integer, so that nothing is rounded, where
exp(z − m) needs the difference's rounding error carried along. For |m| above a limit, where k·ln2_lo would grow too
large, m is subtracted first: there z − m is exact for every z that counts (Sterbenz).

A frame is, for one row or for a vector of rows:
    shift: 0 or m;  k: k_m of m − shift;  least: logits z − shift up to this one count nothing
    exponent: what softxent.kernels.cpu.exp.power adds to a term's k, so that the term is e^z · 2^(K − k_m)
The terms are 2^K times as large as they are, so that none that counts is subnormal.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.exp import power, reduced, significand, small_part
from softxent.kernels.cpu.floats import SCALE_EXPONENT_32, SCALE_EXPONENT_64, absolute, fma, quick_two_sum, two_sum
from softxent.kernels.cpu.jit import inlined
from softxent.kernels.cpu.lanes import bits, convert, extract, floats_to_integers, from_bits, integers_to_floats, lower_half, select, upper_half
from softxent.kernels.cpu.vector import dtype_of

__all__ = [
    "SETTLED",
    "add_term",
    "combine",
    "exp_in_frame",
    "fold",
    "frame",
    "is_finite",
    "log_probability",
    "scaled_term",
    "scaling",
    "settle",
    "term",
    "unscaled",
]

_f = np.float32
_LIMIT_32, _REACH_32, _TOP_32 = _f(4096.0), _f(130.0), 127 + SCALE_EXPONENT_32
_LIMIT_64, _REACH_64, _TOP_64 = 2.0**20, 795.0, 1023 + SCALE_EXPONENT_64
_LN2 = 0.6931471805599453


@inlined
def is_finite(x):
    """Whether x is a number."""
    return absolute(x) < np.inf


@inlined
def _frame_32(m):
    shift = select(absolute(m) > _LIMIT_32, m, 0.0)
    inside = m - shift
    _, k, _ = reduced(inside)
    return shift, k, inside - _REACH_32, -(floats_to_integers(k) - _TOP_32)


@inlined
def _frame_64(m):
    shift = select(absolute(m) > _LIMIT_64, m, 0.0)
    inside = m - shift
    _, k, _ = reduced(inside)
    return shift, k, inside - _REACH_64, -(floats_to_integers(k) - _TOP_64)


def frame(m):
    """Return (shift, k, least, exponent) for a finite maximum m."""
    raise TypeError("frame runs inside kernels only")


@overload(frame, inline="always")
def _frame(m):
    return (lambda m: _frame_32(m)) if dtype_of(m) == types.float32 else (lambda m: _frame_64(m))


@inlined
def term(x, shift, least, exponent):
    """Return hi + lo = e^(x − shift) · 2^(exponent − bias); 0 where x − shift ≤ least, but NaN for a NaN."""
    x = x - shift
    t, k, r = reduced(x)
    hi, lo = significand(r, small_part(k))
    scale = power(t, exponent)
    nothing = x <= least
    return select(nothing, 0.0, hi * scale), select(nothing, 0.0, lo * scale)


def rounded(hi, lo):
    """Return hi + lo with hi the nearest number, where lo is large enough that its own roundings would be seen."""
    raise TypeError("rounded runs inside kernels only")


@overload(rounded, inline="always")
def _rounded(hi, lo):
    if dtype_of(hi) == types.float32:
        return lambda hi, lo: quick_two_sum(hi, lo)
    return lambda hi, lo: (hi, lo)


@inlined
def scaled_term(x, shift, least, exponent, factor, factor_lo, nothing):
    """Return e^(x − shift) · 2^(exponent − bias) · (factor + factor_lo), rounded once; `nothing` below least."""
    x = x - shift
    t, k, r = reduced(x)
    hi, lo = significand(r, small_part(k))
    hi, lo = rounded(hi, lo)
    y = fma(hi, factor, fma(hi, factor_lo, lo * factor)) * power(t, exponent)
    return select(x > least, y, nothing)


@inlined
def _log_32(x, m, log_s, log_s_lo):
    return convert(np.float32, (convert(np.float64, x) - m) - log_s)


@inlined
def _log_64(x, m, log_s, log_s_lo):
    d, d_lo = two_sum(x, -m)
    s, lost = two_sum(d, -log_s)
    # Where x − m has overflowed or x is −inf, what was lost is NaN and the sum alone is right.
    return select(s > -np.inf, s + (lost + (d_lo - log_s_lo)), s)


def log_probability(x, m, log_s, log_s_lo):
    """Return (x − m) − (log_s + log_s_lo), rounded once: two terms of one sign. m, log_s, log_s_lo: float64."""
    raise TypeError("log_probability runs inside kernels only")


@overload(log_probability, inline="always")
def _log_probability(x, m, log_s, log_s_lo):
    if dtype_of(x) == types.float32:
        return lambda x, m, log_s, log_s_lo: _log_32(x, m, log_s, log_s_lo)
    return lambda x, m, log_s, log_s_lo: _log_64(x, m, log_s, log_s_lo)


@inlined
def _add_32(s, e, hi, lo):
    # In float64 a sum of float32 terms needs no correction: e stays 0.
    return s + (convert(np.float64, hi) + convert(np.float64, lo)), e


@inlined
def _add_64(s, e, hi, lo):
    s, lost = two_sum(s, hi)
    return s, e + (lost + lo)


def add_term(s, e, hi, lo):
    """Add a term to the sum s + e, float64."""
    raise TypeError("add_term runs inside kernels only")


@overload(add_term, inline="always")
def _add_term(s, e, hi, lo):
    if dtype_of(hi) == types.float32:
        return lambda s, e, hi, lo: _add_32(s, e, hi, lo)
    return lambda s, e, hi, lo: _add_64(s, e, hi, lo)


# After so many terms a sum takes up its corrections: they hold the terms' low parts, too large to be added up for long.
SETTLED = 64


def settle(hi, s, e):
    """Return the sum s + e with all of e that s can hold moved into s."""
    raise TypeError("settle runs inside kernels only")


@overload(settle, inline="always")
def _settle(hi, s, e):
    if dtype_of(hi) == types.float32:
        return lambda hi, s, e: (s, e)
    return lambda hi, s, e: quick_two_sum(s, e)


def combine(zero, s, e, other, other_e):
    """Return the sum of two sums; zero tells by its dtype whether they carry corrections."""
    raise TypeError("combine runs inside kernels only")


@overload(combine, inline="always")
def _combine(zero, s, e, other, other_e):
    if dtype_of(zero) == types.float32:
        return lambda zero, s, e, other, other_e: (s + other, e)

    def pair(zero, s, e, other, other_e):
        total, lost = two_sum(s, other)
        return total, (e + other_e) + lost

    return pair


def fold(zero, s, e):
    """Add a sum's lanes, the upper half to the lower half until one is left; return it as two scalars."""
    raise TypeError("fold runs inside kernels only")


@overload(fold)
def _fold(zero, s, e):
    if s.lanes == 1:
        return lambda zero, s, e: (extract(s, 0), extract(e, 0))

    def halve(zero, s, e):
        a, a_e = combine(zero, lower_half(s), lower_half(e), upper_half(s), upper_half(e))
        return fold(zero, a, a_e)

    return halve


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
    """Return e^x · 2^-k as a normalised pair of float64, x and k float64; 0 where it is below 2^-1000."""
    t, own, r = reduced(x)
    hi, lo = significand(r, small_part(own))
    distance = own - k
    near = distance > -1000.0
    p = power(t, 1023 - floats_to_integers(k))
    hi = select(near, hi * p, 0.0)
    lo = select(near, lo * p, 0.0)
    s = hi + lo
    return s, lo - (s - hi)


# A factor is split into a significand times 2^-B, kept in the dtype, and an exponent that goes into the term's power of
# two: no product before the last is subnormal. An exponent above _HIGHEST stays with the significand.
_SPLIT_32, _HIGHEST_32, _BIAS_32 = 64, 60, 127
_SPLIT_64, _HIGHEST_64, _BIAS_64 = 100, 900, 1023


@inlined
def _split(f, f_lo, up, k, bias, split, highest):
    field = ((bits(f) >> 52) & 0x7FF) - 1023
    field = select(field > highest, field * 0 + highest, field)
    down = from_bits(((0 - field) - split + 1023) << 52)
    exponent = (field + (bias + split)) - floats_to_integers(k) - up
    least = integers_to_floats(2 - exponent) * _LN2
    return f * down, f_lo * down, exponent, least


@inlined
def _scaling_32(zero, f, f_lo, up, k):
    return _split(f, f_lo, up, k, _BIAS_32, _SPLIT_32, _HIGHEST_32)


@inlined
def _scaling_64(zero, f, f_lo, up, k):
    return _split(f, f_lo, up, k, _BIAS_64, _SPLIT_64, _HIGHEST_64)


def scaling(zero, f, f_lo, up, k):
    """Return (factor, factor_lo, exponent, least) with which a term becomes e^(x − shift) · 2^-k · (f + f_lo) · 2^-up.

    All float64 and int64, f finite; zero tells the dtype. Logits up to least give 0 exactly.
    """
    raise TypeError("scaling runs inside kernels only")


@overload(scaling, inline="always")
def _scaling(zero, f, f_lo, up, k):
    if dtype_of(zero) == types.float32:
        return lambda zero, f, f_lo, up, k: _scaling_32(zero, f, f_lo, up, k)
    return lambda zero, f, f_lo, up, k: _scaling_64(zero, f, f_lo, up, k)
