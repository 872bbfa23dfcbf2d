"""One row with its classes along the lanes: for many classes, contiguous in memory.

Class c belongs to lane c mod LANES, a vector of classes at a time; what is left at the end is a vector filled up with
−inf. A row is visited three times, of which only the first reaches beyond the second-level cache: maximum, sum, result.
The terms of the sum are kept, with the bits beyond the dtype that the result needs, if they fit that cache too.

z, out: pointers; at, to: the row's byte offsets; n: how many classes.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.frames import SETTLED, add_term, log_probability, scaled, settle, term
from softxent.kernels.cpu.jit import inlined, inner
from softxent.kernels.cpu.lanes import (
    any_lane,
    convert,
    doubled,
    insert,
    lane_count,
    lower_half,
    select,
    upper_half,
)
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
from softxent.kernels.cpu.turned import largest_lane, sum_of_lanes

__all__ = [
    "add_classes",
    "begin_kept_row",
    "fill_row",
    "row_find",
    "row_max",
    "row_sum",
    "write_kept_row",
    "write_log_row",
    "write_row",
]

# The row that comes next is asked for while a row is summed up to this size, and while its result is written beyond.
_FORESEEN_BYTES = 1 << 18


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


@inlined
def _keep(kept, kept_lo, j, hi, lo):
    """Keep the terms of the classes from j on."""
    place = j * item_size(kept)
    store(kept, place, hi)
    store(kept, kept_lo + place, lo)


@inlined
def _write_kept(results, j, like_those):
    """Write as many of an earlier row's results as like_those has lanes, from class j on."""
    kept, kept_lo, out, to, _, factor, factor_lo, unit, streams = results
    place = j * item_size(kept)
    hi, lo = load(kept, place, like_those), load(kept, kept_lo + place, like_those)
    y = scaled(hi, lo, factor, factor_lo, unit)
    if streams:
        stream(out, to + j * item_size(out), y)
    else:
        store(out, to + j * item_size(out), y)


@inlined
def _add_two(s, e, hi, lo):
    s, e = add_term(s, e, lower_half(hi), lower_half(lo))
    return add_term(s, e, upper_half(hi), upper_half(lo))


@inlined
def add_classes(
    z, at, ahead, first, stop, n, skip, s, e, shift, floor, magic, keeps, kept, kept_lo, results, done
):  # fmt: skip
    """Add to s + e the classes from first, where a vector begins, to stop, n or where another ends; return as row_sum.

    z …: as row_sum has them; ahead: what is wanted soon, as many bytes from there on as the class is from `at`.
    Two vectors at a time, operation by operation: each of an exponential's operations waits for the one before.
    """
    zero = like(z)
    two = doubled(zero)
    lanes, size = lane_count(zero), item_size(z)
    block = SETTLED * lanes
    j = first
    while j < stop:
        limit = min(stop, (j // block + 1) * block)
        end = skip // lanes * lanes if j <= skip < limit else limit
        writes = keeps and done + end - j <= results[4]
        while j + 2 * lanes <= end:
            prefetch(z, ahead + j * size)
            prefetch(z, ahead + (j + lanes) * size)
            hi, lo = term(load(z, at + j * size, two), shift, floor, magic)
            if keeps:
                _keep(kept, kept_lo, j, hi, lo)
            s, e = _add_two(s, e, hi, lo)
            if writes:
                _write_kept(results, done, two)
                done += 2 * lanes
            j += 2 * lanes
        if j < limit:
            # One that needs care: the skipped class's, one without another, or what is left of the row.
            prefetch(z, ahead + j * size)
            x = load_first(z, at + j * size, min(limit - j, lanes), zero - np.inf)
            if j <= skip < j + lanes:
                x = insert(x, skip - j, -np.inf)
            hi, lo = term(x, shift, floor, magic)
            if keeps:
                _keep(kept, kept_lo, j, hi, lo)
            s, e = add_term(s, e, hi, lo)
            j += lanes
        if j % block == 0 and j <= n:
            s, e = settle(zero, s, e)
    return s, e, done


@inner
def row_sum(z, at, ahead, n, skip, shift, floor, magic, keeps, kept, kept_lo, results, done):
    """Return (s, e, done), s + e = Σ_{c≠skip} e^(z_c) in the row's frame. skip: a class, or −1 for none.

    ahead: the byte offset of a row of z that is wanted soon: while terms are computed memory has nothing else to do.
    kept: where the terms are written if keeps is true, rounded up to whole vectors, and kept_lo bytes behind them their
    low parts. results: as write_kept_row has it, an earlier row's, whose classes from `done` on are written on the way,
    where there are whole vectors of them.
    """
    zero = like(z)
    # A longer row would push out of the cache what is still wanted of this one.
    soon = ahead if n * item_size(z) <= _FORESEEN_BYTES else at
    s, e, done = add_classes(
        z, at, soon, 0 * n, n, n, skip, convert(np.float64, zero), zero, shift, floor, magic, keeps, kept, kept_lo,
        results, done,
    )  # fmt: skip
    s, e = sum_of_lanes(s, e)
    return s, e, done


@inner
def begin_kept_row(results, zero):
    """Write an earlier row's results up to where whole vectors can go past the caches; return the class after them."""
    kept, kept_lo, out, to, n, factor, factor_lo, unit, streams = results
    j = min(misalignment(out, to), n) if streams else 0
    if j > 0:
        y = scaled(load(kept, 0, zero), load(kept, kept_lo, zero), factor, factor_lo, unit)
        store_first(out, to, j, y)
    return j


@inner
def write_kept_row(results, j, zero):
    """Write a row's results from class j on: the terms that row_sum kept times the row's factor.

    results: (kept, kept_lo, out, to, n, factor, factor_lo, unit, streams), streams whether out goes past the caches; n
    is 0 where there is no such row.
    """
    kept, kept_lo, out, to, n, factor, factor_lo, unit, _ = results
    lanes = lane_count(zero)
    while j + lanes <= n:
        _write_kept(results, j, zero)
        j += lanes
    if j < n:
        place = j * item_size(kept)
        y = scaled(load(kept, place, zero), load(kept, kept_lo + place, zero), factor, factor_lo, unit)
        store_first(out, to + j * item_size(out), n - j, y)


@inlined
def _write_terms(z, at, out, to, j, like_those, shift, floor, magic, factor, factor_lo, unit, streams):
    """Write as many of a row's results as like_those has lanes, from class j on, their terms computed again."""
    place = j * item_size(z)
    hi, lo = term(load(z, at + place, like_those), shift, floor, magic)
    y = scaled(hi, lo, factor, factor_lo, unit)
    if streams:
        stream(out, to + place, y)
    else:
        store(out, to + place, y)


@inner
def write_row(z, at, out, to, n, shift, floor, magic, factor, factor_lo, unit, streams):
    """As write_kept_row, for a row too long to keep its terms: computed again."""
    zero = like(z)
    lanes, size = lane_count(zero), item_size(z)
    j = min(misalignment(out, to), n) if streams else 0
    if j > 0:
        hi, lo = term(load_first(z, at, j, zero), shift, floor, magic)
        store_first(out, to, j, scaled(hi, lo, factor, factor_lo, unit))
    while j + 2 * lanes <= n:
        _write_terms(z, at, out, to, j, doubled(zero), shift, floor, magic, factor, factor_lo, unit, streams)
        j += 2 * lanes
    if j + lanes <= n:
        _write_terms(z, at, out, to, j, zero, shift, floor, magic, factor, factor_lo, unit, streams)
        j += lanes
    if j < n:
        hi, lo = term(load_first(z, at + j * size, n - j, zero), shift, floor, magic)
        store_first(out, to + j * size, n - j, scaled(hi, lo, factor, factor_lo, unit))


@inner
def write_log_row(z, at, out, to, n, m, log_s, log_s_lo, ahead, streams):
    """out_c = (z_c − m) − (log_s + log_s_lo)."""
    zero = like(z)
    lanes = lane_count(zero)
    size = item_size(z)
    foresees = n * size > _FORESEEN_BYTES
    j = min(misalignment(out, to), n) if streams else 0
    if j > 0:
        store_first(out, to, j, log_probability(load_first(z, at, j, zero), m, log_s, log_s_lo))
    while j + lanes <= n:
        x = load(z, at + j * size, zero)
        if foresees:
            prefetch(z, ahead + j * size)
        y = log_probability(x, m, log_s, log_s_lo)
        if streams:
            stream(out, to + j * size, y)
        else:
            store(out, to + j * size, y)
        j += lanes
    if j < n:
        place = j * size
        store_first(out, to + place, n - j, log_probability(load_first(z, at + place, n - j, zero), m, log_s, log_s_lo))


@inner
def fill_row(out, to, n, value):
    """out_c = value."""
    for j in range(n):
        store_scalar(out, to + j * item_size(out), value)
