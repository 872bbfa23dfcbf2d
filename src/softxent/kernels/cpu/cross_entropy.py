"""Cross-entropy of rows with index labels: losses, and gradients in the same visit.

One row with label y, in the row's frame (arithmetic.scaling), where w is the label's weight, s the row's scale, λ the
z-loss and D the divisor of the reduction:

    e_c = exp(z_c),  R = Σ_{c≠y} e_c,  S = R + e_y,  L = log(S / e_m),  lse = m + L
    loss       = s (w ((m − z_y) + L) + λ lse²)
    ∂loss/∂z_c = s A e_c / (S D),  A = w + 2 λ lse         c ≠ y
    ∂loss/∂z_y = s (2 λ lse e_y − w R) / (S D)             no p_y − 1 that cancels

L is log1p(x). If y is a largest class, x = R/e_m, so that a confident row's loss keeps its digits; otherwise
x = (S − e_m)/e_m, and (m − z_y) + L is a sum of two positive terms. The other modifiers of a loss are in general.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.label_terms import LOSS, SCALE, WEIGHT, finish
from softxent.kernels.cpu.rows.accumulators import (
    BOOK_LINES,
    IGNORED,
    SKIP,
    SKIPPED,
    SKIPPED_RESULT,
    entry,
    read,
    set_entry,
    write,
)
from softxent.kernels.cpu.rows.groups import (
    looks_ahead,
    next_rows,
    row_offset,
    rows_at_once,
    statistics,
    write_results,
)
from softxent.kernels.cpu.rows.short_rows import visit_few, write_skipping
from softxent.kernels.cpu.rows.tile import foresee, pack, unpack
from softxent.kernels.cpu.simd.jit import inlined, inner, kernel
from softxent.kernels.cpu.simd.lanes import convert, integer_splat, lane_count, select, to_integers
from softxent.kernels.cpu.simd.memory import (
    fence,
    item_size,
    like,
    load,
    load_scalar,
    pointer,
    stack_lines,
    store,
    store_scalar,
    stream_scalar,
)
from softxent.kernels.cpu.threads.team import KEPT, TILE, in_team, join, next_piece, share

__all__ = ["label_rows", "visit_label_rows"]


@inlined
def _note_skipped(zero, row, count, labels, ignore_index, book):
    """Write the labels of a group as SKIP."""
    for slot in range(count):
        y = load_scalar(labels, (row + slot) * 8)
        set_entry(book, SKIP, slot, integer_splat(zero, 0), IGNORED if y == ignore_index else y)


@inner
def _note_labels(z, zo, zc, zi, inner, row, count, labels, ignore_index, weight, weighted, row_scale, scaled, book):
    """Write the labels of a group, their logits and weights, and the rows' scales into the book."""
    zero = like(z)
    wide, numbers = convert(np.float64, zero), integer_splat(zero, IGNORED)
    write(book, SKIP, numbers)
    write(book, WEIGHT, wide + 1.0)
    write(book, SCALE, wide + 1.0)
    for slot in range(count):
        y = load_scalar(labels, (row + slot) * 8)
        if y == ignore_index:
            continue
        set_entry(book, SKIP, slot, numbers, y)
        z_y = load_scalar(z, row_offset(row + slot, inner, zo, zi) + y * zc)
        set_entry(book, SKIPPED, slot, zero, z_y)
        if weighted:
            set_entry(book, WEIGHT, slot, wide, load_scalar(weight, y * 8))
        if scaled:
            set_entry(book, SCALE, slot, wide, load_scalar(row_scale, (row + slot) * 8))


@inner
def _note_labels_at_once(zero, row, labels, ignore_index, book):
    """Do what _note_labels does for a whole vector of rows, without weights and scales; the sums provide the logits."""
    y = load(labels, row * 8, zero)
    write(book, SKIP, to_integers(zero, select(y == ignore_index, IGNORED, y)))
    write(book, WEIGHT, convert(np.float64, zero) + 1.0)
    write(book, SCALE, convert(np.float64, zero) + 1.0)


@inner
def _write_labels(out, oo, oc, oi, inner, row, count, book, streams):
    """Write the gradients at a group's labels, outside a tile; bypass the caches if the other gradients do."""
    zero = like(out)
    for slot in range(count):
        y = np.int64(entry(book, SKIP, slot, integer_splat(zero, 0)))
        if y != IGNORED:
            value = entry(book, SKIPPED_RESULT, slot, zero)
            to = row_offset(row + slot, inner, oo, oi) + y * oc
            if streams:
                stream_scalar(out, to, value)
            else:
                store_scalar(out, to, value)


@inlined
def _write_losses(zero, row, count, book, losses):
    wide = convert(np.float64, zero)
    if count == lane_count(zero):
        store(losses, row * 8, read(book, LOSS, wide))
    else:
        for slot in range(count):
            store_scalar(losses, (row + slot) * 8, entry(book, LOSS, slot, wide))


@inlined
def _begin_few(z, zo, whole, rest, first, count, book, given):
    """Do what _note_labels does for a group of rows of few classes."""
    zero = like(z)
    labels, ignore_index, weight, weighted, scales, scaled, _, _, _, _, _ = given
    if weighted or scaled or count < lane_count(zero):
        zc, one = np.int64(item_size(z)), np.int64(1)
        _note_labels(
            z, zo, zc, zc, one, first, count, labels, ignore_index, weight, weighted, scales, scaled, book
        )  # fmt: skip
        return
    _note_labels_at_once(zero, first, labels, ignore_index, book)
    at = first * zo
    for slot in range(count):
        y = max(np.int64(entry(book, SKIP, slot, integer_splat(zero, 0))), 0)
        set_entry(book, SKIPPED, slot, zero, load_scalar(z, at + y * item_size(z)))
        at += zo


@inlined
def _finish_few(zero, first, count, book, given):
    _, _, _, _, _, _, plain, z_loss, divisor, losses, want_grad = given
    finish(zero, book, plain, z_loss, divisor, want_grad)
    _write_losses(zero, first, count, book, losses)


@inlined
def _write_few(z, zo, out, oo, whole, rest, first, count, book, kept, given):
    if given[-1]:
        write_skipping(z, zo, out, oo, whole, rest, first, count, book, kept, given)


@inner
def visit_label_rows(
    z,
    zo,
    zc,
    zi,
    out,
    oo,
    oc,
    oi,
    inner,
    n,
    ledger,
    member,
    step,
    rows,
    tile,
    stride,
    streams,
    labels,
    ignore_index,
    weight,
    weighted,
    scales,
    scaled,
    z_loss,
    divisor,
    losses,
    want_grad,
    may_keep,
    kept,
):
    """Do the work of label_rows, on pointers; weighted, scaled: whether there are class weights and rows' scales."""
    keeps = may_keep and want_grad
    zero = like(z)
    if stride < 0:
        plain = not (weighted or scaled) and z_loss == 0.0
        given = (
            labels, ignore_index, weight, weighted, scales, scaled, plain, z_loss, divisor, losses, want_grad
        )  # fmt: skip
        visit_few(
            z, zo, out, oo, n, ledger, member, step, rows, want_grad, kept, True, _begin_few, _finish_few, _write_few,
            given,
        )  # fmt: skip
        return
    lanes = lane_count(zero)
    before, book, after = stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES), stack_lines(zero, BOOK_LINES)
    group = lanes if stride > 0 else rows_at_once(z, n, keeps)
    plain = not (weighted or scaled) and z_loss == 0.0
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
            _note_skipped(zero, next_row, next_count, labels, ignore_index, after)
            whole = stride > 0 and count == lanes and not (weighted or scaled)
            if whole:
                _note_labels_at_once(zero, row, labels, ignore_index, book)
            else:
                _note_labels(
                    z, zo, zc, zi, inner, row, count, labels, ignore_index, weight, weighted, scales, scaled, book
                )
            statistics(
                z, zo, zi, inner, n, row, count, tile, at, stride, book, known,
                keeps, kept, out, oo, oi, streams, (earlier, waiting, before), (next_row, next_count, after),
            )  # fmt: skip
            if waiting > 0:
                _write_labels(out, oo, oc, oi, inner, earlier, waiting, before, streams)
            finish(zero, book, plain, z_loss, divisor, want_grad)
            _write_losses(zero, row, count, book, losses)
            if late:
                earlier, waiting = row, count
            elif want_grad:
                write_results(
                    z, zo, zi, inner, n, row, count, tile, at, stride, book, keeps, kept, out, oo, oi, streams,
                    True,
                )  # fmt: skip
                if stride == 0:
                    _write_labels(out, oo, oc, oi, inner, row, count, book, streams)
            before, book, after, known = book, after, before, next_count > 0
        if stride > 0 and want_grad:
            unpack(tile, stride, out, oo, oc, oi, inner, n, start, stop - start)
        start = following
    if waiting > 0:
        write_results(
            z, zo, zi, inner, n, earlier, waiting, tile, np.int64(0), stride, before, keeps, kept, out, oo, oi, streams,
            True,
        )  # fmt: skip
        _write_labels(out, oo, oc, oi, inner, earlier, waiting, before, streams)
    if streams and want_grad:
        fence()


@inner
def _visit(arguments):
    (
        z, zo, zc, zi, out, oo, oc, oi, inner, n, ledger, step, rows, tile, stride, streams, labels, ignore_index,
        weight, weighted, scales, scaled, z_loss, divisor, losses, want_grad, may_keep, kept,
    ) = arguments  # fmt: skip
    member = join(ledger)
    if member >= 0:
        visit_label_rows(
            z, zo, zc, zi, out, oo, oc, oi, inner, n, ledger, member, step, rows, share(tile, ledger, TILE, member),
            stride, streams, labels, ignore_index, weight, weighted, scales, scaled, z_loss, divisor, losses, want_grad,
            may_keep, share(kept, ledger, KEPT, member),
        )  # fmt: skip


@kernel
def label_rows(
    logits, zo, zc, zi, results, oo, oc, oi, inner, n, ledger, step, rows, tiles, stride, streams, index_labels,
    ignore_index, class_weight, row_scales, z_loss, divisor, row_losses, want_grad, may_keep, terms,
):  # fmt: skip
    """Compute the rows' losses and, if wanted, their gradients into results, which may be the logits.

    index_labels: (N,) int64, each a class or ignore_index; class_weight: (C,) float64, row_scales: (N,) float64, each
    of size 0 if there are none; row_losses: (N,) float64. The other arguments are those of softmax.
    """
    arguments = (
        pointer(logits), zo, zc, zi, pointer(results), oo, oc, oi, inner, n, pointer(ledger), step, rows,
        pointer(tiles), stride, streams, pointer(index_labels), ignore_index,
        pointer(class_weight), class_weight.size > 0, pointer(row_scales), row_scales.size > 0,
        z_loss, divisor, pointer(row_losses), want_grad, may_keep, pointer(terms),
    )  # fmt: skip
    in_team(_visit, pointer(ledger), arguments)
