"""Rows in groups of up to LANES, one by one or in a tile.

What a row needs only once (logarithm, quotient) is computed for the whole group at once.

    statistics    maximum and sum of each row                                       (rows.row or tile)
    a finish      logarithm, quotient, loss: vectors of float64, one row per lane   (softmax, cross_entropy)
    results       written row by row, or a tile at once

A group's numbers are in a book (rows.accumulators). A vector holds classes of one row (rows.row) or one class of many
rows (a tile). Both give the same bits, so the faster is chosen. Rows of few classes are in rows.short_rows.

Arguments that the kernels of a visit share:
    z, out: pointers to the logits and the results
    zo, zc, zi, oo, oc, oi: their byte strides along (outer, class, inner);  inner, n: the positions and classes
    tile: a pointer to a tile of z's dtype;  stride: its lanes, 0 if rows are visited one by one
    book: a pointer to the memory of BOOK_LINES · LANES float64 numbers
    keeps: whether the exponentials (terms) of the sum are kept for the results
    kept: a pointer to them; they have the working dtype
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.arithmetic.scaling import scaling
from softxent.kernels.cpu.rows.accumulators import (
    FACTOR,
    FACTOR_LO,
    FLOOR,
    IGNORED,
    LARGEST,
    LOG,
    LOG_LO,
    MAGIC,
    MAXIMUM,
    SCRATCH_LINES,
    SHIFT,
    SKIP,
    SKIPPED,
    SKIPPED_RESULT,
    SUM,
    SUM_LO,
    UNIT,
    K,
    entry,
    note_sums,
    read,
    set_entry,
    write,
    write_frames,
)
from softxent.kernels.cpu.rows.row import (
    begin_kept_row,
    fill_row,
    row_find,
    row_max,
    row_sum,
    write_kept_row,
    write_log_row,
    write_row,
)
from softxent.kernels.cpu.rows.running import running_sum, runs
from softxent.kernels.cpu.rows.tile import row_offset, tile_find, tile_max, tile_sum, write_log_tile, write_tile
from softxent.kernels.cpu.simd.floats import SCALE_EXPONENT_32
from softxent.kernels.cpu.simd.jit import inlined, inner
from softxent.kernels.cpu.simd.lanes import any_lane, convert, integer_splat, lane_count, narrow, select, size_in_memory
from softxent.kernels.cpu.simd.memory import advanced, item_size, like, stack_lines
from softxent.kernels.cpu.simd.vector import dtype_of

__all__ = [
    "looks_ahead",
    "next_rows",
    "note_plain_scaling",
    "note_scaling",
    "row_offset",
    "rows_at_once",
    "statistics",
    "write_log_results",
    "write_results",
]

# A group's kept terms should stay at about the size of a first-level cache. If terms are not kept, its logits are read
# again: they should stay in the second-level cache. _GROUP_TERM_BYTES must equal _GROUP_BYTES of
# softxent.arrays.visits: here it says how many rows go into the buffer for terms, there it sizes the buffer.
_GROUP_TERM_BYTES, _GROUP_LOGIT_BYTES = 1 << 16, 1 << 18
# Two rows must fit in this many bytes. Otherwise reading the next row would evict this one before its results are
# written.
_LOOKED_AT_BYTES = 1 << 23


@inlined
def next_rows(row, group, stop, following, step, rows):
    """(first, count): the rows after a group, in this piece or the following one; count is 0 if there are none."""
    if row + group < stop:
        return row + group, min(group, stop - row - group)
    if following < rows:
        return following, min(group, step, rows - following)
    return row, 0 * rows


@inner
def rows_at_once(z, n, keeps):
    """How many rows of n classes, visited one by one, are a group."""
    zero = like(z)
    if keeps:
        return max(1, min(lane_count(zero), _GROUP_TERM_BYTES // (2 * n * size_in_memory(zero))))
    return max(1, min(lane_count(zero), _GROUP_LOGIT_BYTES // (n * item_size(z))))


@inner
def looks_ahead(z, n):
    """Whether the maximum of a row is found while an earlier row is summed (rows of n classes, visited one by one)."""
    return 2 * n * item_size(z) <= _LOOKED_AT_BYTES


@inlined
def _place(n, slot, zero, kept):
    """(first, distance): the place of a row's kept terms, and the distance from there to their low parts."""
    lanes = lane_count(zero)
    distance = -(-n // lanes) * lanes * size_in_memory(zero)
    return advanced(kept, 2 * slot * distance), distance


@inner
def _note_maxima(z, zo, zi, inner, n, first, count, book):
    # All maxima come before the first sum, because each sum would wait for its maximum.
    zero = like(z)
    for slot in range(count):
        if entry(book, SKIP, slot, integer_splat(zero, 0)) != IGNORED:
            set_entry(book, MAXIMUM, slot, zero, row_max(z, row_offset(first + slot, inner, zo, zi), n))


@inlined
def _results(zero, book, slot, n, size, kept, out, oo, oi, inner, row, streams):
    """The `results` argument of rows.row's write_kept_row for a row of a group; size: n, or 0 for no such row."""
    place, distance = _place(n, slot, zero, kept)
    factor, factor_lo = entry(book, FACTOR, slot, zero), entry(book, FACTOR_LO, slot, zero)
    unit, to = entry(book, UNIT, slot, zero), row_offset(row + slot, inner, oo, oi)
    return place, distance, out, to, size, factor, factor_lo, unit, streams


@inner
def _row_sums(z, zo, zi, inner, n, first, count, book, keeps, kept, out, oo, oi, streams, earlier, coming):
    zero = like(z)
    wide, numbers = convert(np.float64, zero), integer_splat(zero, 0)
    row, waiting, waiting_book = earlier
    next_row, next_count, next_book = coming
    for slot in range(max(count, waiting, next_count)):
        size = 0
        if slot < waiting:
            if entry(waiting_book, SKIP, slot, numbers) == IGNORED:
                fill_row(out, row_offset(row + slot, inner, oo, oi), n, 0.0)
            else:
                size = n
        results = _results(zero, waiting_book, slot, n, size, kept, out, oo, oi, inner, row, streams)
        done = begin_kept_row(results, zero)
        looks = slot < next_count and entry(next_book, SKIP, slot, numbers) != IGNORED  # ignored rows are not read
        ahead = row_offset(next_row + slot, inner, zo, zi)
        skip = np.int64(entry(book, SKIP, slot, numbers)) if slot < count else IGNORED
        if skip != IGNORED:
            at = row_offset(first + slot, inner, zo, zi)
            if skip == LARGEST:
                skip = row_find(z, at, n, entry(book, MAXIMUM, slot, zero))
            shift, floor = entry(book, SHIFT, slot, zero), entry(book, FLOOR, slot, zero)
            magic = entry(book, MAGIC, slot, zero)
            s, e, m, done = row_sum(
                z, at, ahead if looks else at, looks, n, skip, shift, floor, magic, keeps, results, done
            )
            set_entry(book, SUM, slot, wide, s)
            set_entry(book, SUM_LO, slot, wide, e)
            if looks:
                set_entry(next_book, MAXIMUM, slot, zero, m)
        elif looks:
            set_entry(next_book, MAXIMUM, slot, zero, row_max(z, ahead, n))
        write_kept_row(results, done, zero)


@inner
def _running_sums(z, zo, zi, inner, n, first, count, book, ahead, results):
    zero = like(z)
    wide, numbers = convert(np.float64, zero), integer_splat(zero, 0)
    for slot in range(count):
        skip = np.int64(entry(book, SKIP, slot, numbers))
        if skip != IGNORED:
            at, soon = row_offset(first + slot, inner, zo, zi), row_offset(ahead + slot, inner, zo, zi)
            m, shift, k, floor, magic, s, e = running_sum(z, at, soon, n, skip, results)
            set_entry(book, MAXIMUM, slot, zero, m)
            set_entry(book, SHIFT, slot, zero, shift)
            set_entry(book, K, slot, zero, k)
            set_entry(book, FLOOR, slot, zero, floor)
            set_entry(book, MAGIC, slot, zero, magic)
            set_entry(book, SUM, slot, wide, s)
            set_entry(book, SUM_LO, slot, wide, e)


@inner
def _tile_statistics(tile, at, n, stride, book, keeps, kept):
    zero = like(tile)
    m = tile_max(tile, at, n, stride)
    write_frames(zero, book, m)
    shift, floor, magic = read(book, SHIFT, zero), read(book, FLOOR, zero), read(book, MAGIC, zero)
    skip = read(book, SKIP, integer_splat(zero, 0))
    largest = skip == integer_splat(zero, LARGEST)
    if any_lane(largest):
        skip = select(largest, tile_find(tile, at, n, stride, m), skip)
    sums = stack_lines(zero, SCRATCH_LINES)
    place, distance = _place(n * lane_count(zero), 0, zero, kept)
    s, e, skipped = tile_sum(tile, at, n, stride, skip, shift, floor, magic, keeps, place, distance, sums)
    write(book, SUM, s)
    write(book, SUM_LO, e)
    write(book, SKIPPED, skipped)


@inner
def statistics(
    z, zo, zi, inner, n, first, count, tile, at, stride, book, known, keeps, kept, out, oo, oi, streams, earlier, coming
):
    """Write MAXIMUM, SHIFT, K, SUM and SUM_LO of rows first … first + count, whose SKIP is set.

    at: the place of the rows in the tile; known: whether MAXIMUM is set already. If a class other than the skipped one
    is NaN, the sum is NaN. earlier: (row, count, book) of an earlier group, whose results are written to out meanwhile;
    this group's terms overwrite the earlier group's in `kept`. coming: (row, count, book) of the next group, whose
    MAXIMUM is computed. So memory is read and written while this group's terms are computed.
    """
    zero = like(z)
    if stride > 0:
        _tile_statistics(tile, at, n, stride, book, keeps, kept)
    elif not keeps and runs(z, n) and entry(book, SKIP, 0, integer_splat(zero, 0)) != LARGEST:
        # LARGEST leaves out a largest class, which is unknown until the maximum is.
        results = _results(zero, book, 0, n, 0 * n, kept, out, oo, oi, inner, first, streams)
        _running_sums(z, zo, zi, inner, n, first, count, book, coming[0], results)
    else:
        if not known:
            _note_maxima(z, zo, zi, inner, n, first, count, book)
        write_frames(zero, book, read(book, MAXIMUM, zero))
        _row_sums(z, zo, zi, inner, n, first, count, book, keeps, kept, out, oo, oi, streams, earlier, coming)
    wide = convert(np.float64, zero)
    note_sums(zero, book, read(book, SUM, wide), read(book, SUM_LO, wide))


@inlined
def note_scaling(zero, book, f, f_lo, up, bad):
    """Write the factors that turn a row's terms into its results; NaN for rows with `bad`.

    A result is e^(z − SHIFT) · 2^-K · (f + f_lo) · 2^-up, with SHIFT and K of the book.
    f, f_lo: float64, finite unless `bad` is true; up: int64.
    """
    factor, factor_lo, unit = scaling(zero, select(bad, 1.0, f), select(bad, 0.0, f_lo), up)
    # factor_lo also holds the error of rounding the significand to the dtype.
    rounded = narrow(zero, select(bad, np.nan, factor))
    write(book, FACTOR, rounded)
    write(book, FACTOR_LO, narrow(zero, (factor - convert(np.float64, rounded)) + factor_lo))
    write(book, UNIT, narrow(zero, unit))


def note_plain_scaling(zero, book, f, f_lo, bad):
    """Do what note_scaling does with up = 0, for f in [2^-100, 2]."""
    raise TypeError("note_plain_scaling runs inside kernels only")


@inlined
def _note_plain_scaling_32(zero, book, f, f_lo, bad):
    # A subnormal product of term and f becomes 0 anyway, because UNIT is 2^-64.
    rounded = narrow(zero, select(bad, np.nan, f))
    write(book, FACTOR, rounded)
    write(book, FACTOR_LO, narrow(zero, (f - convert(np.float64, rounded)) + f_lo))
    write(book, UNIT, zero + 2.0**-SCALE_EXPONENT_32)


@overload(note_plain_scaling, inline="always")
def _note_plain_scaling(zero, book, f, f_lo, bad):
    if dtype_of(zero) == types.float32:
        return lambda zero, book, f, f_lo, bad: _note_plain_scaling_32(zero, book, f, f_lo, bad)
    return lambda zero, book, f, f_lo, bad: note_scaling(zero, book, f, f_lo, convert(np.int64, f * 0.0), bad)


@inner
def write_results(
    z, zo, zi, inner, n, first, count, tile, at, stride, book, keeps, kept, out, oo, oi, streams, labelled
):
    """Write a group's results by the factors in its book: over its logits in the tile, or to out.

    streams: whether stores to out bypass the caches; labelled: in a tile, whether skipped classes get SKIPPED_RESULT
    and ignored rows get zeros.
    """
    zero = like(z)
    numbers = integer_splat(zero, 0)
    if stride > 0:
        place, distance = _place(n * lane_count(zero), 0, zero, kept)
        write_tile(
            labelled,
            read(book, SKIP, numbers),
            read(book, SKIPPED_RESULT, zero),
            integer_splat(zero, IGNORED),
            tile,
            at,
            n,
            stride,
            read(book, SHIFT, zero),
            read(book, FLOOR, zero),
            read(book, MAGIC, zero),
            keeps,
            place,
            distance,
            read(book, FACTOR, zero),
            read(book, FACTOR_LO, zero),
            read(book, UNIT, zero),
        )
        return
    for slot in range(count):
        row = first + slot
        to = row_offset(row, inner, oo, oi)
        factor, factor_lo = entry(book, FACTOR, slot, zero), entry(book, FACTOR_LO, slot, zero)
        unit = entry(book, UNIT, slot, zero)
        if entry(book, SKIP, slot, numbers) == IGNORED:
            fill_row(out, to, n, 0.0)
        elif keeps:
            results = _results(zero, book, slot, n, n, kept, out, oo, oi, inner, first, streams)
            write_kept_row(results, begin_kept_row(results, zero), zero)
        else:
            shift, floor = entry(book, SHIFT, slot, zero), entry(book, FLOOR, slot, zero)
            magic = entry(book, MAGIC, slot, zero)
            write_row(
                z, row_offset(row, inner, zo, zi), out, to, n, shift, floor, magic, factor, factor_lo, unit, streams
            )


@inner
def write_log_results(z, zo, zi, inner, n, first, count, tile, at, stride, book, out, oo, oi, streams):
    """Write a group's (z − MAXIMUM) − (LOG + LOG_LO); the arguments are those of statistics and write_results."""
    zero = like(z)
    wide = convert(np.float64, zero)
    if stride > 0:
        m = convert(np.float64, read(book, MAXIMUM, zero))
        write_log_tile(tile, at, n, stride, m, read(book, LOG, wide), read(book, LOG_LO, wide))
        return
    for slot in range(count):
        row = first + slot
        write_log_row(
            z,
            row_offset(row, inner, zo, zi),
            out,
            row_offset(row, inner, oo, oi),
            n,
            np.float64(entry(book, MAXIMUM, slot, zero)),
            entry(book, LOG, slot, wide),
            entry(book, LOG_LO, slot, wide),
            streams,
        )
