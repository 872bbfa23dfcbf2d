"""Parts of a matrix, copied in the order in which a product reads them: panels of a few rows or columns, step by step.

A panel holds, for each step of k, the numbers of `panel` neighbours (rows of the left matrix, columns of the right
one). If neighbours are adjacent in memory, several panels are copied at a time; if the steps are adjacent, squares are
transposed in registers. Half precision is converted to float32. Beyond the matrix, the last panel holds arbitrary
numbers, whose products are never stored.

Between panels there is room for a vector, because a panel narrower than a vector is written in whole vectors. This also
keeps panels that are written together in different sets of the cache.
"""

from __future__ import annotations

from softxent.kernels.cpu.rows.transpose import square_to_tile
from softxent.kernels.cpu.simd.jit import inner, kernel
from softxent.kernels.cpu.simd.lanes import lane_count, size_in_memory
from softxent.kernels.cpu.simd.memory import (
    item_size,
    load,
    load_first,
    load_scalar,
    prefetch,
    store,
    store_scalar,
)

__all__ = ["pack", "panel_bytes"]

# How many bytes of neighbours are copied together, and how many steps ahead they are prefetched: rows of a large matrix
# are pages apart, which hardware prefetchers do not cross.
_TOGETHER, _AHEAD, _LINE = 768, 4, 64


@inner
def panel_bytes(panel, depth, zero):
    """The distance in bytes from one panel's first number to the next panel's."""
    return (depth * panel + lane_count(zero)) * size_in_memory(zero)


@inner
def _copy(source, at, step, count, depth, target, panel, zero):
    lanes, size, item = lane_count(zero), size_in_memory(zero), item_size(source)
    between = panel_bytes(panel, depth, zero)
    together = max(_TOGETHER // item // panel, 1) * panel
    for first in range(0, count, together):
        last = min(count, first + together)
        for k in range(depth):
            row = at + k * step
            for ahead in range(first * item, last * item, _LINE):
                prefetch(source, row + _AHEAD * step + ahead)
            for start in range(first, last, panel):
                to = start // panel * between + k * panel * size
                for j in range(0, panel, lanes):
                    here = min(min(lanes, panel - j), count - start - j)
                    if here == lanes:
                        store(target, to + j * size, load(source, row + (start + j) * item, zero))
                    else:
                        part = load_first(source, row + (start + j) * item, max(here, 0), zero)
                        store(target, to + j * size, part)


@inner
def _transpose(source, at, step, count, depth, target, panel, zero):
    lanes, size, item = lane_count(zero), size_in_memory(zero), item_size(source)
    between = panel_bytes(panel, depth, zero)
    for start in range(0, count, panel):
        for j in range(0, panel, lanes):
            neighbour = min(start + j, count - 1)
            rows = max(min(min(lanes, panel - j), count - start - j), 1)
            to = start // panel * between + j * size
            for k in range(0, depth, lanes):
                square_to_tile(
                    source, at + neighbour * step + k * item, step, rows, min(lanes, depth - k),
                    target, to + k * panel * size, panel * size,
                )  # fmt: skip


@inner
def _gather(source, at, neighbour_step, step, count, depth, target, panel, zero):
    size = size_in_memory(zero)
    between = panel_bytes(panel, depth, zero)
    for start in range(0, count, panel):
        for k in range(depth):
            for j in range(panel):
                neighbour = min(start + j, count - 1)
                number = load_scalar(source, at + neighbour * neighbour_step + k * step)
                store_scalar(target, start // panel * between + (k * panel + j) * size, number)


@kernel
def pack(source, at, neighbour_step, step, count, depth, target, panel, zero):
    """Copy `count` neighbours, neighbour_step bytes apart, of `depth` steps, step bytes apart, to panels.

    The target has room for `panel` vectors after the last panel.
    """
    if neighbour_step == item_size(source):
        _copy(source, at, step, count, depth, target, panel, zero)
    elif step == item_size(source):
        _transpose(source, at, neighbour_step, count, depth, target, panel, zero)
    else:
        _gather(source, at, neighbour_step, step, count, depth, target, panel, zero)
