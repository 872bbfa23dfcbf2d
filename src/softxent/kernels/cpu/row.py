"""One row with its classes along the lanes: for many classes, contiguous in memory.

Class c belongs to lane c mod LANES, a vector of classes at a time; what is left at the end is a vector filled up with
−inf. A row is visited three times, of which only the first reaches beyond the second-level cache: maximum, sum, result.
The exponentials are computed twice, in the sum and in the result: that costs less than to write them down and read them
again, with the bits beyond the dtype that the result needs.

z, out: pointers; at, to: the row's byte offsets; n: how many classes.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.frames import SETTLED, add_term, fold, log_probability, scaled_term, settle, term
from softxent.kernels.cpu.jit import inlined, inner
from softxent.kernels.cpu.lanes import any_lane, convert, insert, lane_count, largest_lane, select
from softxent.kernels.cpu.memory import (
    item_size,
    like,
    load,
    load_first,
    load_scalar,
    misalignment,
    prefetch,
    store,
    store_first,
    store_scalar,
    stream,
)

__all__ = ["fill_row", "row_find", "row_max", "row_sum", "write_log_row", "write_row"]


@inlined
def larger(x, m):
    """The larger of x and m; m where x is NaN."""
    return select(x > m, x, m)


@inner
def row_max(z, at, n):
    """The maximum of a row's numbers, −inf where there is none: NaN is not looked at."""
    zero = like(z)
    lanes = lane_count(zero)
    step = lanes * item_size(z)
    lowest = zero - np.inf
    # Four maxima, because each waits for its last comparison.
    a, b, c, d = lowest, lowest, lowest, lowest
    full = n // lanes
    v = 0
    while v + 4 <= full:
        place = at + v * step
        a = larger(load(z, place, zero), a)
        b = larger(load(z, place + step, zero), b)
        c = larger(load(z, place + 2 * step, zero), c)
        d = larger(load(z, place + 3 * step, zero), d)
        v += 4
    while v < full:
        a = larger(load(z, at + v * step, zero), a)
        v += 1
    if n > full * lanes:
        b = larger(load_first(z, at + full * step, n - full * lanes, lowest), b)
    return largest_lane(larger(larger(a, b), larger(c, d)))


@inner
def row_find(z, at, n, value):
    """The first class whose logit is value, which is one of them."""
    zero = like(z)
    lanes = lane_count(zero)
    step = lanes * item_size(z)
    full = n // lanes
    for v in range(full):
        if any_lane(load(z, at + v * step, zero) == value):
            for j in range(v * lanes, (v + 1) * lanes):
                if load_scalar(z, at + j * item_size(z)) == value:
                    return j
    for j in range(full * lanes, n):
        if load_scalar(z, at + j * item_size(z)) == value:
            return j
    return 0


@inner
def row_sum(z, at, n, skip, shift, least, exponent):
    """Return (s, e), s + e = Σ_{c≠skip} e^(z_c) in the row's frame. skip: a class, or −1 for none."""
    zero = like(z)
    lanes = lane_count(zero)
    step = lanes * item_size(z)
    lowest = zero - np.inf
    s = convert(np.float64, zero)
    e = s
    full = n // lanes
    v = 0
    for part in range(2):
        # The vector that needs care: the skipped class's, then the last. Between them, all others.
        special = skip // lanes if part == 0 and skip >= 0 else full
        while v < special:
            hi, lo = term(load(z, at + v * step, zero), shift, least, exponent)
            s, e = add_term(s, e, hi, lo)
            v += 1
            if v % SETTLED == 0:
                s, e = settle(zero, s, e)
        count = min(n - v * lanes, lanes)
        if v == special and count > 0:
            x = load_first(z, at + v * step, count, lowest)
            if part == 0 and skip >= 0:
                x = insert(x, skip - v * lanes, -np.inf)
            hi, lo = term(x, shift, least, exponent)
            s, e = add_term(s, e, hi, lo)
            v += 1
            if v % SETTLED == 0 and v <= full:
                s, e = settle(zero, s, e)
    return fold(zero, s, e)


@inner
def _write_part(z, at, out, to, count, shift, least, exponent, factor, factor_lo, nothing):
    """As write_row, for fewer classes than there are lanes."""
    x = load_first(z, at, count, like(z))
    store_first(out, to, count, scaled_term(x, shift, least, exponent, factor, factor_lo, nothing))


@inner
def write_row(z, at, out, to, n, shift, least, exponent, factor, factor_lo, nothing, ahead, streams):
    """out_c = e^(z_c) times the row's factor, and `nothing` where z_c − shift ≤ least.

    ahead: the byte offset of a row that is wanted soon; streams: whether out goes past the caches.
    """
    zero = like(z)
    lanes = lane_count(zero)
    size = item_size(z)
    step = lanes * size
    j = 0
    if streams:
        j = min(misalignment(out, to), n)
        if j > 0:
            _write_part(z, at, out, to, j, shift, least, exponent, factor, factor_lo, nothing)
        while j + lanes <= n:
            x = load(z, at + j * size, zero)
            prefetch(z, ahead + j * size)
            y = scaled_term(x, shift, least, exponent, factor, factor_lo, nothing)
            stream(out, to + j * size, y)
            j += lanes
    else:
        while j + lanes <= n:
            x = load(z, at + j * size, zero)
            prefetch(z, ahead + j * size)
            y = scaled_term(x, shift, least, exponent, factor, factor_lo, nothing)
            store(out, to + j * size, y)
            j += lanes
    if j < n:
        place = j * size
        _write_part(z, at + place, out, to + place, n - j, shift, least, exponent, factor, factor_lo, nothing)


@inner
def write_log_row(z, at, out, to, n, m, log_s, log_s_lo, ahead, streams):
    """out_c = (z_c − m) − (log_s + log_s_lo)."""
    zero = like(z)
    lanes = lane_count(zero)
    size = item_size(z)
    j = min(misalignment(out, to), n) if streams else 0
    if j > 0:
        store_first(out, to, j, log_probability(load_first(z, at, j, zero), m, log_s, log_s_lo))
    while j + lanes <= n:
        x = load(z, at + j * size, zero)
        prefetch(z, ahead + j * size)
        y = log_probability(x, m, log_s, log_s_lo)
        if streams:
            stream(out, to + j * size, y)
        else:
            store(out, to + j * size, y)
        j += lanes
    if j < n:
        place = j * size
        store_first(
            out, to + place, n - j, log_probability(load_first(z, at + place, n - j, zero), m, log_s, log_s_lo)
        )


@inner
def fill_row(out, to, n, value):
    """out_c = value."""
    for j in range(n):
        store_scalar(out, to + j * item_size(out), value)
