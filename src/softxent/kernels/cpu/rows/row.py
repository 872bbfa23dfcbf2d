"""One row with its classes along the lanes: for many classes, contiguous in memory.

Class c belongs to lane c mod LANES, a vector of classes at a time; the last vector is filled up with −inf. A row is
visited three times, for its maximum, its sum and its result, and only the first visit reaches beyond the caches. The
terms of the sum are kept, with the bits beyond the dtype that the result needs, unless they would not fit the caches.

One loop processes three rows, so that memory is read and written all the time while terms are computed: it adds one
row's terms, takes the maximum of a later one, and writes an earlier one's results. The new terms replace those of the
earlier row: each vector of them is used just before it is overwritten.

z, out: pointers; at, to: the row's byte offsets; n: the number of classes.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.arithmetic.scaling import SETTLED, add_term, log_probability, scaled, settle, term
from softxent.kernels.cpu.rows.reductions import largest_lane, sum_of_lanes
from softxent.kernels.cpu.simd.jit import inlined, inner
from softxent.kernels.cpu.simd.lanes import (
    any_lane,
    convert,
    doubled,
    extract,
    insert,
    lane_count,
    lower_half,
    select,
    upper_half,
)
from softxent.kernels.cpu.simd.memory import (
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
    stream_scalar,
)

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

# Memory is prefetched this far ahead: with less than 4 KB some arrives too late.
_FAR_BYTES = 8192


@inlined
def larger(x, m):
    """The larger of x and m; m if x is NaN."""
    return select(x > m, x, m)


@inner
def row_max(z, at, n):
    """The maximum of a row; NaN is ignored, and −inf is returned if nothing else is there."""
    zero = like(z)
    lanes = lane_count(zero)
    step = lanes * item_size(z)
    lowest = zero - np.inf
    # Four maxima, because each comparison waits for the previous one.
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
    """The first class whose logit is value; there must be one."""
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
def _write_kept(results, j, like_those):
    """Write an earlier row's results from class j on, as many as like_those has lanes."""
    kept, kept_lo, out, to, _, factor, factor_lo, unit, streams = results
    place = j * item_size(kept)
    hi, lo = load(kept, place, like_those), load(kept, kept_lo + place, like_those)
    y = scaled(hi, lo, factor, factor_lo, unit)
    if streams:
        stream(out, to + j * item_size(out), y)
    else:
        store(out, to + j * item_size(out), y)


@inlined
def _write_first(out, to, count, y, streams):
    """Write the first count lanes of a row's results, for a row that begins or ends within a cache line.

    Bypass the caches if the other stores do: otherwise the CPU would read the line from memory, and all later stores
    would wait for it. The CPU joins the parts of a line that two rows write.
    """
    if streams and item_size(out) > 2:
        for i in range(count):
            stream_scalar(out, to + i * item_size(out), extract(y, i))
    else:
        store_first(out, to, count, y)


@inlined
def _write_kept_end(results, j, zero):
    """Write an earlier row's last results, from class j on, fewer than a vector."""
    kept, kept_lo, out, to, n, factor, factor_lo, unit, streams = results
    place = j * item_size(kept)
    y = scaled(load(kept, place, zero), load(kept, kept_lo + place, zero), factor, factor_lo, unit)
    _write_first(out, to + j * item_size(out), n - j, y, streams)


@inlined
def _keep(results, j, hi, lo):
    """Keep the terms of the classes from j on, in place of those of an earlier row."""
    kept, kept_lo = results[:2]
    place = j * item_size(kept)
    store(kept, place, hi)
    store(kept, kept_lo + place, lo)


@inlined
def _add_two(s, e, hi, lo):
    s, e = add_term(s, e, lower_half(hi), lower_half(lo))
    return add_term(s, e, upper_half(hi), upper_half(lo))


@inlined
def add_classes(z, at, ahead, looks, first, stop, n, skip, s, e, shift, floor, magic, keeps, results, done):
    """Add the classes from first to stop to s + e. first begins a vector; stop is n or ends a vector.

    ahead: the byte offset of a row that is wanted later. It is prefetched, in step with the classes; if looks is true,
    its maximum is taken too. The other arguments are those of row_sum. Return s, e, a vector of maxima of the row at
    `ahead`, and done. Two vectors are processed at once, operation by operation, because each of an exponential's
    operations waits for the one before.
    """
    zero = like(z)
    two, lowest = doubled(zero), zero - np.inf
    lanes, size = lane_count(zero), item_size(z)
    block = SETTLED * lanes
    m, m_alone = two - np.inf, lowest
    # Whole vectors of the earlier row are written as long as there are any; `done` is never before j.
    writes = keeps and done < results[4]
    whole = results[4] - (done - first) if writes else n
    j = first
    while j < stop:
        limit = min(stop, (j // block + 1) * block)
        end = min(skip // lanes * lanes if j <= skip < limit else limit, whole)
        while j + 2 * lanes <= end:
            if looks:
                prefetch(z, ahead + _FAR_BYTES + j * size)
                prefetch(z, ahead + _FAR_BYTES + (j + lanes) * size)
                m = larger(load(z, ahead + j * size, two), m)
            else:
                prefetch(z, ahead + j * size)
                prefetch(z, ahead + (j + lanes) * size)
            hi, lo = term(load(z, at + j * size, two), shift, floor, magic)
            if writes:
                _write_kept(results, done, two)
                done += 2 * lanes
            if keeps:
                _keep(results, j, hi, lo)
            s, e = _add_two(s, e, hi, lo)
            j += 2 * lanes
        if j < limit:
            # A single vector: it has the skipped class, or has no second one, or is the rest of either row.
            count = min(limit - j, lanes)
            if looks:
                m_alone = larger(load_first(z, ahead + j * size, count, lowest), m_alone)
            else:
                prefetch(z, ahead + j * size)
            x = load_first(z, at + j * size, count, lowest)
            if j <= skip < j + lanes:
                x = insert(x, skip - j, -np.inf)
            hi, lo = term(x, shift, floor, magic)
            if writes:
                if done + lanes <= results[4]:
                    _write_kept(results, done, zero)
                elif done < results[4]:
                    _write_kept_end(results, done, zero)
                done += lanes
            if keeps:
                _keep(results, j, hi, lo)
            s, e = add_term(s, e, hi, lo)
            j += lanes
        if j % block == 0 and j <= n:
            s, e = settle(zero, s, e)
    return s, e, larger(larger(lower_half(m), upper_half(m)), m_alone), done


@inner
def row_sum(z, at, ahead, looks, n, skip, shift, floor, magic, keeps, results, done):
    """Return (s, e, m, done), s + e = Σ_{c≠skip} e^(z_c) in the row's frame. skip: a class, or −1 for none.

    looks: whether the row at `ahead` is read meanwhile, so that memory is not idle while terms are computed; m is then
    its maximum. keeps: whether the terms and their low parts are kept, rounded up to whole vectors. results: as in
    write_kept_row, for an earlier row; if keeps is true, its classes from `done` on are written meanwhile, and this
    row's terms replace its terms.
    """
    zero = like(z)
    s, e, m, done = add_classes(
        z, at, ahead, looks, 0 * n, n, n, skip, convert(np.float64, zero), zero, shift, floor, magic, keeps, results,
        done,
    )  # fmt: skip
    s, e = sum_of_lanes(s, e)
    return s, e, largest_lane(m), done


@inner
def begin_kept_row(results, zero):
    """Write an earlier row's first results, until whole vectors can bypass the caches; return the next class."""
    kept, kept_lo, out, to, n, factor, factor_lo, unit, streams = results
    j = min(misalignment(out, to), n) if streams else 0
    if j > 0:
        y = scaled(load(kept, 0, zero), load(kept, kept_lo, zero), factor, factor_lo, unit)
        _write_first(out, to, j, y, streams)
    return j


@inner
def write_kept_row(results, j, zero):
    """Write a row's results from class j on: the terms that row_sum kept times the row's factor.

    results: (kept, kept_lo, out, to, n, factor, factor_lo, unit, streams): kept: the terms; kept_lo: the distance to
    their low parts in bytes; n: 0 if there is no such row; streams: whether stores to out bypass the caches.
    """
    lanes, n = lane_count(zero), results[4]
    while j + lanes <= n:
        _write_kept(results, j, zero)
        j += lanes
    if j < n:
        _write_kept_end(results, j, zero)


@inlined
def _write_terms(z, at, out, to, j, like_those, shift, floor, magic, factor, factor_lo, unit, streams):
    """Compute a row's terms from class j on again, and write their results, as many as like_those has lanes."""
    place = j * item_size(z)
    hi, lo = term(load(z, at + place, like_those), shift, floor, magic)
    y = scaled(hi, lo, factor, factor_lo, unit)
    if streams:
        stream(out, to + place, y)
    else:
        store(out, to + place, y)


@inner
def write_row(z, at, out, to, n, shift, floor, magic, factor, factor_lo, unit, streams):
    """Write the results of a row that is too long to keep its terms: they are computed again."""
    zero = like(z)
    lanes, size = lane_count(zero), item_size(z)
    j = min(misalignment(out, to), n) if streams else 0
    if j > 0:
        hi, lo = term(load_first(z, at, j, zero), shift, floor, magic)
        _write_first(out, to, j, scaled(hi, lo, factor, factor_lo, unit), streams)
    while j + 2 * lanes <= n:
        _write_terms(z, at, out, to, j, doubled(zero), shift, floor, magic, factor, factor_lo, unit, streams)
        j += 2 * lanes
    if j + lanes <= n:
        _write_terms(z, at, out, to, j, zero, shift, floor, magic, factor, factor_lo, unit, streams)
        j += lanes
    if j < n:
        hi, lo = term(load_first(z, at + j * size, n - j, zero), shift, floor, magic)
        _write_first(out, to + j * size, n - j, scaled(hi, lo, factor, factor_lo, unit), streams)


@inner
def write_log_row(z, at, out, to, n, m, log_s, log_s_lo, streams):
    """out_c = (z_c − m) − (log_s + log_s_lo)."""
    zero = like(z)
    lanes = lane_count(zero)
    size = item_size(z)
    j = min(misalignment(out, to), n) if streams else 0
    if j > 0:
        _write_first(out, to, j, log_probability(load_first(z, at, j, zero), m, log_s, log_s_lo), streams)
    while j + lanes <= n:
        x = load(z, at + j * size, zero)
        y = log_probability(x, m, log_s, log_s_lo)
        if streams:
            stream(out, to + j * size, y)
        else:
            store(out, to + j * size, y)
        j += lanes
    if j < n:
        place = j * size
        y = log_probability(load_first(z, at + place, n - j, zero), m, log_s, log_s_lo)
        _write_first(out, to + place, n - j, y, streams)


@inner
def fill_row(out, to, n, value):
    """out_c = value."""
    for j in range(n):
        store_scalar(out, to + j * item_size(out), value)
