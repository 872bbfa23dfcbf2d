"""Labels in the kernels' form: class indices or probabilities, checked, and the divisor of the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.intervals import label_interval
from softxent.arrays.rows import Check, Layout, Rows
from softxent.arrays.visits import kernels
from softxent.errors import DTypeError, LabelError, OptionError, ShapeError
from softxent.given import LABELS, as_numbers
from softxent.options import LossOptions

__all__ = ["Targets", "as_index_labels", "checked_index_labels", "is_index_labels", "prepare_targets", "reshaped"]


def as_index_labels(name: str, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return integer labels as a flat, contiguous int64 array in C order; refuse values beyond int64."""
    if labels.ndim == 1 and labels.dtype == np.int64 and labels.flags.carray:
        return labels
    if labels.size == 0 and labels.dtype == np.float64:
        return np.empty(0, np.int64)  # NumPy's dtype for an empty list
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            f"{name} must be integers where they are class indices; got dtype {labels.dtype}. "
            f"{_to_indices(name, labels)}"
        )
    if (
        labels.dtype.kind == "u"
        and labels.dtype.itemsize == 8
        and labels.size
        and labels.max() > np.iinfo(np.int64).max
    ):
        index = np.unravel_index(int(np.argmax(labels)), labels.shape)
        raise LabelError(
            f"{name}{[int(i) for i in index]} is {int(labels.max())}, which is no class: {name} must be in "
            f"[0, {num_classes})"
        )
    flat = np.ascontiguousarray(labels, np.int64).reshape(-1)
    return flat if flat.flags.writeable else flat.copy()  # the kernels are compiled for writable arrays


def _to_indices(name: str, labels: np.ndarray) -> str:
    """Return advice about labels that are numbers but not integers."""
    values = labels.astype(np.float64)
    odd = ~np.isfinite(values) | (values != np.floor(values))
    if not odd.any():
        return "They are whole numbers: convert them (.astype(np.int64), or .long() of a tensor)"
    place = np.unravel_index(int(np.argmax(odd)), odd.shape)
    here = f"{name}{[int(i) for i in place] or ''} is {values[place]}"
    if np.isnan(values[place]):
        return f"{here}: leave out the rows without a label, or give them the label ignore_index, an integer"
    return f"{here}, which is no class. Probabilities have the logits' shape"


def is_index_labels(labels: np.ndarray, layout: Layout, of: str, name: str = "labels") -> bool:
    """Tell class indices (the logits' shape without the class axis) from probabilities (the logits' shape)."""
    shape, logits_shape, row_shape = labels.shape, layout.shape, layout.row_shape
    if shape == row_shape and shape != logits_shape:
        return True
    if shape == logits_shape and shape != row_shape:
        if labels.dtype.kind != "f" and labels.dtype.name != "bfloat16":
            raise DTypeError(
                f"{name} of the shape of {of} are probabilities and must be floating; got dtype {labels.dtype}. "
                f"One-hot labels: convert them (.astype(np.float32), or .float() of a tensor). "
                f"Class indices: give them shape {row_shape}"
            )
        return False
    if logits_shape == ():
        return labels.dtype.kind in "iu"
    # Whoever means by a tuple, or None, the axes that the mean is over does not look for the mistake in the labels.
    several = len(layout.axes) > 1
    axis = f" with the classes along axis={layout.axes}" if several else ""
    meant = ". axis says where the classes are, such as axis=1; the mean is over all rows" if several else ""
    raise ShapeError(
        f"{name} must have shape {row_shape} (class indices) or {logits_shape} (probabilities) for {of} of shape "
        f"{logits_shape}{axis}; got {shape}{meant or reshaped(name, shape, row_shape)}"
        f"{f'. Are {of} and {name} swapped?' if len(shape) > len(logits_shape) else ''}"
    )


def reshaped(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Return advice on how to reshape an array if only axes of length 1 are wrong; else ""."""
    if [n for n in shape if n != 1] == [n for n in wanted if n != 1]:
        return f". Use {name}.reshape({wanted})"
    return ""


@dataclass(slots=True)
class Targets:
    """The labels and options in the kernels' form (softxent.kernels.cpu.cross_entropy)."""

    index: np.ndarray | None
    probabilities: np.ndarray | None
    rows: Rows | None
    ignore_index: int
    weight: np.ndarray | None
    keep: float
    spread: float
    z_loss: float
    total: float  # the divisor of the mean

    @property
    def interval(self) -> Check | None:
        """The check of the probabilities, or None."""
        return None if self.rows is None else self.rows.interval


def prepare_targets(
    labels: npt.ArrayLike,
    layout: Layout,
    options: LossOptions,
    dtype: np.dtype[Any],
    of: str = "logits",
    name: str = "labels",
    advice: str | None = None,
) -> Targets:
    """Check the labels against the layout of the logits, and every index against the number of classes.

    of, name: the caller's names of the logits and the labels; advice: the advice in the error about probabilities out
    of [0, 1], None if they may be any numbers.
    """
    array = as_numbers(name, labels, LABELS)
    weight = options.class_weights(layout.num_classes)
    keep, spread = 1.0 - options.label_smoothing, options.label_smoothing / layout.num_classes
    if not is_index_labels(array, layout, of, name):
        if options.ignore_index >= 0:
            raise OptionError(
                f"ignore_index must be negative where {name} are probabilities (no row has an index to ignore); "
                f"got {options.ignore_index}"
            )
        interval = None if advice is None else label_interval(name, array, layout, advice)
        rows = Rows(array, layout, dtype, "targets", interval) if array.size else None
        total = float(layout.num_rows)
        return Targets(None, array, rows, -1, weight, keep, spread, options.z_loss, total)
    index, ignore, total = checked_index_labels(array, layout.num_classes, options.ignore_index, weight, name)
    return Targets(index, None, None, ignore, weight, keep, spread, options.z_loss, total)


def checked_index_labels(
    labels: np.ndarray, num_classes: int, ignore_index: int, weight: np.ndarray | None, name: str
) -> tuple[np.ndarray, int, float]:
    """Return labels as flat int64, each a class or ignore_index; ignore_index; and the divisor of the mean."""
    index = as_index_labels(name, labels, num_classes)
    # Labels are int64, so an ignore_index beyond int64 must not match any.
    ignore = ignore_index if abs(ignore_index) < 2**63 else -(2**63)
    total = 0.0
    if index.size:
        row, total = kernels().scan_labels(index, num_classes, ignore, weight)
        if row >= 0:
            where = [int(i) for i in np.unravel_index(row, labels.shape)] if labels.ndim else []
            bad = int(index[row])
            do = (
                "Where labels begin at 1, subtract 1" if bad == num_classes else f"ignore_index={bad} ignores such rows"
            )
            raise LabelError(
                f"{name}{where or ''} is {bad}, which is no class: {name} must be in [0, {num_classes}), or "
                f"{ignore_index} for a row to ignore. {do}"
            )
    return index, ignore, total
