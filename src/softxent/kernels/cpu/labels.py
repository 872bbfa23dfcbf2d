"""Check whether labels are classes, and add their weights; check whether labels are probabilities."""

from __future__ import annotations

import numpy as np

from softxent.kernels.cpu.simd.floats import two_sum
from softxent.kernels.cpu.simd.jit import inner, kernel

__all__ = ["any_outside", "count_labels", "scan_labels"]


@inner
def count_labels(labels, num_classes, ignore_index):
    """Return the number of labels that are not ignored, or −1 if one of them is no class."""
    # Integer operations without a branch, which the compiler vectorises.
    kept = 0
    wrong = 0
    for i in range(labels.size):
        counts = labels[i] != ignore_index
        kept += counts
        wrong += counts & ((labels[i] < 0) | (labels[i] >= num_classes))
    return kept if wrong == 0 else -1


@kernel
def scan_labels(labels, num_classes, ignore_index, weight):
    """Return (row, total): the first row whose label is no class, or −1; Σ w_y over the rows that are not ignored.

    labels: (N,) int64; weight: (C,) float64 or None for ones.
    """
    if weight is None:
        kept = count_labels(labels, num_classes, ignore_index)
        if kept >= 0:
            return -1, float(kept)
    total = 0.0
    lost = 0.0
    for i in range(labels.size):
        y = labels[i]
        if y == ignore_index:
            continue
        if y < 0 or y >= num_classes:
            return i, np.nan
        if weight is None:
            total += 1.0
        else:
            total, error = two_sum(total, weight[y])
            lost += error
    return -1, total + lost


@kernel
def any_outside(rows, low, high):
    """Whether an element is below low or above high; NaN is neither. rows: (N, C), contiguous."""
    low, high = rows.dtype.type(low), rows.dtype.type(high)
    values = rows.reshape(-1)
    # Without a branch, as in count_labels.
    outside = False
    for i in range(values.size):
        outside |= (values[i] < low) | (values[i] > high)
    return outside
