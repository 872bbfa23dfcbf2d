"""Sums in a fixed order without loss: blocks of BLOCK terms, each folded pairwise, with every rounding error kept.

A block's terms are in `high`, their own rounding errors in `low`. Folding adds the upper half to the lower half,
element by element, until a few are left. Each step is a loop without a reduction, which the compiler vectorises without
changing the order, so every bit of the result is the same on every CPU. The sum of n terms has an error of one
rounding, plus about (n · 2^-53)² relative to the sum of their magnitudes.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.simd.floats import quick_two_sum, two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["BLOCK", "accumulate", "finish", "fold", "fold_others", "fold_plain", "sum_vector"]

# Long enough to hide the overhead of the loops, short enough that the buffers stay in the first-level cache.
BLOCK = 512


@kernel
def fold(high, low, n):
    """Return (s, e) with s + e = Σ_{i<n} (high_i + low_i); the buffers are overwritten.

    high, low: (BLOCK,) float64, n ≤ BLOCK. If a term is infinite or NaN, so is s, and e is meaningless.
    """
    width = n
    while width > 4:
        half = width // 2
        a, b = high[:half], high[half : 2 * half]
        c, d = low[:half], low[half : 2 * half]
        for i in range(a.size):
            x = a[i]
            y = b[i]
            s = x + y
            v = s - x
            a[i] = s
            c[i] = (c[i] + d[i]) + ((x - (s - v)) + (y - v))
        if width % 2 == 1:
            s, e = two_sum(high[0], high[width - 1])
            high[0] = s
            low[0] += low[width - 1] + e
        width = half
    s = 0.0
    e = 0.0
    for i in range(width):
        s, lost = two_sum(s, high[i])
        e += low[i] + lost
    return s, e


@kernel
def fold_plain(high, n):
    """Return Σ_{i<n} high_i in fold's order, with its roundings. high: (BLOCK,) float64, overwritten."""
    s = 0.0
    while n > 4:
        if n % 2 == 1:
            s += high[n - 1]
        n = n // 2
        c, d = high[:n], high[n : 2 * n]
        for i in range(c.size):
            c[i] = c[i] + d[i]
    for i in range(n):
        s += high[i]
    return s


def fold_others(terms, terms_lo, skip, high, low):
    """Return Σ_{i≠skip} (terms_i + terms_lo_i) of a block as a pair. terms, terms_lo: (n,); skip may lie outside."""
    raise TypeError("fold_others runs inside kernels only")


@overload(fold_others)
def _fold_others(terms, terms_lo, skip, high, low):
    def single(terms, terms_lo, skip, high, low):
        # A float64 sum of a block of float32 terms has a relative error of 2^-49 without any correction.
        n = terms.size
        for i in range(n):
            high[i] = np.float64(terms[i]) + np.float64(terms_lo[i])
        if 0 <= skip < n:
            high[skip] = 0.0
        return fold_plain(high, n), 0.0

    def double(terms, terms_lo, skip, high, low):
        n = terms.size
        for i in range(n):
            high[i] = terms[i]
            low[i] = terms_lo[i]
        if 0 <= skip < n:
            high[skip] = 0.0
            low[skip] = 0.0
        return fold(high, low, n)

    return single if terms.dtype == types.float32 else double


@kernel
def accumulate(s, e, block_s, block_e):
    """Add a block's sum to the running sum (s, e)."""
    s, lost = two_sum(s, block_s)
    return s, e + (block_e + lost)


@kernel
def finish(s, e):
    """Return the pair (s, e) normalised; (s, 0) if s is infinite or NaN."""
    if not math.isfinite(s):
        return s, 0.0
    return quick_two_sum(s, e)


@kernel
def sum_vector(x):
    """Return Σ x_i as a normalised pair, in a fixed order. x: (n,) float64."""
    high = np.empty(BLOCK)
    low = np.empty(BLOCK)
    s = 0.0
    e = 0.0
    for start in range(0, x.size, BLOCK):
        part = x[start : start + BLOCK]
        for i in range(part.size):
            high[i] = part[i]
            low[i] = 0.0
        block_s, block_e = fold(high, low, part.size)
        s, e = accumulate(s, e, block_s, block_e)
    return finish(s, e)
