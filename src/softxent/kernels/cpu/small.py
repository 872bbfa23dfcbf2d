"""A small cross-entropy in one call from Python: labels checked, rows visited, losses added.

What a call costs is then not the arithmetic but the arguments: three kernels with thirty between them took longer than
320 exponentials.
"""

from __future__ import annotations

import numpy as np
from numba import carray

from softxent.kernels.cpu.cross_entropy import visit_label_rows
from softxent.kernels.cpu.jit import kernel
from softxent.kernels.cpu.labels import scan_labels
from softxent.kernels.cpu.memory import pointer, pointer_at
from softxent.kernels.cpu.sums import sum_vector

__all__ = ["small_label_rows"]


@kernel
def small_label_rows(
    logits, results, index_labels, outer_step, class_step, inner, n, rows, step, stride, keeps, ignore_index, z_loss,
    mean, want_grad, counts, tiles, terms, losses,
):  # fmt: skip
    """Return (loss, divisor) of contiguous rows, and write their gradients into results, if they are wanted.

    logits, results: arrays, or the addresses of arrays of tiles' dtype; index_labels: (rows,) int64, or its address;
    outer_step, class_step: byte strides; mean: whether the loss is divided; losses: (≥ rows,) float64. The other
    arguments are those of softxent.kernels.cpu.cross_entropy. The divisor is 0 where there is nothing to add, and NaN
    where a label is no class: then nothing is written.
    """
    z, out = pointer_at(logits, tiles), pointer_at(results, tiles)
    labels = pointer_at(index_labels, counts)
    wrong, total = scan_labels(carray(labels, (rows,)), n, ignore_index, None)
    if wrong >= 0:
        return 0.0, np.nan
    if total == 0.0:
        return 0.0, 0.0
    item = tiles.itemsize
    counts[0] = 0
    weight = pointer(losses)
    visit_label_rows(
        z, outer_step, class_step, item, out, outer_step, class_step, item, inner, n, pointer(counts), step, rows,
        pointer(tiles), stride, False, labels, ignore_index, weight, False, weight, False, z_loss,
        total if mean else 1.0, pointer(losses), want_grad, keeps, pointer(terms),
    )  # fmt: skip
    value, _ = sum_vector(losses[:rows])
    return (value / total if mean else value), total
