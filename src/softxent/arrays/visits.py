"""Describe an array to the kernels: its first element, its byte strides, and the rows that each thread visits.

An array whose rows have three strides, (outer, class, inner), is read and written in place, in half precision too: it
is not copied or transposed as a whole. In softxent.kernels.cpu.rows, rows of many classes are visited one by one (row,
or running for some long rows), rows of few classes, several at a time (short_rows). Rows of very few classes, and rows
whose classes are not contiguous, go through a tile (tile). A row's result has the same bits in each case.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from softxent.arrays.rows import Layout, as_writable

__all__ = ["NOTHING", "Plan", "Strided", "kernels", "plan", "strided", "strided_like", "threads_for", "visit"]

NOTHING = np.empty(0)
_FLOAT32 = np.dtype(np.float32)

# FEW as a stride means groups of rows with their classes along the lanes: from half a vector up to _FEW_BYTES.
FEW, _FEW_BYTES = -1, 512
# Rows that are not FEW are visited one by one if their classes are contiguous and take more bytes than this.
_TILED_ROW_BYTES = 480
# A tile holds one vector of rows, or more up to this size, which fits the first-level cache if inner = 1. Otherwise it
# fits only the second-level cache: long pieces of each class then matter more.
_TILE_BYTES, _DEEP_TILE_BYTES = 24 << 10, 192 << 10
# Terms with their low parts are kept up to these sizes (a row, a vector of a tile's rows, a group of several rows):
# fetching them, even from beyond the second-level cache, is faster than computing them again.
# _GROUP_BYTES must equal _GROUP_TERM_BYTES of softxent.kernels.cpu.rows.groups: here it sizes the buffer, there it says
# how many rows go into it.
_KEPT_BYTES, _KEPT_TILE_BYTES, _GROUP_BYTES = 2 << 20, 512 << 10, 64 << 10
# A further thread is worth while from _LEAST_ELEMENTS on. A piece of rows has at least _PIECE_ELEMENTS; if rows are
# many, there are _PIECES for each thread, so that all threads end together.
_LEAST_ELEMENTS, _PIECE_ELEMENTS, _PIECES = 1 << 15, 1 << 13, 64
# Below this, one of softxent's threads is not worth waking. PyTorch's threads spin for longer, so the limit does not
# apply to them.
_LEAST_BYTES_OF_OURS = 1 << 20
# Larger results, if written row by row and not in place, bypass the caches: they would evict themselves.
_STREAMED_BYTES = 24 << 20


# An array that begins at the first element, and its byte strides along (outer, class, inner).
Strided = tuple[np.ndarray, int, int, int]


class Plan(NamedTuple):
    """How rows are visited.

    tile, stride: the elements of a tile, and its lanes (0: no tile, FEW: groups); step: the rows of a piece;
    threads: the number of threads; parts: the number of parts of rows that belong to one thread each; streams: whether
    results bypass the caches; keeps, kept: whether the exponentials are kept between sum and result, and how many
    numbers that takes.
    """

    tile: int
    stride: int
    step: int
    threads: int
    parts: int
    streams: bool
    keeps: bool
    kept: int


_KERNEL_DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.uint16),
    "bfloat16": np.dtype(np.int16),
}


def strided(array: np.ndarray, layout: Layout) -> Strided:
    """Return array, of the layout's shape and a kernel's dtype, in the kernels' form; copy it only if necessary."""
    dtype = array.dtype
    size = dtype.itemsize
    if array.flags.carray and dtype.isnative and size != 2 and layout.is_plain:
        # The usual case: aligned, contiguous, writable.
        return array.reshape(-1), layout.num_classes * layout.inner * size, layout.inner * size, size
    if not (dtype.isnative and array.flags.aligned):
        array = array.astype(dtype.newbyteorder("="))
    if dtype.itemsize == 2:
        array = array.view(_KERNEL_DTYPES[dtype.name])
    if not array.flags.writeable:
        array = as_writable(array)
    if array.flags.c_contiguous and layout.is_plain:
        return array.reshape(-1), layout.num_classes * layout.inner * size, layout.inner * size, size
    cube = layout.cube(array)
    if cube.size == 0:
        return array.reshape(-1), size, size, size
    outer, classes, inner = cube.strides
    return cube[:1, 0, 0], outer, classes, inner


def strided_like(array: np.ndarray, layout: Layout, other: Strided, given: np.ndarray) -> Strided:
    """Return strided(array, layout), quickly if its strides are those of `given`, for which `other` is the result."""
    if array.strides == given.strides and array.flags.c_contiguous and other[0].dtype == array.dtype:
        return (array.reshape(-1), *other[1:])
    return strided(array, layout)


@functools.lru_cache(maxsize=256)
def plan(rows: int, n: int, inner: int, size: int, contiguous: bool, in_place: bool, threads: int) -> Plan:
    """Return how to visit rows of n classes of size bytes; contiguous: the classes of a row lie side by side."""
    lanes = 8 if size == 8 else 16
    working = max(size, 4)
    stride = 0
    if contiguous and inner == 1 and lanes < 2 * n and n * working <= _FEW_BYTES:
        stride = FEW
    elif not contiguous or n * working <= _TILED_ROW_BYTES:
        budget = _TILE_BYTES if inner == 1 else _DEEP_TILE_BYTES
        vectors = max(1, min(budget // (n * size * lanes), -(-rows // lanes)))
        # With an odd number of vectors the classes of one row are in different sets of the cache.
        stride = (vectors - 1 + vectors % 2) * lanes if vectors > 1 else lanes
    elements = rows * n
    workers = max(1, min(threads, elements // _LEAST_ELEMENTS))
    pieces = 1 if workers == 1 else max(workers, min(workers * _PIECES, elements // _PIECE_ELEMENTS))
    step = -(-rows // pieces)
    if stride == FEW:
        step = -(-step // lanes) * lanes
    elif stride:
        # A piece is at most a tile, and consists of whole vectors of rows.
        step = min(stride, -(-step // lanes) * lanes)
        stride = step if step // lanes % 2 else step + lanes
    streams = not in_place and stride == 0 and elements * size > _STREAMED_BYTES
    keeps, kept = _kept(n, lanes, 8 if size == 8 else 4, stride)
    parts = workers if elements * size <= _STREAMED_BYTES else 1
    return Plan(max(1, -(-n // lanes) * lanes * max(stride, 0)), stride, step, workers, parts, streams, keeps, kept)


def _kept(n: int, lanes: int, size: int, stride: int) -> tuple[bool, int]:
    """Return whether the terms of a group of rows are kept, and their number."""
    padded = -(-n // lanes) * lanes
    if stride == FEW:
        return True, 4 * padded * lanes
    if stride > 0:
        return n * lanes * 2 * size <= _KEPT_TILE_BYTES, 2 * n * lanes
    rows = max(1, min(lanes, _GROUP_BYTES // (2 * n * size)))
    # One spare vector: if the results begin within a vector, the last load reaches past the row's terms.
    return n * 2 * size <= _KEPT_BYTES, 2 * padded * rows + lanes


@functools.cache
def kernels() -> Any:
    """Import and return the modules that need Numba; cached: an import statement costs as much as ten rows."""
    from softxent.kernels.cpu import cross_entropy, labels, softmax
    from softxent.kernels.cpu.arithmetic import sums
    from softxent.kernels.cpu.threads import openmp, scheduler

    return SimpleNamespace(
        label_rows=cross_entropy.label_rows,
        scan_labels=labels.scan_labels,
        sum_vector=sums.sum_vector,
        softmax=softmax.softmax_rows,
        log_softmax=softmax.log_softmax_rows,
        logsumexp=softmax.logsumexp_rows,
        get_num_threads=scheduler.get_num_threads,
        LimitedThreads=scheduler.LimitedThreads,
        run=scheduler.run,
        team=scheduler.team,
        pool=scheduler.pool,
        torchs_team=openmp.torchs_team,
        ledger=scheduler.ledger,
        scratch=scheduler.scratch,
    )


def threads_for(elements: int, size: int) -> int:
    """Return how many threads may visit this many elements of size bytes."""
    own = kernels()
    threads: int = own.get_num_threads()
    if threads > 1 and elements * max(size, 4) < _LEAST_BYTES_OF_OURS and own.team() is None:
        return 1
    return threads


Work = Callable[[np.ndarray, int, int, np.ndarray, int, bool, bool, np.ndarray], Any]


def visit(work: Work, rows: int, how: Plan, dtype: np.dtype[Any]) -> None:
    """Call work(ledger, step, rows, tiles, stride, streams, keeps, terms) in each thread, or once for a whole team.

    The ledger is that of softxent.kernels.cpu.threads.team; tiles and terms hold a part for each thread.
    """
    scratch = kernels().scratch
    size, stride, step, threads, parts, streams, keeps, kept = how
    working = dtype if dtype.itemsize == 8 else _FLOAT32
    if not keeps:
        kept = 1
    if threads == 1:
        tile, terms = scratch("tile", size, dtype), scratch("kept", kept, working)
        work(kernels().ledger(0, size, kept, None), step, rows, tile, stride, streams, keeps, terms)
        return
    # The caller's buffers serve every thread: threads that Python did not create have no buffers of their own.
    tiles, terms = scratch("tiles", threads * size, dtype), scratch("terms", threads * kept, working)
    team = kernels().team()
    pool = None if team is not None else kernels().pool()
    ledger = kernels().ledger(threads, size, kept, team, parts, pool)
    if team is not None or pool is not None:
        work(ledger, step, rows, tiles, stride, streams, keeps, terms)
        return
    kernels().run(lambda _: work(ledger, step, rows, tiles, stride, streams, keeps, terms), range(threads))
