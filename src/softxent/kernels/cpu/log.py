"""log(1 + r) and log s of a row's sum: by the C library, and in float64 with what its rounding lost.

The logarithm L₀ that the library gives is right to an ulp. One Newton step in double-double finds the rest:

    L = L₀ + (s − e^L₀)/s

Once a row, so it may cost a hundred nanoseconds. A float32 row has its logarithm in float64, which is more than enough.
"""

from __future__ import annotations

import math

from numba import types
from numba.extending import overload

from softxent.kernels.cpu.double_double import dd_exp, dd_expm1

__all__ = ["log1p_pair", "log_pair"]


def log1p_pair(z, r, r_lo):
    """log(1 + r + r_lo), r ≥ 0, as a pair; z tells by its dtype whether the low part is wanted."""
    raise TypeError("log1p_pair runs inside kernels only")


@overload(log1p_pair)
def _log1p_pair(z, r, r_lo):
    def single(z, r, r_lo):
        return math.log1p(r), 0.0

    def double(z, r, r_lo):
        log = math.log1p(r)
        e, e_lo = dd_expm1(log, 0.0)
        return log, ((r - e) + (r_lo - e_lo)) / (1.0 + r)

    return single if z.dtype == types.float32 else double


def log_pair(z, s, s_lo):
    """log(s + s_lo), s ≥ 1, as a pair."""
    raise TypeError("log_pair runs inside kernels only")


@overload(log_pair)
def _log_pair(z, s, s_lo):
    def single(z, s, s_lo):
        return math.log(s), 0.0

    def double(z, s, s_lo):
        log = math.log(s)
        e, e_lo = dd_exp(log, 0.0, 0)
        return log, ((s - e) + (s_lo - e_lo)) / s

    return single if z.dtype == types.float32 else double
