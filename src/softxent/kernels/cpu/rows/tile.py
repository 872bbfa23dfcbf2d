"""Rows along the lanes: for a class axis that is not the last one in memory, and for very few classes.

A tile holds some rows (images' positions), class by class: element (class c, row l) is at byte
(c · stride + l) · itemsize. Rows that are side by side in memory, as positions are, are copied a vector at a time; rows
of contiguous classes are transposed in registers (rows.transpose); others are copied an element at a time. Then every
operation takes a vector of rows, and the result replaces the logits and is copied back.

The sum of a row has the same order as in rows.row: LANES partial sums, class c in number c mod LANES, folded in the
same way. So a row has the same bits in every memory layout.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.arithmetic.scaling import SETTLED, add_term, combine, log_probability, scaled, settle, term
from softxent.kernels.cpu.rows.transpose import square_to_rows, square_to_rows_in_part, square_to_tile
from softxent.kernels.cpu.simd.jit import inlined, inner
from softxent.kernels.cpu.simd.lanes import convert, integer_splat, lane_count, select, size_in_memory
from softxent.kernels.cpu.simd.memory import (
    advanced,
    copy_element,
    copy_vector,
    item_size,
    like,
    load,
    prefetch,
    retyped,
    store,
)

__all__ = [
    "foresee",
    "pack",
    "row_offset",
    "tile_find",
    "tile_max",
    "tile_sum",
    "unpack",
    "write_log_tile",
    "write_tile",
]


@inlined
def row_offset(row, inner, outer_stride, inner_stride):
    """The byte offset of a row's first class."""
    if inner == 1:  # saves two divisions
        return row * outer_stride
    return (row // inner) * outer_stride + (row % inner) * inner_stride


@inner
def pack(z, zo, zc, zi, inner, n, first, count, tile, stride):
    """Copy rows first … first + count to the tile's first lanes. zo, zc, zi: byte strides of (outer, class, inner)."""
    size = item_size(z)
    lanes = lane_count(like(z))
    lane = 0
    while lane < count:
        row = first + lane
        at = row_offset(row, inner, zo, zi)
        if inner == 1 and zc == size:
            # The rows' classes are contiguous.
            rows = min(lanes, count - lane)
            for start in range(0, n, lanes):
                c = max(min(start, n - lanes), 0)
                to = (c * stride + lane) * size
                square_to_tile(z, at + c * size, zo, rows, min(lanes, n), tile, to, stride * size)
            lane += lanes
            continue
        side_by_side = min(inner - row % inner, count - lane) if zi == size else 1
        whole = side_by_side // lanes * lanes
        for c in range(n if whole > 0 else 0):
            for k in range(0, whole, lanes):
                copy_vector(tile, (c * stride + lane + k) * size, z, at + c * zc + k * size)
        for k in range(whole, side_by_side):
            for c in range(n):
                copy_element(tile, (c * stride + lane + k) * size, z, at + c * zc + k * size)
        lane += side_by_side


@inner
def unpack(tile, stride, out, oo, oc, oi, inner, n, first, count):
    """Copy the tile's first lanes to rows first … first + count of out."""
    size = item_size(out)
    lanes = lane_count(like(out))
    lane = 0
    while lane < count:
        row = first + lane
        to = row_offset(row, inner, oo, oi)
        if inner == 1 and oc == size:
            rows = min(lanes, count - lane)
            # A whole vector may write beyond a row of few classes if there are enough later rows to overwrite that.
            spills_into_rows = oo == n * size and (count - lane - lanes + 1) * n >= lanes
            whole = rows == lanes and (n >= lanes or spills_into_rows)
            for start in range(0, n, lanes):
                c = max(min(start, n - lanes), 0)
                place = (c * stride + lane) * size
                if whole:
                    square_to_rows(tile, place, stride * size, out, to + c * size, oo)
                else:
                    square_to_rows_in_part(tile, place, stride * size, out, to + c * size, oo, rows, min(lanes, n))
            lane += lanes
            continue
        side_by_side = min(inner - row % inner, count - lane) if oi == size else 1
        whole = side_by_side // lanes * lanes
        for c in range(n if whole > 0 else 0):
            for k in range(0, whole, lanes):
                copy_vector(out, to + c * oc + k * size, tile, (c * stride + lane + k) * size)
        for k in range(whole, side_by_side):
            for c in range(n):
                copy_element(out, to + c * oc + k * size, tile, (c * stride + lane + k) * size)
        lane += side_by_side


@inner
def foresee(z, zo, zc, zi, inner, n, row, count):
    """Prefetch the cache lines of count rows from row on, at most LANES, in the order in which pack will read them."""
    size = item_size(z)
    at = row_offset(row, inner, zo, zi)
    if inner == 1 and zc == size:
        for byte in range(0, count * zo, 64):
            prefetch(z, at + byte)
    elif zi == size:
        for c in range(n):
            prefetch(z, at + c * zc)


@inner
def tile_max(tile, at, n, stride):
    """The maxima of a vector of rows, without NaN; −inf if there is no number. at: the offset of the first lane."""
    zero = like(tile)
    m = zero - np.inf
    step = stride * item_size(tile)
    for c in range(n):
        x = load(tile, at + c * step, zero)
        m = select(x > m, x, m)
    return m


@inner
def tile_find(tile, at, n, stride, value):
    """The first class of each row whose logit equals value's lane, as integers of the dtype's width; −1 for none."""
    zero = like(tile)
    step = stride * item_size(tile)
    found = integer_splat(zero, -1)
    for c in range(n - 1, -1, -1):
        found = select(load(tile, at + c * step, zero) == value, integer_splat(zero, c), found)
    return found


@inlined
def _kept_term(x, c, shift, floor, magic, keeps, kept, kept_lo):
    """Return the terms of class c in a vector of rows; write them to kept if keeps is true."""
    hi, lo = term(x, shift, floor, magic)
    if keeps:
        mark = c * lane_count(x) * item_size(kept)
        store(kept, mark, hi)
        store(kept, kept_lo + mark, lo)
    return hi, lo


@inlined
def _class_sum(tile, at, step, c, skipped, skip, shift, floor, magic, keeps, kept, kept_lo):
    """Return a class's terms as a separate sum, 0 in rows that skip it; and `skipped` with the logits of those rows."""
    zero = like(tile)
    x = load(tile, at + c * step, zero)
    hi, lo = _kept_term(x, c, shift, floor, magic, keeps, kept, kept_lo)
    there = skip == integer_splat(zero, c)
    return convert(np.float64, select(there, 0.0, hi)), select(there, 0.0, lo), select(there, x, skipped)


@inlined
def _sum_of_two(tile, at, step, n, c, far, skipped, skip, shift, floor, magic, keeps, kept, kept_lo):
    """Return the sum of the classes c and, if it exists, c + far."""
    s, e, skipped = _class_sum(tile, at, step, c, skipped, skip, shift, floor, magic, keeps, kept, kept_lo)
    if c + far < n:
        other, other_e, skipped = _class_sum(
            tile, at, step, c + far, skipped, skip, shift, floor, magic, keeps, kept, kept_lo
        )
        s, e = combine(like(tile), s, e, other, other_e)
    return s, e, skipped


@inner
def _sum_of_few(tile, at, n, stride, skip, shift, floor, magic, keeps, kept, kept_lo):
    """Do what tile_sum does if each class is a partial sum of its own: fold them in registers, class by class."""
    zero = like(tile)
    wide = convert(np.float64, zero)
    step = stride * item_size(tile)
    half, quarter = lane_count(zero) // 2, lane_count(zero) // 4
    even, even_e, odd, odd_e, skipped = wide, zero, wide, zero, zero
    for i in range(quarter):
        c = (i % 2) * 2 + i // 2 if quarter == 4 else i  # 0 2 1 3: the fold's last but one step adds 0 + 2 and 1 + 3
        if c >= n:
            continue
        s, e, skipped = _sum_of_two(
            tile, at, step, n, c, half, skipped, skip, shift, floor, magic, keeps, kept, kept_lo
        )
        if c + quarter < n:
            other, other_e, skipped = _sum_of_two(
                tile, at, step, n, c + quarter, half, skipped, skip, shift, floor, magic, keeps, kept, kept_lo
            )
            s, e = combine(zero, s, e, other, other_e)
        if c % 2 == 0:
            even, even_e = combine(zero, even, even_e, s, e)
        else:
            odd, odd_e = combine(zero, odd, odd_e, s, e)
    s, e = combine(zero, even, even_e, odd, odd_e)
    return s, e, skipped


@inner
def tile_sum(tile, at, n, stride, skip, shift, floor, magic, keeps, kept, kept_lo, sums):
    """Return the vectors s, e, z_skip: s + e = Σ_{c≠skip} e^(z_c) for each row, in its frame; z_skip 0 for none.

    skip: integers of the dtype's width, −1 for none; sums: float64 scratch of 2 · LANES · LANES; kept: if keeps is
    true, the terms are written there, a vector per class, and their low parts kept_lo bytes behind them.
    """
    zero = like(tile)
    wide = convert(np.float64, zero)
    lanes = lane_count(zero)
    step = stride * item_size(tile)
    width, narrow_width = lanes * 8, lanes * size_in_memory(zero)
    low = retyped(advanced(sums, lanes * width), zero)
    if n <= lanes:
        s, e, skipped = _sum_of_few(tile, at, n, stride, skip, shift, floor, magic, keeps, kept, kept_lo)
        return s, convert(np.float64, e), skipped
    skipped = zero
    for c in range(n):
        x = load(tile, at + c * step, zero)
        hi, lo = _kept_term(x, c, shift, floor, magic, keeps, kept, kept_lo)
        there = skip == integer_splat(zero, c)
        hi, lo, skipped = select(there, 0.0, hi), select(there, 0.0, lo), select(there, x, skipped)
        lane = c % lanes
        s, e = wide, zero
        if c >= lanes:
            s, e = load(sums, lane * width, wide), load(low, lane * narrow_width, zero)
        s, e = add_term(s, e, hi, lo)
        if (c // lanes + 1) % SETTLED == 0 and c // lanes < n // lanes:
            s, e = settle(zero, s, e)
        store(sums, lane * width, s)
        store(low, lane * narrow_width, e)
    half = lanes
    while half > 1:
        half //= 2
        for k in range(half):
            far = k + half
            s, e = load(sums, k * width, wide), load(low, k * narrow_width, zero)
            other, other_e = load(sums, far * width, wide), load(low, far * narrow_width, zero)
            s, e = combine(zero, s, e, other, other_e)
            store(sums, k * width, s)
            store(low, k * narrow_width, e)
    return load(sums, 0, wide), convert(np.float64, load(low, 0, zero)), skipped


@inner
def write_tile(
    labelled, skip, skip_result, ignored, tile, at, n, stride, shift, floor, magic, keeps, kept, kept_lo, factor,
    factor_lo, unit,
):  # fmt: skip
    """Replace the logits by the terms times each row's factor: the terms that tile_sum kept, or computed again.

    If labelled is true, the class that a row skips gets skip_result, and rows whose skip is `ignored` get zeros.
    """
    zero = like(tile)
    step = stride * item_size(tile)
    width = lane_count(zero) * item_size(kept)
    nothing = skip == ignored
    for c in range(n):
        place = at + c * step
        if keeps:
            hi, lo = load(kept, c * width, zero), load(kept, kept_lo + c * width, zero)
        else:
            hi, lo = term(load(tile, place, zero), shift, floor, magic)
        value = scaled(hi, lo, factor, factor_lo, unit)
        if labelled:
            value = select(skip == integer_splat(zero, c), skip_result, select(nothing, 0.0, value))
        store(tile, place, value)


@inner
def write_log_tile(tile, at, n, stride, m, log_s, log_s_lo):
    """Replace the logits by (z_c − m) − (log_s + log_s_lo)."""
    zero = like(tile)
    step = stride * item_size(tile)
    for c in range(n):
        place = at + c * step
        store(tile, place, log_probability(load(tile, place, zero), m, log_s, log_s_lo))
