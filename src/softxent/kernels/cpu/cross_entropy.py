"""Cross-entropy of rows with index labels: losses, and gradients in the same visit.

One row with label y, in the row's frame (softxent.kernels.cpu.frames), where w is the label's weight, s the row's
scale, λ the z-loss and D what the reduction divides by:

    e_c = exp(z_c),  R = Σ_{c≠y} e_c,  S = R + e_y,  L = log(S / e_m),  lse = m + L
    loss       = s (w ((m − z_y) + L) + λ lse²)
    ∂loss/∂z_c = s A e_c / (S D),  A = w + 2 λ lse         c ≠ y
    ∂loss/∂z_y = s (2 λ lse e_y − w R) / (S D)             no p_y − 1 that cancels

L is log1p(x) with x = R/e_m where y is a largest class, so that a confident row's loss keeps its digits; elsewhere
x = (S − e_m)/e_m, and (m − z_y) + L is a sum of two positive terms. What else modifies a loss is in
softxent.kernels.cpu.general.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.exponentials import quotient
from softxent.kernels.cpu.floats import absolute, fma, quick_two_sum, two_sum
from softxent.kernels.cpu.frames import exp_in_frame, is_finite
from softxent.kernels.cpu.groups import (
    ARGUMENT,
    BOOK_LINES,
    IGNORED,
    MAXIMUM,
    SHIFT,
    SKIP,
    SUM,
    SUM_LO,
    K,
    entry,
    note_scaling,
    read,
    row_offset,
    rows_at_once,
    set_entry,
    statistics,
    write,
    write_results,
)
from softxent.kernels.cpu.jit import inlined, inner, kernel
from softxent.kernels.cpu.lanes import convert, lane_count, select
from softxent.kernels.cpu.log import log1p_pair
from softxent.kernels.cpu.memory import fence, item_size, like, load_scalar, pointer, store_scalar
from softxent.kernels.cpu.tile import foresee, pack, unpack

__all__ = ["label_rows"]

# The caller's lines of a book.
_LABEL_LOGIT, _WEIGHT, _SCALE, _LOSS, _AT_LABEL = (ARGUMENT + k for k in range(5))
# A numerator below 1 is made larger by 2^_UP, so that its quotient is a normal number.
_UP = 200


@inlined
def _times(t, x):
    """t·x with 0·∞ = 0: what weighs nothing adds nothing."""
    return select(t == 0.0, 0.0, t * x)


@inner
def _finish(zero, book, z_loss, divisor, want_grad):
    """From sums to losses, factors and the gradient at the label."""
    wide = convert(np.float64, zero)
    m, z_y, k = read(book, MAXIMUM, wide), read(book, _LABEL_LOGIT, wide), read(book, K, wide)
    shift = read(book, SHIFT, wide)
    rest, rest_lo = read(book, SUM, wide), read(book, SUM_LO, wide)
    weight, scale = read(book, _WEIGHT, wide), read(book, _SCALE, wide)
    ignored = read(book, SKIP, wide) == IGNORED

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
    write(book, _LOSS, select(ignored, 0.0, loss))
    if not want_grad:
        return

    extra = _times(wide + 2.0 * z_loss, lse)
    push, pull = (weight + extra) * scale, weight * scale
    lifted = absolute(push) < 1.0
    lift = select(lifted, 2.0**_UP, wide + 1.0)
    f, f_lo = quotient(push * lift, divisor, s, s_lo)
    g, g_lo = quotient(pull * lift, divisor, s, s_lo)
    down = fma(rest, g, fma(rest, g_lo, rest_lo * g))
    # up − down and not −down: a single class has the gradient +0.
    up = _times(extra * scale * lift, e_y / (divisor * s))
    at_label = (up - down) * select(lifted, 2.0**-_UP, wide + 1.0)
    bad = bad | ~is_finite(f)
    write(book, _AT_LABEL, select(bad, np.nan, at_label))
    zeros = convert(np.int64, wide)
    note_scaling(zero, book, f, f_lo, select(lifted, zeros + _UP, zeros), bad)


@inner
def _note_labels(z, zo, zc, zi, inner, row, count, labels, ignore_index, weight, weighted, row_scale, scaled, book):
    """Note the labels of a group, their logits and weights, and the rows' scales."""
    lanes = lane_count(like(z))
    nothing = convert(np.float64, like(z))
    write(book, SKIP, nothing + IGNORED)
    write(book, _WEIGHT, nothing + 1.0)
    write(book, _SCALE, nothing + 1.0)
    for slot in range(count):
        y = load_scalar(labels, (row + slot) * 8)
        if y == ignore_index:
            continue
        set_entry(book, SKIP, slot, lanes, y)
        z_y = load_scalar(z, row_offset(row + slot, inner, zo, zi) + y * zc)
        set_entry(book, _LABEL_LOGIT, slot, lanes, z_y)
        if weighted:
            set_entry(book, _WEIGHT, slot, lanes, load_scalar(weight, y * 8))
        if scaled:
            set_entry(book, _SCALE, slot, lanes, load_scalar(row_scale, (row + slot) * 8))


@kernel
def label_rows(
    logits,
    zo,
    zc,
    zi,
    results,
    oo,
    oc,
    oi,
    inner,
    n,
    first,
    last,
    tiles,
    stride,
    streams,
    index_labels,
    ignore_index,
    class_weight,
    row_scales,
    z_loss,
    divisor,
    row_losses,
    want_grad,
    may_keep,
    terms,
):
    """Losses of rows first … last, and where they are wanted their gradients, into results, which may be the logits.

    index_labels: (N,) int64, each a class or ignore_index; class_weight: (C,) float64, row_scales: (N,) float64, each of
    size 0 where there are none; row_losses: (N,) float64. The other arguments are those of
    softxent.kernels.cpu.groups, the arrays by one element at their beginning.
    """
    z, out, tile = pointer(logits), pointer(results), pointer(tiles)
    labels, losses, weight, scales = pointer(index_labels), pointer(row_losses), pointer(class_weight), pointer(row_scales)
    weighted, scaled = class_weight.size > 0, row_scales.size > 0
    kept, keeps = pointer(terms), may_keep and want_grad
    zero = like(z)
    lanes = lane_count(zero)
    size = item_size(z)
    lines = np.empty(BOOK_LINES * lanes)
    book = pointer(lines)
    group, chunk = rows_at_once(z, n, keeps) if want_grad else lanes, last - first
    if stride > 0:
        group, chunk = lanes, stride
    for start in range(first, last, chunk):
        stop = min(start + chunk, last)
        if stride > 0:
            pack(z, zo, zc, zi, inner, n, start, stop - start, tile, stride)
        for row in range(start, stop, group):
            count, at = min(group, stop - row), (row - start) * size
            ahead = row + group if row + 2 * group <= stop else row
            _note_labels(
                z, zo, zc, zi, inner, row, count, labels, ignore_index, weight, weighted, scales, scaled, book
            )
            if stride > 0 and row + chunk < last:
                foresee(z, zo, zc, zi, inner, n, row + chunk, min(lanes, last - row - chunk))
            statistics(z, zo, zi, inner, n, row, count, tile, at, stride, book, keeps, kept)
            _finish(zero, book, z_loss, divisor, want_grad)
            for slot in range(count):
                store_scalar(losses, (row + slot) * 8, entry(book, _LOSS, slot, lanes))
            if not want_grad:
                continue
            write_results(z, zo, zi, inner, n, row, count, tile, at, stride, book, keeps, kept, out, oo, oi, ahead, streams)
            for slot in range(count):
                y = np.int64(entry(book, SKIP, slot, lanes))
                if y == IGNORED:
                    for c in range(n if stride > 0 else 0):
                        store_scalar(tile, at + slot * size + c * stride * size, 0.0)
                    continue
                value = entry(book, _AT_LABEL, slot, lanes)
                if stride > 0:
                    store_scalar(tile, at + slot * size + y * stride * size, value)
                else:
                    store_scalar(out, row_offset(row + slot, inner, oo, oi) + y * oc, value)
        if stride > 0 and want_grad:
            unpack(tile, stride, out, oo, oc, oi, inner, n, start, stop - start)
    if streams and want_grad:
        fence()
