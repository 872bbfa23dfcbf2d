"""A linear output layer in chunks of rows: logits by BLAS, a loss in place of them, gradients by BLAS.

For each chunk of B rows, with W (C, D) and the chunk's logits Z (B, C), then gradients G in the same memory:

    Z = X_B Wᵀ + b          2 B C D flops
    G = ∂loss/∂Z            B C read and written, in the cache's reach
    ∂X_B = G W              2 B C D
    ∂W += Gᵀ X_B            2 B C D, a tile of classes at a time: no temporary of W's size

The classes are cut into stripes, one to a thread at a time, and a stripe into tiles. B, stripes and tiles are chosen by
C alone, BLAS has one thread, and the stripes' shares of ∂X_B are added in their order: results depend neither on the
machine's memory nor on the number of threads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from softxent.kernels.cpu import scheduler
from softxent.kernels.cpu.blas import multiply, single_threaded_blas
from softxent.kernels.cpu.half import round_to

__all__ = ["OutputLayer", "rows_per_chunk"]

_CHUNK_BYTES = 104 << 20
_FEWEST_ROWS = 64
_CLASSES_PER_TILE = 2048
_MOST_STRIPES = 8


def rows_per_chunk(num_classes: int, itemsize: int) -> int:
    """Return how many rows' logits fill a chunk: few enough to stay small, enough that W and ∂W are visited seldom."""
    return max(_FEWEST_ROWS, _CHUNK_BYTES // (num_classes * itemsize) // 16 * 16)


def _stripes(num_classes: int) -> list[list[slice]]:
    """Return the tiles of classes of each stripe."""
    tiles = [slice(c, min(c + _CLASSES_PER_TILE, num_classes)) for c in range(0, num_classes, _CLASSES_PER_TILE)]
    count = min(_MOST_STRIPES, len(tiles))
    edges = [k * len(tiles) // count for k in range(count + 1)]
    return [tiles[edges[k] : edges[k + 1]] for k in range(count)]


class OutputLayer:
    """X, W and b of one call, and what is accumulated over the chunks.

    Args:
        x: (N, D); weight: (C, D); bias: (C,) or None: floating, any layout.
        dtype: float32 or float64, what is multiplied in.
        wants: whether the gradients of x, of weight, of bias are wanted; if one is, the loss leaves its gradients in
            the logits' place.
        rounds: whether gradients take the dtypes of what they belong to, or stay in `dtype`.
    """

    def __init__(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None,
        dtype: np.dtype[Any],
        wants: tuple[bool, bool, bool],
        rounds: bool = True,
    ) -> None:
        self.x, self.weight, self.dtype = x, weight, dtype
        self.bias = None if bias is None else bias.astype(dtype)
        self.bias_dtype = None if bias is None else bias.dtype
        self.wants = wants
        self.rounds = rounds
        num_classes = weight.shape[0]
        self.stripes = _stripes(num_classes)
        self.grad_x = np.zeros(x.shape, self._result_dtype(x.dtype)) if wants[0] else None
        self._weight_sum = np.empty(weight.shape, dtype) if wants[1] else None
        self._bias_sum = np.zeros(num_classes) if wants[2] else None
        self._has_sum = False

    def _result_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return dtype.newbyteorder("=") if self.rounds else self.dtype

    def run(self, rows: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], None]) -> None:
        """Visit the given rows of x chunk by chunk: loss(rows, logits) leaves the gradients in the logits' place."""
        if not rows.size:
            if self._weight_sum is not None:
                self._weight_sum[...] = 0.0
            return
        num_classes = self.weight.shape[0]
        step = min(rows_per_chunk(num_classes, self.dtype.itemsize), rows.size)
        buffer = np.empty((step, num_classes), self.dtype)
        with single_threaded_blas():
            for start in range(0, rows.size, step):
                self._visit(rows[start : start + step], buffer, loss)

    def _visit(self, chunk: np.ndarray, buffer: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], None]) -> None:
        contiguous = chunk[-1] - chunk[0] + 1 == chunk.size
        x = self.x[chunk[0] : chunk[-1] + 1] if contiguous else self.x[chunk]
        x = np.ascontiguousarray(x, self.dtype)
        z = buffer[: chunk.size]
        self._write_logits(x, z)
        with np.errstate(all="ignore"):
            loss(chunk, z)
        if any(self.wants):
            self._add_gradients(chunk, x, z)

    def _tile(self, tile: slice) -> np.ndarray:
        # Weights of another dtype or layout are converted a tile of classes at a time, never as a whole.
        part = np.asarray(self.weight[tile], self.dtype)
        return part if part.flags.c_contiguous and part.flags.aligned else part.copy(order="C")

    def _write_logits(self, x: np.ndarray, z: np.ndarray) -> None:
        def work(tile: slice) -> None:
            multiply(x, self._tile(tile).T, z[:, tile], accumulate=False)
            if self.bias is not None:
                with np.errstate(all="ignore"):
                    z[:, tile] += self.bias[tile]

        scheduler.run(work, [tile for stripe in self.stripes for tile in stripe])

    def _add_gradients(self, chunk: np.ndarray, x: np.ndarray, g: np.ndarray) -> None:
        shares = np.empty((len(self.stripes), *x.shape), self.dtype) if self.wants[0] else None
        add = self._has_sum

        def share(k: int, into: np.ndarray) -> None:
            for tile in self.stripes[k]:
                multiply(g[:, tile], self._tile(tile), into, accumulate=tile is not self.stripes[k][0])

        def rows_of_weight(tile: slice) -> None:
            part = g[:, tile]
            if self._weight_sum is not None:
                multiply(part.T, x, self._weight_sum[tile], accumulate=add)
            if self._bias_sum is not None:
                with np.errstate(all="ignore"):
                    self._bias_sum[tile] += part.sum(axis=0, dtype=np.float64)

        # The longer pieces first, so that the threads end together.
        pieces: list[Callable[[], None]] = []
        if shares is not None:
            pieces += [functools.partial(share, k, shares[k]) for k in range(len(self.stripes))]
        if self.wants[1] or self.wants[2]:
            pieces += [functools.partial(rows_of_weight, tile) for stripe in self.stripes for tile in stripe]
        scheduler.run(lambda piece: piece(), pieces)
        self._has_sum = True
        if shares is None or self.grad_x is None:
            return
        with np.errstate(all="ignore"):
            for other in shares[1:]:
                shares[0] += other
        self.grad_x[chunk] = round_to(self.grad_x.dtype, shares[0])

    @property
    def grad_weight(self) -> np.ndarray | None:
        """∂loss/∂W, or None where it is not wanted."""
        if self._weight_sum is None:
            return None
        return round_to(self._result_dtype(self.weight.dtype), self._weight_sum)

    @property
    def grad_bias(self) -> np.ndarray | None:
        """∂loss/∂b, or None."""
        if self._bias_sum is None or self.bias_dtype is None:
            return None
        return round_to(self._result_dtype(self.bias_dtype), self._bias_sum)
