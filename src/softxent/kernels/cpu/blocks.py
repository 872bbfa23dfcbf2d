"""One call for a solver: losses and gradients of a matrix of logits, which it owns, in threads."""

from __future__ import annotations

import numpy as np

__all__ = ["hard_label_block"]

_ELEMENTS_PER_PIECE = 1 << 15
_TILED_ROW_BYTES, _TILE_BYTES = 480, 24 << 10


def hard_label_block(logits: np.ndarray, labels: np.ndarray, row_scale: np.ndarray | None, losses: np.ndarray) -> None:
    """Write each row's cross-entropy into losses, and its gradient in place of the logits.

    Let logits z have shape (N, C) and labels y shape (N,), s = row_scale or ones:

        losses_i = s_i (logsumexp(z_i) − z_{i,y_i}),   logits_ic ← s_i (softmax(z_i)_c − [c = y_i])

    Args:
        logits: float32 or float64, C-contiguous, writable; overwritten.
        labels: int64, contiguous, each in [0, C) (not checked here).
        row_scale: (N,) float64, contiguous, or None.
        losses: (N,) float64, contiguous; overwritten. Sum them in a fixed order (arithmetic.sums.sum_vector).
    """
    from softxent.kernels.cpu.cross_entropy import label_rows
    from softxent.kernels.cpu.threads.scheduler import get_num_threads, ledger, run, scratch

    num_rows, num_classes = logits.shape
    size = logits.itemsize
    lanes = 8 if size == 8 else 16
    vectors = max(1, (_TILE_BYTES if num_classes * size <= _TILED_ROW_BYTES else 0) // (num_classes * size * lanes))
    stride = vectors // 2 * 2 * lanes + lanes if num_classes * size <= _TILED_ROW_BYTES else 0
    step = stride or max(1, _ELEMENTS_PER_PIECE // num_classes)
    threads = min(get_num_threads(), -(-num_rows // step))
    base, nothing, shared = logits.reshape(-1), np.empty(0), ledger(threads, 0, 0, None)
    scales = nothing if row_scale is None else row_scale
    place = (base, num_classes * size, size, size)

    def work(_: int) -> None:
        tile = scratch("tile", max(1, -(-num_classes // lanes) * lanes * stride), logits.dtype)
        kept = scratch("kept", 2 * (num_classes + lanes) * lanes, logits.dtype)
        # ignore_index −1 matches no label.
        label_rows(
            *place, *place, 1, num_classes, shared, step, num_rows, tile, stride, False,
            labels, -1, nothing, scales, 0.0, 1.0, losses, True, True, kept,
        )  # fmt: skip

    run(work, range(threads))
