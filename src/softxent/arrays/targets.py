"""Labels as the kernels want them: class indices or probabilities, checked, and what they weigh together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.rows import Layout, Rows
from softxent.arrays.visits import kernels
from softxent.errors import DTypeError, LabelError, OptionError, ShapeError
from softxent.options import LossOptions

__all__ = ["Targets", "as_index_labels", "checked_index_labels", "is_index_labels", "prepare_targets"]


def as_index_labels(name: str, labels: np.ndarray) -> np.ndarray:
    """Return integer labels as a flat, contiguous int64 array in C order."""
    if labels.ndim == 1 and labels.dtype == np.int64 and labels.flags.carray:
        return labels
    if labels.size == 0 and labels.dtype == np.float64:
        return np.empty(0, np.int64)  # NumPy's dtype for an empty list
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            f"{name} must be integers where they are class indices; got dtype {labels.dtype}. "
            f"If they are indices, use {name}.astype(int); if they are probabilities, give them the logits' shape"
        )
    if (
        labels.dtype.kind == "u"
        and labels.dtype.itemsize == 8
        and labels.size
        and labels.max() > np.iinfo(np.int64).max
    ):
        index = np.unravel_index(int(np.argmax(labels)), labels.shape)
        raise LabelError(f"{name}{[int(i) for i in index]} is {int(labels.max())}, which is no class")
    flat = np.ascontiguousarray(labels, np.int64).reshape(-1)
    return flat if flat.flags.writeable else flat.copy()  # the kernels are compiled for writable arrays


def is_index_labels(
    labels: np.ndarray, logits_shape: tuple[int, ...], row_shape: tuple[int, ...], of: str, name: str = "labels"
) -> bool:
    """Tell class indices (the logits' shape without the class axis) from probabilities (the logits' shape)."""
    shape = labels.shape
    if shape == row_shape and shape != logits_shape:
        return True
    if shape == logits_shape and shape != row_shape:
        if labels.dtype.kind != "f" and labels.dtype.name != "bfloat16":
            raise DTypeError(
                f"{name} of the shape of {of} are probabilities and must be floating; got dtype {labels.dtype}. "
                f"For one-hot labels make them floating, for class indices use shape {row_shape}"
            )
        return False
    if logits_shape == ():
        return labels.dtype.kind in "iu"
    raise ShapeError(
        f"{name} must have shape {row_shape} (class indices) or {logits_shape} (probabilities) for {of} of shape "
        f"{logits_shape}; got {labels.shape}"
    )


@dataclass(slots=True)
class Targets:
    """What the kernels need to know of the labels and the options (softxent.kernels.cpu.cross_entropy)."""

    index: np.ndarray | None
    probabilities: np.ndarray | None
    rows: Rows | None
    ignore_index: int
    weight: np.ndarray | None
    keep: float
    spread: float
    z_loss: float
    total: float  # what the mean divides by


def prepare_targets(
    labels: npt.ArrayLike,
    layout: Layout,
    options: LossOptions,
    dtype: np.dtype[Any],
    of: str = "logits",
    name: str = "labels",
) -> Targets:
    """Check the labels against the layout of what they belong to, and every index against the number of classes.

    of, name: what the caller calls what they belong to, and the labels.
    """
    array = np.asarray(labels)
    weight = options.class_weights(layout.num_classes)
    keep, spread = 1.0 - options.label_smoothing, options.label_smoothing / layout.num_classes
    if not is_index_labels(array, layout.shape, layout.row_shape, of, name):
        if options.ignore_index >= 0:
            raise OptionError(
                f"ignore_index must be negative where {name} are probabilities (no row has an index to ignore); "
                f"got {options.ignore_index}"
            )
        rows = Rows(array, layout, dtype, "targets") if array.size else None
        total = float(layout.num_rows)
        return Targets(None, array, rows, -1, weight, keep, spread, options.z_loss, total)
    index, ignore, total = checked_index_labels(array, layout.num_classes, options.ignore_index, weight, name)
    return Targets(index, None, None, ignore, weight, keep, spread, options.z_loss, total)


def checked_index_labels(
    labels: np.ndarray, num_classes: int, ignore_index: int, weight: np.ndarray | None, name: str
) -> tuple[np.ndarray, int, float]:
    """Return labels as flat int64, each of them a class or ignore_index; ignore_index; and what the mean divides by."""
    index = as_index_labels(name, labels)
    # A label is compared as the number it is: an ignore_index beyond int64 matches none.
    ignore = ignore_index if abs(ignore_index) < 2**63 else -(2**63)
    total = 0.0
    if index.size:
        row, total = kernels().scan_labels(index, num_classes, ignore, weight)
        if row >= 0:
            where = [int(i) for i in np.unravel_index(row, labels.shape)] if labels.ndim else []
            raise LabelError(
                f"{name}{where or ''} is {int(index[row])}, which is no class: {name} must be in "
                f"[0, {num_classes}), or {ignore_index} for a row to ignore"
            )
    return index, ignore, total
