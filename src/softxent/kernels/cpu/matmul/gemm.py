"""Matrix products that can accumulate, and whose bits depend on the inner dimension alone.

    out (M, N) = A (M, K) B (K, N),  or  out += A B

K is divided into steps of DEPTH; within a step each element is one chain of fused multiply-adds, and the steps are
added in order. So a row of the result is the same in every batch, with any number of threads, and on every CPU with
fused multiply-adds. BLAS guarantees none of these.

    for a block of K:               A's part packed once: the second-level cache
      for a panel of B's columns:   packed for each step: the first-level cache
        for a step of K:
          for each panel of A:      a tile of the result in registers (matmul.tile)

The kernel runs in the calling thread; callers divide M and N into pieces for their threads. Half precision is read
directly. On processors that the tile does not support, NumPy's BLAS multiplies (matmul.blas).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from softxent.kernels.cpu.matmul.panels import pack, panel_bytes
from softxent.kernels.cpu.matmul.tile import multiply_tile, tile_columns, tile_rows, tile_shape
from softxent.kernels.cpu.simd.jit import inner, kernel
from softxent.kernels.cpu.simd.lanes import lane_count, size_in_memory
from softxent.kernels.cpu.simd.memory import (
    advanced,
    like,
    load,
    load_first,
    misalignment,
    pointer,
    pointer_at,
    store_first,
)
from softxent.kernels.cpu.threads import scheduler

__all__ = ["gemm"]

# With this step of K, a panel of B, 48 columns of float32, is as large as the first-level cache. A block of A, 640 rows
# of 768, has 1.9 MB.
DEPTH = 256
_BLOCK_DEPTH, _BLOCK_ROWS = 3 * DEPTH, 640


@inner
def _add_part(part, columns_in_part, out, at, row_step, rows, columns, first, zero):
    """Write or add the first rows and columns of a tile."""
    lanes, size = lane_count(zero), size_in_memory(zero)
    for i in range(rows):
        for j in range(0, columns, lanes):
            count = min(lanes, columns - j)
            sums = load(part, (i * columns_in_part + j) * size, zero)
            to = at + i * row_step + j * size
            if not first:
                sums = sums + load_first(out, to, count, zero)
            store_first(out, to, count, sums)


@inner
def _aligned(memory):
    """A pointer to an array's first element at a multiple of a vector's size."""
    start = pointer(memory)
    return advanced(start, misalignment(start, 0) * memory.itemsize)


@kernel
def _multiply(
    a_at, a_row, a_step, b_at, b_step, b_column, out_at, out_row, m, n, k, accumulate, a_like, b_like, rows, packed_a,
    packed_b, part,
):  # fmt: skip
    """out = A B or out += A B; A (m, k), B (k, n), out (m, n) given by addresses and byte strides.

    a_like, b_like: arrays of the dtypes; rows: the rows of A that are packed at a time, a multiple of a tile's rows.
    """
    a, b, out = pointer_at(a_at, a_like), pointer_at(b_at, b_like), pointer_at(out_at, packed_a)
    a_panels, b_panel, tile = _aligned(packed_a), _aligned(packed_b), _aligned(part)
    zero = like(a_panels)
    size, height, width = size_in_memory(zero), tile_rows(), tile_columns(zero)
    for block in range(0, k, _BLOCK_DEPTH):
        depth = min(_BLOCK_DEPTH, k - block)
        between = panel_bytes(height, depth, zero)
        for top in range(0, m, rows):
            here = min(rows, m - top)
            pack(a, top * a_row + block * a_step, a_row, a_step, here, depth, a_panels, height, zero)
            for left in range(0, n, width):
                columns = min(width, n - left)
                for start in range(0, depth, DEPTH):
                    steps = min(DEPTH, depth - start)
                    from_b = (block + start) * b_step + left * b_column
                    pack(b, from_b, b_column, b_step, columns, steps, b_panel, width, zero)
                    first = block + start == 0 and not accumulate
                    for i in range(0, here, height):
                        from_a = i // height * between + start * height * size
                        to = (top + i) * out_row + left * size
                        if here - i >= height and columns == width:
                            multiply_tile(a_panels, from_a, b_panel, steps, out, to, out_row, first)
                        else:
                            multiply_tile(a_panels, from_a, b_panel, steps, tile, 0, width * size, True)
                            _add_part(tile, width, out, to, out_row, min(height, here - i), columns, first, zero)


_KERNEL_DTYPES = {"float16": np.uint16, "bfloat16": np.int16}


@functools.cache
def _like(dtype: np.dtype[Any]) -> np.ndarray:
    return np.empty(0, _KERNEL_DTYPES.get(dtype.name, dtype))


def gemm(a: np.ndarray, b: np.ndarray, out: np.ndarray, accumulate: bool) -> None:
    """out = a @ b, or out += a @ b, in this thread.

    Args:
        a: (M, K); b: (K, N): float32, float16 or bfloat16, or both float64, aligned, of any strides.
        out: (M, N), float32 or float64, whose rows are contiguous.
        accumulate: whether to add to out.
    """
    (m, k), n = a.shape, b.shape[1]
    if m == 0 or n == 0 or k == 0:
        if not accumulate:
            out[...] = 0
        return
    height, vectors = tile_shape()
    lanes = 64 // out.itemsize
    blocks = -(-m // _BLOCK_ROWS)
    rows = -(-m // (blocks * height)) * height
    width, depth = vectors * lanes, min(k, _BLOCK_DEPTH)
    # Each has room for whole vectors beyond its end, and for its alignment.
    packed_a = scheduler.scratch("panels of A", rows // height * (depth * height + lanes) + 20 * lanes, out.dtype)
    packed_b = scheduler.scratch("panel of B", (DEPTH + lanes) * width + 3 * lanes, out.dtype)
    part = scheduler.scratch("sums", height * width + lanes, out.dtype)
    _multiply(
        a.ctypes.data, *a.strides, b.ctypes.data, *b.strides, out.ctypes.data, out.strides[0], m, n, k, accumulate,
        _like(a.dtype), _like(b.dtype), rows, packed_a, packed_b, part,
    )  # fmt: skip
