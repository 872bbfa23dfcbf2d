"""One call for a solver: losses and gradients of a matrix of logits that it owns, in threads."""

from __future__ import annotations

import numpy as np

__all__ = ["hard_label_block"]

_ELEMENTS_PER_TASK = 1 << 15


def hard_label_block(logits: np.ndarray, labels: np.ndarray, row_scale: np.ndarray | None, losses: np.ndarray) -> None:
    """Write each row's cross-entropy into losses, and its gradient in place of the logits.

    Let logits z have shape (N, C) and labels y shape (N,), s = row_scale or ones:

        losses_i = s_i (logsumexp(z_i) − z_{i,y_i}),   logits_ic ← s_i (softmax(z_i)_c − [c = y_i])

    Args:
        logits: float32 or float64, C-contiguous, writable; overwritten.
        labels: int64, contiguous, each in [0, C) (not checked here).
        row_scale: (N,) float64, contiguous, or None.
        losses: (N,) float64, contiguous; overwritten. Sum them in a fixed order (softxent.kernels.cpu.sums.sum_vector).
    """
    from softxent.kernels.cpu.cross_entropy import hard_label_rows
    from softxent.kernels.cpu.scheduler import run

    num_rows, num_classes = logits.shape
    step = max(1, _ELEMENTS_PER_TASK // num_classes)

    def work(rows: slice) -> None:
        scale = None if row_scale is None else row_scale[rows]
        z = logits[rows]
        # ignore_index −1 matches no label.
        hard_label_rows(z, None, None, None, labels[rows], -1, None, 1.0, 0.0, 0.0, 1.0, scale, losses[rows], z)

    run(work, [slice(start, min(start + step, num_rows)) for start in range(0, num_rows, step)])
