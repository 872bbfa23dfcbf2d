"""Softmax, log-softmax and logsumexp of rows of logits.

One row: m = max z, e_j = exp(z_j − m), R = Σ_{j≠r} e_j without one class r, S = R + e_r.

    softmax_j     = e_j / S
    log_softmax_j = (z_j − m) − log1p(R),  r the maximum's class: two terms of the same sign, no cancellation
    logsumexp     = m + log1p(R)

A row's result depends on that row alone. A row with a NaN, a +inf or no finite logit gives NaN (logsumexp: NaN, +inf,
−inf). The kernels take arrays that begin at the first element of logits, results, tiles and terms. They visit the rows
in pieces of step rows, which the ledger distributes: each thread calls a kernel with the same arguments, or one call
serves a whole team (threads.team). The other arguments are those of rows.groups.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.arithmetic.exponentials import quotient
from softxent.kernels.cpu.arithmetic.log import log1p_pair, log1p_single
from softxent.kernels.cpu.arithmetic.scaling import exp_in_frame, is_finite, term, unscaled
from softxent.kernels.cpu.rows.accumulators import (
    BOOK_LINES,
    FLOOR,
    LARGEST,
    LOG,
    LOG_LO,
    MAGIC,
    MAXIMUM,
    NONE,
    SHIFT,
    SUM,
    SUM_LO,
    K,
    begin_book,
    entry,
    read,
    write,
)
from softxent.kernels.cpu.rows.groups import (
    looks_ahead,
    next_rows,
    note_plain_scaling,
    row_offset,
    rows_at_once,
    statistics,
    write_log_results,
    write_results,
)
from softxent.kernels.cpu.rows.short_rows import (
    skip_largest,
    skip_nothing,
    visit_few,
    write_logarithms,
    write_nothing,
    write_terms,
)
from softxent.kernels.cpu.rows.tile import foresee, pack, unpack
from softxent.kernels.cpu.simd.floats import fma, two_sum
from softxent.kernels.cpu.simd.jit import inlined, inner, kernel
from softxent.kernels.cpu.simd.lanes import any_lane, convert, lane_count, select
from softxent.kernels.cpu.simd.memory import (
    fence,
    item_size,
    like,
    load_scalar,
    pointer,
    retyped,
    stack_lines,
    store,
    store_scalar,
)
from softxent.kernels.cpu.simd.vector import dtype_of
from softxent.kernels.cpu.threads.team import KEPT, TILE, in_team, join, next_piece, share

__all__ = ["log_softmax_rows", "logsumexp_rows", "softmax_rows", "visit_log_softmax", "visit_softmax"]


@inlined
def _logarithms(zero, book):
    wide = convert(np.float64, zero)
    rest, rest_lo = read(book, SUM, wide), read(book, SUM_LO, wide)
    m, shift = convert(np.float64, read(book, MAXIMUM, zero)), convert(np.float64, read(book, SHIFT, zero))
    top, top_lo = exp_in_frame(m - shift, convert(np.float64, read(book, K, zero)))
    q = rest / top
    q_lo = (fma(-q, top, rest) + (rest_lo - q * top_lo)) / top
    return log1p_pair(q, q_lo)


@inlined
def _logarithms_single(zero, book):
    wide = convert(np.float64, zero)
    shift, floor, magic = read(book, SHIFT, zero), read(book, FLOOR, zero), read(book, MAGIC, zero)
    hi, lo = term(read(book, MAXIMUM, zero), shift, floor, magic)
    top = unscaled(zero, convert(np.float64, hi) + convert(np.float64, lo))
    return log1p_single((read(book, SUM, wide) + read(book, SUM_LO, wide)) / top), wide


def _quotients(zero, s, s_lo):
    """1 / (s + s_lo) as a pair of float64, as accurate as the dtype's exponentials."""
    raise TypeError("this runs inside kernels only")


@overload(_quotients, inline="always")
def _quotients_for(zero, s, s_lo):
    if dtype_of(zero) == types.float32:
        return lambda zero, s, s_lo: (1.0 / s, convert(np.float64, zero))
    return lambda zero, s, s_lo: quotient(1.0, 1.0, s, s_lo)


def _logarithms_alone(zero, book):
    """log Σ exp(z − m) as a pair, for results without m: for float32 a relative error of 2^-32 is enough."""
    raise TypeError("this runs inside kernels only")


@overload(_logarithms_alone, inline="always")
def _logarithms_alone_for(zero, book):
    if dtype_of(zero) == types.float32:
        return lambda zero, book: _logarithms_single(zero, book)
    return lambda zero, book: _logarithms(zero, book)


@inlined
def _note_quotients(zero, book):
    wide = convert(np.float64, zero)
    s = read(book, SUM, wide)
    bad = ~(is_finite(s) & is_finite(read(book, MAXIMUM, zero)))
    f, f_lo = _quotients(zero, s, read(book, SUM_LO, wide))
    note_plain_scaling(zero, book, f, f_lo, bad)


@inlined
def _write_logarithms(zero, book, log, log_lo):
    """Write LOG + LOG_LO = log Σ exp(z − m), NaN for a row without a result; SUM lacks one of the largest classes."""
    wide = convert(np.float64, zero)
    good = is_finite(read(book, SUM, wide)) & is_finite(read(book, MAXIMUM, zero))
    write(book, LOG, select(good, log, np.nan))
    write(book, LOG_LO, log_lo)


@inlined
def _finish_quotients(zero, first, count, book, given):
    _note_quotients(zero, book)


@inlined
def _finish_logarithms(zero, first, count, book, given):
    log, log_lo = _logarithms_alone(zero, book)
    _write_logarithms(zero, book, log, log_lo)


@inner
def visit_softmax(arguments):
    """Do the work of softmax_rows, on pointers."""
    z, zo, zc, zi, out, oo, oc, oi, inner, n, ledger, step, rows, tile, stride, streams, keeps, kept = arguments
    member = join(ledger)
    if member < 0:
        return
    tile, kept = share(tile, ledger, TILE, member), share(kept, ledger, KEPT, member)
    if stride < 0:
        visit_few(
            z, zo, out, oo, n, ledger, member, step, rows, True, kept, False, skip_nothing, _finish_quotients,
            write_terms, (),
        )  # fmt: skip
        return
    zero = like(z)
    lanes = lane_count(zero)
    before, book, after = stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES)
    for one in (before, book, after):
        begin_book(zero, one, NONE)
    group = lanes if stride > 0 else rows_at_once(z, n, keeps)
    late, looks, known = keeps and stride == 0, stride == 0 and looks_ahead(z, n), False
    earlier = waiting = 0 * rows  # int64 zero: a literal 0 would compile a second specialisation
    start = next_piece(ledger, member, step, rows)
    while start < rows:
        stop = min(start + step, rows)
        following = next_piece(ledger, member, step, rows)  # known early, for prefetching
        if stride > 0:
            pack(z, zo, zc, zi, inner, n, start, stop - start, tile, stride)
        for row in range(start, stop, group):
            count, at = min(group, stop - row), (row - start) * item_size(z)
            next_row, next_count = next_rows(row, group, stop, following, step, rows)
            if stride > 0:
                foresee(z, zo, zc, zi, inner, n, next_row, next_count)
            if not looks:
                next_count = 0 * rows
            statistics(
                z, zo, zi, inner, n, row, count, tile, at, stride, book, known,
                keeps, kept, out, oo, oi, streams, (earlier, waiting, before), (next_row, next_count, after),
            )  # fmt: skip
            _note_quotients(zero, book)
            if late:
                earlier, waiting = row, count
            else:
                write_results(
                    z, zo, zi, inner, n, row, count, tile, at, stride, book, keeps, kept, out, oo, oi, streams,
                    False,
                )  # fmt: skip
            before, book, after, known = book, after, before, next_count > 0
        if stride > 0:
            unpack(tile, stride, out, oo, oc, oi, inner, n, start, stop - start)
        start = following
    if waiting > 0:
        write_results(
            z, zo, zi, inner, n, earlier, waiting, tile, np.int64(0), stride, before, keeps, kept, out, oo, oi, streams,
            False,
        )  # fmt: skip
    if streams:
        fence()


@kernel
def softmax_rows(
    logits, zo, zc, zi, results, oo, oc, oi, inner, n, ledger, step, rows, tiles, stride, streams, keeps, terms
):
    """out = softmax of each row; out may be z."""
    arguments = (
        pointer(logits), zo, zc, zi, pointer(results), oo, oc, oi, inner, n, pointer(ledger), step, rows,
        pointer(tiles), stride, streams, keeps, pointer(terms),
    )  # fmt: skip
    in_team(visit_softmax, pointer(ledger), arguments)


@inner
def visit_log_softmax(arguments):
    """Do the work of log_softmax_rows, on pointers."""
    z, zo, zc, zi, out, oo, oc, oi, inner, n, ledger, step, rows, tile, stride, streams = arguments
    member = join(ledger)
    if member < 0:
        return
    zero = like(z)
    if stride < 0:
        visit_few(
            z, zo, out, oo, n, ledger, member, step, rows, False, retyped(tile, zero), True, skip_largest,
            _finish_logarithms, write_logarithms, (),
        )  # fmt: skip
        return
    tile = share(tile, ledger, TILE, member)
    lanes = lane_count(zero)
    book, after = stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES)
    for one in (book, after):
        begin_book(zero, one, LARGEST)
    nothing = retyped(book, zero)
    group = lanes if stride > 0 else rows_at_once(z, n, False)
    looks, known = stride == 0 and looks_ahead(z, n), False
    start = next_piece(ledger, member, step, rows)
    while start < rows:
        stop = min(start + step, rows)
        following = next_piece(ledger, member, step, rows)  # known early, for prefetching
        if stride > 0:
            pack(z, zo, zc, zi, inner, n, start, stop - start, tile, stride)
        for row in range(start, stop, group):
            count, at = min(group, stop - row), (row - start) * item_size(z)
            next_row, next_count = next_rows(row, group, stop, following, step, rows)
            if stride > 0:
                foresee(z, zo, zc, zi, inner, n, next_row, next_count)
            if not looks:
                next_count = 0 * rows
            statistics(
                z, zo, zi, inner, n, row, count, tile, at, stride, book, known,
                False, nothing, out, oo, oi, streams, (row, 0 * rows, book), (next_row, next_count, after),
            )  # fmt: skip
            log, log_lo = _logarithms_alone(zero, book)
            _write_logarithms(zero, book, log, log_lo)
            write_log_results(z, zo, zi, inner, n, row, count, tile, at, stride, book, out, oo, oi, streams)
            book, after, known = after, book, next_count > 0
        if stride > 0:
            unpack(tile, stride, out, oo, oc, oi, inner, n, start, stop - start)
        start = following
    if streams:
        fence()


@kernel
def log_softmax_rows(
    logits, zo, zc, zi, results, oo, oc, oi, inner, n, ledger, step, rows, tiles, stride, streams, keeps, terms
):
    """out = log-softmax of each row; out may be z. keeps and terms are ignored: only softmax_rows keeps terms."""
    arguments = (
        pointer(logits), zo, zc, zi, pointer(results), oo, oc, oi, inner, n, pointer(ledger), step, rows,
        pointer(tiles), stride, streams,
    )  # fmt: skip
    in_team(visit_log_softmax, pointer(ledger), arguments)


@inner
def _without_numbers(z, at, zc, n):
    """logsumexp of a row whose maximum is infinite, or that holds NaN."""
    m = -np.inf
    for c in range(n):
        x = np.float64(load_scalar(z, at + c * zc))
        if np.isnan(x):
            return x
        m = max(m, x)
    return m


@inlined
def _finish_logsumexp(zero, first, count, book, given):
    z, outer, zc, zi, inner, n, values = given
    wide = convert(np.float64, zero)
    log, log_lo = _logarithms(zero, book)
    _write_logarithms(zero, book, log, log_lo)
    s, lost = two_sum(convert(np.float64, read(book, MAXIMUM, zero)), read(book, LOG, wide))
    value = s + (lost + log_lo)
    without = value != value
    if count == lane_count(zero) and not any_lane(without):
        store(values, first * 8, value)
        return
    write(book, LOG, value)
    for slot in range(count):
        value = entry(book, LOG, slot, wide)
        if np.isnan(value):
            value = _without_numbers(z, row_offset(first + slot, inner, outer, zi), zc, n)
        store_scalar(values, (first + slot) * 8, value)


@inner
def _visit_logsumexp(arguments):
    z, zo, zc, zi, inner, n, ledger, step, rows, tile, stride, values = arguments
    member = join(ledger)
    if member < 0:
        return
    zero = like(z)
    given = (z, zo, zc, zi, inner, n, values)
    if stride < 0:
        visit_few(
            z, zo, z, zo, n, ledger, member, step, rows, False, retyped(tile, zero), True, skip_largest,
            _finish_logsumexp, write_nothing, given,
        )  # fmt: skip
        return
    tile = share(tile, ledger, TILE, member)
    lanes = lane_count(zero)
    book, after = stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES)
    for one in (book, after):
        begin_book(zero, one, LARGEST)
    nothing = retyped(book, zero)
    group = lanes if stride > 0 else rows_at_once(z, n, False)
    looks, known = stride == 0 and looks_ahead(z, n), False
    start = next_piece(ledger, member, step, rows)
    while start < rows:
        stop = min(start + step, rows)
        following = next_piece(ledger, member, step, rows)  # known early, for prefetching
        if stride > 0:
            pack(z, zo, zc, zi, inner, n, start, stop - start, tile, stride)
        for row in range(start, stop, group):
            count, at = min(group, stop - row), (row - start) * item_size(z)
            next_row, next_count = next_rows(row, group, stop, following, step, rows)
            if stride > 0:
                foresee(z, zo, zc, zi, inner, n, next_row, next_count)
            if not looks:
                next_count = 0 * rows
            statistics(
                z, zo, zi, inner, n, row, count, tile, at, stride, book, known,
                False, nothing, z, zo, zi, False, (row, 0 * rows, book), (next_row, next_count, after),
            )  # fmt: skip
            _finish_logsumexp(zero, row, count, book, given)
            book, after, known = after, book, next_count > 0
        start = following


@kernel
def logsumexp_rows(logits, zo, zc, zi, inner, n, ledger, step, rows, tiles, stride, values):
    """values_i = log Σ_c exp z_ic of each row. values: float64, one per row."""
    arguments = (
        pointer(logits), zo, zc, zi, inner, n, pointer(ledger), step, rows, pointer(tiles), stride, pointer(values)
    )  # fmt: skip
    in_team(_visit_logsumexp, pointer(ledger), arguments)
