"""Rows of few classes in groups of LANES: classes along the lanes, and reductions of all rows at once.

A row of ten classes is a vector whose other lanes are −inf. It costs an exponential for each lane, some of them idle,
but nothing is transposed. The maxima and the sums of LANES rows become one vector each with LANES − 1 operations
(rows.reductions), and everything that follows from them is computed for all rows at once.

Each step of a group waits for the one before, and a CPU that looks a few hundred instructions ahead sees half a group.
So three groups are processed at once, each with its book: the maxima of one are taken and the results of another are
written while the terms of the one between them are computed.

A row's sum has the order of rows.row. A row's classes are contiguous, the rows zo or oo bytes apart; a row is `whole`
vectors and one of `rest` classes.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.arithmetic.scaling import add_term, log_probability, scaled, term
from softxent.kernels.cpu.rows.accumulators import (
    BOOK_LINES,
    FACTOR,
    FACTOR_LO,
    FLOOR,
    IGNORED,
    LOG,
    LOG_LO,
    MAGIC,
    MAXIMUM,
    NONE,
    SCRATCH_LINES,
    SHIFT,
    SKIP,
    SKIPPED_RESULT,
    UNIT,
    begin_book,
    entry,
    note_sums,
    read,
    set_entry,
    write_frames,
)
from softxent.kernels.cpu.rows.reductions import maxima_of_rows, maxima_of_vectors, sums_of_vectors
from softxent.kernels.cpu.rows.row import fill_row
from softxent.kernels.cpu.simd.jit import inlined, inner, never_inlined
from softxent.kernels.cpu.simd.lanes import (
    any_lane,
    convert,
    first_lane,
    integer_splat,
    lane_count,
    lane_numbers,
    select,
    size_in_memory,
    splat,
)
from softxent.kernels.cpu.simd.memory import (
    advanced,
    item_size,
    like,
    load,
    load_first,
    retyped,
    stack_lines,
    store,
    store_first,
)
from softxent.kernels.cpu.threads.team import next_piece

__all__ = [
    "skip_largest",
    "skip_nothing",
    "visit_few",
    "write_logarithms",
    "write_nothing",
    "write_skipping",
    "write_terms",
]

_ZERO = np.int64(0)  # not a literal, for which Numba would compile functions again


@inlined
def _take_maxima(z, zo, whole, rest, first, count, book, scratch):
    """Write the maxima of a group's rows, and their frames."""
    zero = like(z)
    lanes, lowest = lane_count(zero), zero - np.inf
    if whole == 0 and count == lanes:
        write_frames(zero, book, maxima_of_rows(z, first * zo, zo, rest, lowest))
        return
    step, size = lanes * item_size(z), lanes * size_in_memory(zero)
    maxima = retyped(scratch, zero)
    at = first * zo
    for slot in range(count):
        m = lowest
        for v in range(whole):
            x = load(z, at + v * step, zero)
            m = select(x > m, x, m)
        x = load_first(z, at + whole * step, rest, lowest)
        store(maxima, slot * size, select(x > m, x, m))
        at += zo
    write_frames(zero, book, maxima_of_vectors(maxima, zero))


@inlined
def _terms(x, v, skips, skip, shift, floor, magic, keeps, kept):
    """Return the terms of a row's vector v; keep them if keeps is true."""
    if skips:
        own = lane_numbers(x) + integer_splat(x, v * lane_count(x))
        x = select(own == skip, -np.inf, x)
    hi, lo = term(x, shift, floor, magic)
    if keeps:
        size = lane_count(x) * size_in_memory(x)
        store(kept, 2 * v * size, hi)
        store(kept, (2 * v + 1) * size, lo)
    return hi, lo


@inlined
def _add_terms(z, zo, whole, rest, first, count, book, scratch, skips, keeps, kept):
    """Write the sums of the terms of a group's rows, and keep the terms; if a row is one vector, always keep them."""
    zero = like(z)
    lowest, lanes, size = zero - np.inf, lane_count(zero), lane_count(zero) * size_in_memory(zero)
    step = lanes * item_size(z)
    lows = retyped(advanced(scratch, lanes * lanes * 8), zero)
    at = first * zo
    for slot in range(count):
        shift, floor = splat(zero, entry(book, SHIFT, slot, zero)), splat(zero, entry(book, FLOOR, slot, zero))
        magic = splat(zero, entry(book, MAGIC, slot, zero))
        skip = integer_splat(zero, np.int64(entry(book, SKIP, slot, lane_numbers(zero))))
        own = advanced(kept, slot * (whole + 1) * 2 * size)
        last = load_first(z, at + whole * step, rest, lowest)
        if whole == 0:
            _terms(last, _ZERO, skips, skip, shift, floor, magic, True, own)
        else:
            hi, e = _terms(load(z, at, zero), _ZERO, skips, skip, shift, floor, magic, keeps, own)
            s = convert(np.float64, hi)
            for v in range(1, whole):
                hi, lo = _terms(load(z, at + v * step, zero), v, skips, skip, shift, floor, magic, keeps, own)
                s, e = add_term(s, e, hi, lo)
            hi, lo = _terms(last, whole, skips, skip, shift, floor, magic, keeps, own)
            s, e = add_term(s, e, hi, lo)
            store(scratch, slot * lanes * 8, s)
            store(lows, slot * size, e)
        at += zo
    if whole == 0:
        s, e = sums_of_vectors(kept, advanced(kept, size), zero, 2)
    else:
        s, e = sums_of_vectors(scratch, lows, zero, 1)
    note_sums(zero, book, s, convert(np.float64, e))


@inlined
def write_terms(z, zo, out, oo, whole, rest, first, count, book, kept, given):
    """Write a group's results: its kept terms times each row's factor."""
    _write_terms(out, oo, whole, rest, first, count, book, kept, False)


@inlined
def write_skipping(z, zo, out, oo, whole, rest, first, count, book, kept, given):
    """Write a group's results with the book's results for the skipped classes, and zeros in ignored rows."""
    zero = like(out)
    _write_terms(out, oo, whole, rest, first, count, book, kept, True)
    if any_lane(read(book, SKIP, lane_numbers(zero)) == integer_splat(zero, IGNORED)):
        for slot in range(count):
            if entry(book, SKIP, slot, lane_numbers(zero)) == IGNORED:
                fill_row(out, (first + slot) * oo, whole * lane_count(zero) + rest, 0.0)


@inlined
def _result(kept, v, factor, factor_lo, unit, skips, skip, result):
    """A row's results of vector v."""
    size = lane_count(factor) * size_in_memory(factor)
    y = scaled(load(kept, 2 * v * size, factor), load(kept, (2 * v + 1) * size, factor), factor, factor_lo, unit)
    if skips:
        own = lane_numbers(factor) + integer_splat(factor, v * lane_count(factor))
        y = select(own == skip, result, y)
    return y


@inlined
def _write_terms(out, oo, whole, rest, first, count, book, kept, skips):
    zero = like(out)
    lanes = lane_count(zero)
    step = lanes * item_size(out)
    to = first * oo
    for slot in range(count):
        factor = splat(zero, entry(book, FACTOR, slot, zero))
        factor_lo = splat(zero, entry(book, FACTOR_LO, slot, zero))
        unit, result = splat(zero, entry(book, UNIT, slot, zero)), splat(zero, entry(book, SKIPPED_RESULT, slot, zero))
        skip = integer_splat(zero, np.int64(entry(book, SKIP, slot, lane_numbers(zero))))
        own = advanced(kept, slot * (whole + 1) * 2 * lanes * size_in_memory(zero))
        for v in range(whole):
            store(out, to + v * step, _result(own, v, factor, factor_lo, unit, skips, skip, result))
        y = _result(own, whole, factor, factor_lo, unit, skips, skip, result)
        store_first(out, to + whole * step, rest, y)
        to += oo


@inlined
def write_logarithms(z, zo, out, oo, whole, rest, first, count, book, kept, given):
    """Write a group's (z − MAXIMUM) − (LOG + LOG_LO)."""
    zero = like(z)
    wide, lanes = convert(np.float64, zero), lane_count(zero)
    step = lanes * item_size(z)
    at, to = first * zo, first * oo
    for slot in range(count):
        m = splat(wide, np.float64(entry(book, MAXIMUM, slot, zero)))
        log, log_lo = splat(wide, entry(book, LOG, slot, wide)), splat(wide, entry(book, LOG_LO, slot, wide))
        for v in range(whole):
            store(out, to + v * step, log_probability(load(z, at + v * step, zero), m, log, log_lo))
        y = log_probability(load_first(z, at + whole * step, rest, zero), m, log, log_lo)
        store_first(out, to + whole * step, rest, y)
        at += zo
        to += oo


@inner
def write_nothing(z, zo, out, oo, whole, rest, first, count, book, kept, given):
    """Write nothing, for a finish that writes everything itself."""


@inner
def skip_nothing(z, zo, whole, rest, first, count, book, given):
    """Skip no class, for sums of all classes."""


@inlined
def skip_largest(z, zo, whole, rest, first, count, book, given):
    """Write as SKIP the first of each row's classes whose logit is the maximum."""
    zero = like(z)
    lanes, lowest = lane_count(zero), zero - np.inf
    step = lanes * item_size(z)
    at = first * zo
    for slot in range(count):
        m = splat(zero, entry(book, MAXIMUM, slot, zero))
        lane = first_lane(load_first(z, at + whole * step, rest, lowest) == m)
        found = whole * lanes + lane
        for v in range(whole - 1, -1, -1):
            lane = first_lane(load(z, at + v * step, zero) == m)
            found = v * lanes + lane if lane < lanes else found
        set_entry(book, SKIP, slot, lane_numbers(zero), found)
        at += zo


@inlined
def _visit_groups(z, zo, out, oo, whole, rest, start, stop, keeps, kept, skips, books, begin, finish, deliver, given):
    zero = like(z)
    lanes = lane_count(zero)
    earlier, book, later, scratch = books
    other = advanced(kept, 2 * lanes * (whole + 1) * lanes * size_in_memory(zero))
    waiting = _ZERO
    _take_maxima(z, zo, whole, rest, start, min(lanes, stop - start), book, scratch)
    for row in range(start, stop, lanes):
        count, after = min(lanes, stop - row), row + lanes
        if after < stop:
            _take_maxima(z, zo, whole, rest, after, min(lanes, stop - after), later, scratch)
        begin(z, zo, whole, rest, row, count, book, given)
        _add_terms(z, zo, whole, rest, row, count, book, scratch, skips, keeps, kept)
        finish(zero, row, count, book, given)
        if waiting > 0:
            deliver(z, zo, out, oo, whole, rest, row - lanes, waiting, earlier, other, given)
        earlier, book, later = book, later, earlier
        kept, other = other, kept
        waiting = count
    if waiting > 0:
        last = start + (stop - start - 1) // lanes * lanes
        deliver(z, zo, out, oo, whole, rest, last, waiting, earlier, other, given)


@inner
def _visit_short_groups(z, zo, out, oo, n, start, stop, keeps, kept, skips, books, begin, finish, deliver, given):
    never_inlined()
    _visit_groups(z, zo, out, oo, _ZERO, n, start, stop, keeps, kept, skips, books, begin, finish, deliver, given)


@inner
def _visit_long_groups(z, zo, out, oo, n, start, stop, keeps, kept, skips, books, begin, finish, deliver, given):
    never_inlined()
    whole = (n - 1) // lane_count(like(z))
    rest = n - whole * lane_count(like(z))
    _visit_groups(z, zo, out, oo, whole, rest, start, stop, keeps, kept, skips, books, begin, finish, deliver, given)


@inner
def visit_few(z, zo, out, oo, n, ledger, member, step, rows, keeps, kept, skips, begin, finish, deliver, given):
    """Visit rows of few classes.

    keeps, kept: whether terms are kept for the results, and the place for them; skips: whether rows skip classes.
    given: an argument of these functions (they are separate arguments, because Numba would call functions in a tuple by
    their addresses):
    begin(z, zo, whole, rest, first, count, book, given): sets SKIP, and whatever else depends on logits and labels;
    finish(zero, first, count, book, given): computes the quantities that follow from a group's sums;
    deliver(z, zo, out, oo, whole, rest, first, count, book, kept, given): one of the above.
    """
    zero = like(z)
    earlier, book, later = stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES)
    scratch, own_kept = stack_lines(zero, SCRATCH_LINES), retyped(stack_lines(zero, SCRATCH_LINES), zero)
    if not keeps:
        kept = own_kept
    for one in (earlier, book, later):
        begin_book(zero, one, NONE)
    books = (earlier, book, later, scratch)
    start = next_piece(ledger, member, step, rows)
    while start < rows:
        stop = min(start + step, rows)
        if n <= lane_count(zero):
            _visit_short_groups(
                z, zo, out, oo, n, start, stop, keeps, kept, skips, books, begin, finish, deliver, given
            )
        else:
            _visit_long_groups(z, zo, out, oo, n, start, stop, keeps, kept, skips, books, begin, finish, deliver, given)
        start = next_piece(ledger, member, step, rows)
