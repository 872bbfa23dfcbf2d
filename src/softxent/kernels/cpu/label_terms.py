"""From a group's sums to its losses, the gradients at the labels, and the factors for all other classes.

It computes in vectors of float64 (terms of float32 logits: of float32), one row per lane. For float64 logits, sums,
exponentials, logarithms and quotients are pairs (hi, lo).

The formulas are those of cross_entropy; the code's scale, rest, s and divisor are their s, R, S and D. In their letters
push = s A and pull = s w; down = w R and up = 2 λ lse e_y, each times s / (S D), and times 2^_UP if |push| < 1.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.arithmetic.exponentials import quotient
from softxent.kernels.cpu.arithmetic.log import log1p_pair, log1p_single
from softxent.kernels.cpu.arithmetic.scaling import exp_in_frame, is_finite, term, unscaled
from softxent.kernels.cpu.rows.accumulators import (
    ARGUMENT,
    FLOOR,
    IGNORED,
    MAGIC,
    MAXIMUM,
    SHIFT,
    SKIP,
    SKIPPED,
    SKIPPED_RESULT,
    SUM,
    SUM_LO,
    K,
    read,
    write,
)
from softxent.kernels.cpu.rows.groups import (
    note_plain_scaling,
    note_scaling,
)
from softxent.kernels.cpu.simd.floats import absolute, fma, quick_two_sum, two_sum
from softxent.kernels.cpu.simd.jit import inlined, inner, never_inlined
from softxent.kernels.cpu.simd.lanes import convert, integer_splat, narrow, select
from softxent.kernels.cpu.simd.vector import dtype_of

__all__ = ["LOSS", "SCALE", "WEIGHT", "finish"]

# The lines of a book for this loss.
WEIGHT, SCALE, LOSS = (ARGUMENT + k for k in range(3))
# A numerator below 1 is multiplied by 2^_UP, so that its quotient is a normal number.
_UP = 200


@inlined
def _times(t, x):
    """t·x with 0·∞ = 0: a weight of 0 adds 0."""
    return select(t == 0.0, 0.0, t * x)


@inlined
def _finish_double(zero, book, plain, z_loss, divisor, want_grad):
    wide = convert(np.float64, zero)
    m, z_y, k, shift = (
        read(book, MAXIMUM, zero),
        read(book, SKIPPED, zero),
        read(book, K, zero),
        read(book, SHIFT, zero),
    )
    rest, rest_lo = read(book, SUM, wide), read(book, SUM_LO, wide)
    weight, scale = read(book, WEIGHT, wide), read(book, SCALE, wide)
    ignored = read(book, SKIP, integer_splat(zero, 0)) == integer_splat(zero, IGNORED)

    e_m, e_m_lo = exp_in_frame(m - shift, k)
    e_y, e_y_lo = exp_in_frame(z_y - shift, k)
    s, s_lo = two_sum(rest, e_y)
    s, s_lo = quick_two_sum(s, s_lo + (rest_lo + e_y_lo))
    bad = ~(is_finite(s) & is_finite(m) & (z_y <= m))
    others, others_lo = two_sum(s, -e_m)
    others, others_lo = quick_two_sum(others, others_lo + (s_lo - e_m_lo))
    largest = z_y == m
    others = select(largest, rest, others)
    others_lo = select(largest, rest_lo, others_lo)
    x = others / e_m
    x_lo = (fma(-x, e_m, others) + (others_lo - x * e_m_lo)) / e_m
    log, log_lo = log1p_pair(x, x_lo)

    d, d_lo = two_sum(m, -z_y)
    loss, lost = two_sum(d, log)
    loss = select(loss < np.inf, loss + (lost + (d_lo + log_lo)), loss)
    lse = m + log
    loss = (_times(weight, loss) + _times(wide + z_loss, lse * lse)) * scale
    loss = select(bad, np.nan, loss)
    write(book, LOSS, select(ignored, 0.0, loss))
    if not want_grad:
        return

    extra = _times(wide + 2.0 * z_loss, lse)
    push, pull = (weight + extra) * scale, weight * scale
    lifted = absolute(push) < 1.0
    lift = select(lifted, 2.0**_UP, wide + 1.0)
    f, f_lo = quotient(push * lift, divisor, s, s_lo)
    g, g_lo = quotient(pull * lift, divisor, s, s_lo)
    down = fma(rest, g, fma(rest, g_lo, rest_lo * g))
    # Without z-loss, up is 0. Do not shorten 0 − down to −down: for a single class that would be −0.
    up = _times(extra * scale * lift, e_y / (divisor * s))
    at_label = (up - down) * select(lifted, 2.0**-_UP, wide + 1.0)
    bad = bad | ~is_finite(f)
    write(book, SKIPPED_RESULT, narrow(zero, select(bad, np.nan, at_label)))
    zeros = convert(np.int64, wide)
    note_scaling(zero, book, f, f_lo, select(lifted, zeros + _UP, zeros), bad)


@inlined
def _finish_single(zero, book, plain, z_loss, divisor, want_grad):
    # float64 without corrections: the errors of the exponentials, 2^-29, are below the precision of float32.
    wide = convert(np.float64, zero)
    m, z_y = convert(np.float64, read(book, MAXIMUM, zero)), convert(np.float64, read(book, SKIPPED, zero))
    rest = read(book, SUM, wide) + read(book, SUM_LO, wide)
    weight, scale = read(book, WEIGHT, wide), read(book, SCALE, wide)
    ignored = read(book, SKIP, integer_splat(zero, 0)) == integer_splat(zero, IGNORED)

    shift, floor, magic = read(book, SHIFT, zero), read(book, FLOOR, zero), read(book, MAGIC, zero)
    hi, lo = term(read(book, MAXIMUM, zero), shift, floor, magic)
    e_m = unscaled(zero, convert(np.float64, hi) + convert(np.float64, lo))
    hi, lo = term(read(book, SKIPPED, zero), shift, floor, magic)
    e_y = unscaled(zero, convert(np.float64, hi) + convert(np.float64, lo))
    s = rest + e_y
    bad = ~(is_finite(s) & is_finite(m) & (z_y <= m))
    log = log1p_single(select(z_y == m, rest, s - e_m) / e_m)

    loss = (m - z_y) + log
    lse = m + log
    if not plain:
        loss = (_times(weight, loss) + _times(wide + z_loss, lse * lse)) * scale
    loss = select(bad, np.nan, loss)
    write(book, LOSS, select(ignored, 0.0, loss))
    if not want_grad:
        return

    inverse = 1.0 / (divisor * s)
    if plain:
        # With weights and scales of 1 and no z-loss, the formulas below become this.
        bad = bad | ~is_finite(inverse)
        write(book, SKIPPED_RESULT, narrow(zero, select(bad, np.nan, 0.0 - rest * inverse)))
        note_plain_scaling(zero, book, inverse, wide, bad)
        return
    zeros = convert(np.int64, wide)
    extra = _times(wide + 2.0 * z_loss, lse)
    push, pull = (weight + extra) * scale, weight * scale
    lifted = absolute(push) < 1.0
    lift = select(lifted, 2.0**_UP, wide + 1.0)
    f = push * lift * inverse
    # up − down. Without z-loss, up is 0. Do not shorten 0 − down to −down: for a single class that would be −0.
    at_label = (_times(extra * scale * lift, e_y * inverse) - rest * (pull * lift * inverse)) * select(
        lifted, 2.0**-_UP, wide + 1.0
    )
    bad = bad | ~is_finite(f)
    write(book, SKIPPED_RESULT, narrow(zero, select(bad, np.nan, at_label)))
    note_scaling(zero, book, f, wide, select(lifted, zeros + _UP, zeros), bad)


def _finish(zero, book, plain, z_loss, divisor, want_grad):
    raise TypeError("finish runs inside kernels only")


@overload(_finish, inline="always")
def _finish_for(zero, book, plain, z_loss, divisor, want_grad):
    if dtype_of(zero) == types.float32:
        return lambda zero, book, plain, z_loss, divisor, want_grad: _finish_single(
            zero, book, plain, z_loss, divisor, want_grad
        )
    return lambda zero, book, plain, z_loss, divisor, want_grad: _finish_double(
        zero, book, plain, z_loss, divisor, want_grad
    )


@inner
def finish(zero, book, plain, z_loss, divisor, want_grad):
    """Compute a group's losses from its sums and, if wanted, the factors and the gradients at the labels.

    plain: whether all weights and scales are 1, and z_loss is 0.
    """
    never_inlined()
    _finish(zero, book, plain, z_loss, divisor, want_grad)
