"""A linear output layer in chunks of rows: products give the logits, a loss replaces them, products give the gradients.

For each chunk of B rows, with W (C, D) and the chunk's logits Z (B, C), then gradients G in the same memory:

    Z = X_B Wᵀ + b          2 B C D flops
    G = ∂loss/∂Z            B C read and written, in the cache's reach
    ∂X_B = G W              2 B C D
    ∂W += Gᵀ X_B            2 B C D, a tile of classes at a time: no temporary of W's size

B depends on the shapes alone. The classes of ∂X_B are divided into stripes, which depend on C alone and are added in
order. So results depend neither on the machine's memory nor on the number of threads. All other divisions change no
bit, so they suit the threads (matmul.gemm).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from softxent.kernels.cpu.simd.half import is_half, round_to
from softxent.kernels.cpu.threads import scheduler

__all__ = ["OutputLayer", "balanced_rows", "rows_per_chunk"]

_CHUNK_BYTES = 104 << 20
_FEWEST_ROWS = 64
_CLASSES_PER_TILE = 2048
_MOST_STRIPES = 8
# Pieces for the threads end at multiples of these, so that few register tiles are incomplete.
_CLASSES_TOGETHER, _ROWS_TOGETHER = 96, 48

Multiply = Callable[[np.ndarray, np.ndarray, np.ndarray, bool], None]


def rows_per_chunk(num_classes: int, itemsize: int) -> int:
    """Return the rows of a chunk: few enough that it stays small, enough that W and ∂W are visited seldom."""
    return max(_FEWEST_ROWS, _CHUNK_BYTES // (num_classes * itemsize) // 16 * 16)


def balanced_rows(num_rows: int, num_classes: int, itemsize: int) -> int:
    """Return the rows of a chunk, for the smallest number of chunks of about equal size."""
    most = rows_per_chunk(num_classes, itemsize)
    count = -(-num_rows // most)
    return min(most, -(-num_rows // (count * 16)) * 16)


def _cut(size: int, pieces: int, together: int) -> list[slice]:
    """Divide a range into about this many slices, none of them empty."""
    edges = sorted({min(size, -(-k * size // pieces // together) * together) for k in range(pieces)} | {size})
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _stripes(num_classes: int) -> list[list[slice]]:
    """Return the tiles of classes of each stripe."""
    tiles = [slice(c, min(c + _CLASSES_PER_TILE, num_classes)) for c in range(0, num_classes, _CLASSES_PER_TILE)]
    count = min(_MOST_STRIPES, len(tiles))
    edges = [k * len(tiles) // count for k in range(count + 1)]
    return [tiles[edges[k] : edges[k + 1]] for k in range(count)]


def _products() -> tuple[Multiply, AbstractContextManager[None], bool]:
    """Return the best product for this CPU, a context for it, and whether any division gives the same bits."""
    from softxent.kernels.cpu.matmul.tile import has_wide_registers

    if has_wide_registers():
        from softxent.kernels.cpu.matmul.gemm import gemm

        return gemm, nullcontext(), True
    from softxent.kernels.cpu.matmul.blas import multiply, single_threaded_blas

    return multiply, single_threaded_blas(), False


class OutputLayer:
    """X, W and b of one call, and the gradients accumulated over the chunks.

    Args:
        x: (N, D); weight: (C, D); bias: (C,) or None: floating, any layout.
        dtype: the dtype of the products, float32 or float64.
        wants: whether the gradients of x, of weight, of bias are wanted; if one is, the loss replaces the logits by
            their gradients.
        rounds: whether gradients get the dtypes of their arguments, or stay in `dtype`.
        empty: numpy.empty, or a function that returns large arrays faster.
    """

    def __init__(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None,
        dtype: np.dtype[Any],
        wants: tuple[bool, bool, bool],
        rounds: bool = True,
        empty: Callable[[tuple[int, ...], np.dtype[Any]], np.ndarray] = np.empty,
    ) -> None:
        self.x, self.weight, self.dtype = x, weight, dtype
        self.bias = None if bias is None else bias.astype(dtype)
        self.bias_dtype = None if bias is None else bias.dtype
        self.wants = wants
        self.rounds = rounds
        self._empty = empty
        num_classes = weight.shape[0]
        self._multiply, self._meanwhile, self._cuts_freely = _products()
        self.stripes = _stripes(num_classes)
        self.grad_x = np.zeros(x.shape, self._result_dtype(x.dtype)) if wants[0] else None
        self._weight_sum = empty(weight.shape, dtype) if wants[1] else None
        self._bias_sum = np.zeros(num_classes) if wants[2] else None
        self._has_sum = False

    def _result_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return dtype.newbyteorder("=") if self.rounds else self.dtype

    def run(self, rows: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], None]) -> None:
        """Visit the given rows of x chunk by chunk; loss(rows, logits) replaces the logits by their gradients."""
        if not rows.size:
            if self._weight_sum is not None:
                self._weight_sum[...] = 0.0
            return
        num_classes = self.weight.shape[0]
        step = balanced_rows(rows.size, num_classes, self.dtype.itemsize)
        buffer = self._empty((min(step, rows.size), num_classes), self.dtype)
        with self._meanwhile:
            for start in range(0, rows.size, step):
                self._visit(rows[start : start + step], buffer, loss)

    def _visit(self, chunk: np.ndarray, buffer: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], None]) -> None:
        contiguous = chunk[-1] - chunk[0] + 1 == chunk.size
        rows = slice(chunk[0], chunk[-1] + 1) if contiguous else chunk
        x = np.ascontiguousarray(self.x[rows], self.dtype)
        z = buffer[: chunk.size]
        self._write_logits(x, z)
        with np.errstate(all="ignore"):
            loss(chunk, z)
        if any(self.wants):
            self._add_gradients(rows, x, z)

    def _tile(self, tile: slice) -> np.ndarray:
        # Weights of a dtype that cannot be multiplied are converted one tile of classes at a time, never as a whole.
        part = self.weight[tile]
        if self._cuts_freely:
            same = part.dtype == self.dtype and part.flags.aligned
            if same or (is_half(part) and self.dtype == np.float32):
                return part
        part = np.asarray(part, self.dtype)
        return part if part.flags.c_contiguous and part.flags.aligned else part.copy(order="C")

    def _pieces(self, num_rows: int, classes: list[slice]) -> list[tuple[slice, slice]]:
        """Return pieces (rows, classes) for the threads: enough of them that all threads end together."""
        if not self._cuts_freely:
            return [(slice(0, num_rows), tile) for tile in classes]
        parts = -(-2 * scheduler.get_num_threads() // len(classes))
        return [(part, tile) for tile in classes for part in _cut(num_rows, parts, _ROWS_TOGETHER)]

    def _class_tiles(self) -> list[slice]:
        """Return tiles of classes, the same number for each thread."""
        tiles = [tile for stripe in self.stripes for tile in stripe]
        if not self._cuts_freely:
            return tiles
        threads = scheduler.get_num_threads()
        return _cut(self.weight.shape[0], -(-len(tiles) // threads) * threads, _CLASSES_TOGETHER)

    def _write_logits(self, x: np.ndarray, z: np.ndarray) -> None:
        def work(piece: tuple[slice, slice]) -> None:
            rows, tile = piece
            if self.bias is not None:
                z[rows, tile] = self.bias[tile]
            self._multiply(x[rows], self._tile(tile).T, z[rows, tile], self.bias is not None)

        scheduler.run(work, self._pieces(len(x), self._class_tiles()))

    def _shares(self, rows: slice | np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the memory for the stripes' shares of ∂X_B: the result itself if possible."""
        if self.grad_x is None:
            return None
        if len(self.stripes) == 1 and isinstance(rows, slice) and self.grad_x.dtype == self.dtype:
            return self.grad_x[None, rows]
        return np.empty((len(self.stripes), *shape), self.dtype)

    def _add_gradients(self, chunk: slice | np.ndarray, x: np.ndarray, g: np.ndarray) -> None:
        shares = self._shares(chunk, x.shape)
        add = self._has_sum

        def share(k: int, rows: slice, into: np.ndarray) -> None:
            for tile in self.stripes[k]:
                self._multiply(g[rows, tile], self._tile(tile), into, tile is not self.stripes[k][0])

        def rows_of_weight(tile: slice) -> None:
            part = g[:, tile]
            if self._weight_sum is not None:
                self._multiply(part.T, x, self._weight_sum[tile], add)
            if self._bias_sum is not None:
                with np.errstate(all="ignore"):
                    self._bias_sum[tile] += part.sum(axis=0, dtype=np.float64)

        # Longer pieces come first, so that the threads end together.
        pieces: list[Callable[[], None]] = []
        if shares is not None:
            whole = [slice(s[0].start, s[-1].stop) for s in self.stripes]
            for rows, stripe in self._pieces(len(x), whole):
                k = whole.index(stripe)
                pieces.append(functools.partial(share, k, rows, shares[k, rows]))
        if self.wants[1] or self.wants[2]:
            pieces += [functools.partial(rows_of_weight, tile) for tile in self._class_tiles()]
        scheduler.run(lambda piece: piece(), pieces)
        self._has_sum = True
        if shares is None or self.grad_x is None:
            return
        with np.errstate(all="ignore"):
            for other in shares[1:]:
                shares[0] += other
        if not np.may_share_memory(shares, self.grad_x):
            self.grad_x[chunk] = round_to(self.grad_x.dtype, shares[0])

    @property
    def grad_weight(self) -> np.ndarray | None:
        """∂loss/∂W, or None if it is not wanted."""
        if self._weight_sum is None:
            return None
        return round_to(self._result_dtype(self.weight.dtype), self._weight_sum)

    @property
    def grad_bias(self) -> np.ndarray | None:
        """∂loss/∂b, or None."""
        if self._bias_sum is None or self.bias_dtype is None:
            return None
        return round_to(self._result_dtype(self.bias_dtype), self._bias_sum)
