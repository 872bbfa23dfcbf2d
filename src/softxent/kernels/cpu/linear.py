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

from collections.abc import Callable
from typing import Any

import numpy as np

from softxent.kernels.cpu import scheduler
from softxent.kernels.cpu.blas import single_threaded_blas
from softxent.kernels.cpu.half import round_to

__all__ = ["OutputLayer", "rows_per_chunk"]

_CHUNK_BYTES = 1 << 25
_FEWEST_ROWS = 64
_CLASSES_PER_TILE = 2048
_MOST_STRIPES = 16


def rows_per_chunk(num_classes: int, itemsize: int) -> int:
    """Return how many rows' logits fill a chunk: few enough to stay small, enough for BLAS to be fast."""
    return max(_FEWEST_ROWS, _CHUNK_BYTES // (num_classes * itemsize))


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
        want_grad: whether the loss leaves gradients in the logits' place.
    """

    def __init__(
        self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, dtype: np.dtype[Any], want_grad: bool
    ) -> None:
        self.x, self.weight, self.dtype = x, weight, dtype
        self.bias = None if bias is None else bias.astype(dtype)
        self.bias_dtype = None if bias is None else bias.dtype
        self.want_grad = want_grad
        num_classes = weight.shape[0]
        self.stripes = _stripes(num_classes)
        if want_grad:
            self.grad_x = np.zeros(x.shape, x.dtype.newbyteorder("="))
            self._weight_sum = np.zeros(weight.shape, dtype)
            self._bias_sum = np.zeros(num_classes)

    def run(self, rows: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], None]) -> None:
        """Visit the given rows of x chunk by chunk: loss(rows, logits) leaves the gradients in the logits' place."""
        if not rows.size:
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
        if self.want_grad:
            self._add_gradients(chunk, x, z)

    def _tile(self, tile: slice) -> np.ndarray:
        # Weights of another dtype are converted a tile of classes at a time, never as a whole.
        return np.asarray(self.weight[tile], self.dtype)

    def _write_logits(self, x: np.ndarray, z: np.ndarray) -> None:
        def work(stripe: list[slice]) -> None:
            with np.errstate(all="ignore"):
                for tile in stripe:
                    np.matmul(x, self._tile(tile).T, out=z[:, tile])
                    if self.bias is not None:
                        z[:, tile] += self.bias[tile]

        scheduler.run(work, self.stripes)

    def _add_gradients(self, chunk: np.ndarray, x: np.ndarray, g: np.ndarray) -> None:
        shares = np.zeros((len(self.stripes), *x.shape), self.dtype)

        def work(k: int) -> None:
            with np.errstate(all="ignore"):
                for tile in self.stripes[k]:
                    part = g[:, tile]
                    shares[k] += part @ self._tile(tile)
                    self._weight_sum[tile] += part.T @ x
                    if self.bias is not None:
                        self._bias_sum[tile] += part.sum(axis=0, dtype=np.float64)

        scheduler.run(work, range(len(self.stripes)))
        with np.errstate(all="ignore"):
            for share in shares[1:]:
                shares[0] += share
        self.grad_x[chunk] = round_to(self.grad_x.dtype, shares[0])

    @property
    def grad_weight(self) -> np.ndarray:
        """∂loss/∂W in W's dtype."""
        return round_to(self.weight.dtype.newbyteorder("="), self._weight_sum)

    @property
    def grad_bias(self) -> np.ndarray | None:
        """∂loss/∂b in b's dtype, or None."""
        if self.bias_dtype is None:
            return None
        return round_to(self.bias_dtype.newbyteorder("="), self._bias_sum)
