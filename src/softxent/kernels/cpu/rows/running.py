"""A long row that is read from memory once: its maximum and its sum, block by block.

A row's sum needs its maximum first. If a row does not stay in the caches, it would be read from memory twice. So a
block's maximum is taken, then its sum, in the frame of the largest logit so far. If a block has a larger one, the sum
so far is multiplied by 2^(k − k'), exactly, so that it has the bits of a sum in one frame. (Milakov and Gimelshein,
"Online normalizer calculation for softmax", 2018, multiply by e^(m − m'), which rounds.)
"""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.arithmetic.scaling import frame, is_finite
from softxent.kernels.cpu.rows.reductions import sum_of_lanes
from softxent.kernels.cpu.rows.row import add_classes, row_max
from softxent.kernels.cpu.simd.jit import inlined, inner
from softxent.kernels.cpu.simd.lanes import convert, extract, from_bits, lane_count, select
from softxent.kernels.cpu.simd.memory import item_size, like

__all__ = ["running_sum", "runs"]

# A block: 16 KB of float32 or float64. Memory is prefetched two blocks ahead.
_BLOCK_VECTORS = 256
# A shorter row stays in the caches until its sum, if its maximum was taken with an earlier row's sum.
_LEAST_BYTES = 1 << 20
_STEPS = np.int64(1000)  # 2^-1000 is a normal float64


@inner
def runs(z, n):
    """Whether rows of n classes, visited one by one, are long enough."""
    return n * item_size(z) > _LEAST_BYTES


@inlined
def _frame(zero, m):
    """The frame of one maximum, of its dtype."""
    shift, k, floor, magic = frame(zero + select(is_finite(m), m, 0.0))
    return extract(shift, 0), extract(k, 0), extract(floor, 0), extract(magic, 0)


@inner
def _lowered(s, e, steps):
    """(s, e) · 2^-steps, exact if a result can show the difference."""
    while steps > 0:
        power = from_bits((1023 - min(steps, _STEPS)) << 52)
        s, e = s * power, e * power
        steps -= _STEPS
    return s, e


@inner
def running_sum(z, at, ahead, n, skip, results):
    """Return (m, shift, k, floor, magic, s, e): a row's maximum, its frame, and its sum as row_sum has it.

    ahead: the byte offset of the next row. If logits are so large that a frame is shifted, frames do not differ by
    powers of two, and the sum is computed again with the row's maximum. results: as in row_sum; not used.
    """
    zero = like(z)
    wide, size, block = convert(np.float64, zero), item_size(z), _BLOCK_VECTORS * lane_count(zero)
    m = row_max(z, at, 0 * n)
    shift, k, floor, magic = _frame(zero, m)
    s, e = wide, zero
    start = 0 * n
    while start < n:
        stop = min(start + block, n)
        top = row_max(z, at + start * size, stop - start)
        if top > m:
            earlier, earlier_k, earlier_shift = m, k, shift
            m = top
            shift, k, floor, magic = _frame(zero, m)
            if earlier > -np.inf:
                if shift != 0.0 or earlier_shift != 0.0:
                    m = row_max(z, at, n)
                    shift, k, floor, magic = _frame(zero, m)
                    s, e = wide, zero
                    start = 0 * n
                    stop = block
                else:
                    # A sum below the floor becomes 0; a NaN stays NaN.
                    s, e = _lowered(s, e, np.int64(k - earlier_k)) if earlier > floor else (s * 0.0, e * 0.0)
        soon = at + 2 * block * size if start + 2 * block < n else ahead - (n - 2 * block) * size
        s, e, _, _ = add_classes(
            z, at, soon, False, start, stop, n, skip, s, e, shift, floor, magic, False, results, 0 * n
        )
        start = stop
    s, e = sum_of_lanes(s, e)
    return m, shift, k, floor, magic, s, e
