"""A group's book: its numbers in memory, a line of LANES numbers for each quantity, one row per lane.

Quantities of logits and results (maxima, frames, factors, the skipped class's logit and result) have the working dtype,
SKIP has integers of its width; sums, logarithms and a finish's own quantities are float64.
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.arithmetic.scaling import frame, is_finite, unscaled
from softxent.kernels.cpu.simd.jit import inlined
from softxent.kernels.cpu.simd.lanes import integer_splat, lane_count, select, size_in_memory
from softxent.kernels.cpu.simd.memory import load, load_scalar, retyped, store, store_scalar

__all__ = [
    "ARGUMENT",
    "BOOK_LINES",
    "FACTOR",
    "FACTOR_LO",
    "FLOOR",
    "IGNORED",
    "LARGEST",
    "LOG",
    "LOG_LO",
    "MAGIC",
    "MAXIMUM",
    "NONE",
    "SCRATCH_LINES",
    "SHIFT",
    "SKIP",
    "SKIPPED",
    "SKIPPED_RESULT",
    "SUM",
    "SUM_LO",
    "UNIT",
    "K",
    "begin_book",
    "entry",
    "note_sums",
    "read",
    "set_entry",
    "write",
    "write_frames",
]


# int64, because Numba would compile a function again for each Python integer that is its argument.
MAXIMUM, SHIFT, FLOOR, MAGIC, K, SUM, SUM_LO, SKIP, FACTOR, FACTOR_LO, UNIT, LOG, LOG_LO = map(np.int64, range(13))
# The skipped class's logit (for rows of a tile it is set with their sums), and its result.
SKIPPED, SKIPPED_RESULT = map(np.int64, (13, 14))
ARGUMENT = np.int64(15)  # the first of four lines for a finish's own quantities
BOOK_LINES = 19
SCRATCH_LINES = 2 * 16  # two lines per lane: for unfolded sums, or for a group's vectors and low parts
# SKIP may be a class, or: no class, the first of the largest classes, or a row that is not visited.
NONE, LARGEST, IGNORED = map(np.int64, (-1, -2, -3))


@inlined
def begin_book(zero, book, skip):
    """Initialise a book before its first group: all rows skip the same."""
    write(book, SKIP, integer_splat(zero, skip))


@inlined
def read(book, line, like):
    """A line of a book; like: a vector of its type."""
    return load(retyped(book, like), line * lane_count(like) * 8, like)


@inlined
def write(book, line, value):
    """Set a line of a book."""
    store(retyped(book, value), line * lane_count(value) * 8, value)


@inlined
def entry(book, line, slot, like):
    """One row's number; like: a vector of the line's type."""
    return load_scalar(retyped(book, like), line * lane_count(like) * 8 + slot * size_in_memory(like))


@inlined
def set_entry(book, line, slot, like, value):
    """Set one row's number; like: a vector of the line's type."""
    store_scalar(retyped(book, like), line * lane_count(like) * 8 + slot * size_in_memory(like), value)


@inlined
def write_frames(zero, book, m):
    """Write the maxima of a group's rows, a vector of the working dtype, and their frames."""
    shift, k, floor, magic = frame(select(is_finite(m), m, 0.0))
    write(book, MAXIMUM, m)
    write(book, SHIFT, shift)
    write(book, FLOOR, floor)
    write(book, MAGIC, magic)
    write(book, K, k)


@inlined
def note_sums(zero, book, s, e):
    """Write the sums s + e of a group's rows, unscaled from their frames."""
    total = s + e
    write(book, SUM, unscaled(zero, total))
    write(book, SUM_LO, unscaled(zero, e - (total - s)))
