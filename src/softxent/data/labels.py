"""Which labels can be classes, and how they are matched with the classes of a model."""

from __future__ import annotations

import numpy as np

from softxent.errors import DataError

__all__ = ["check_class_labels", "class_indices"]


def check_class_labels(name: str, y: np.ndarray) -> np.ndarray:
    """Return y as a 1-D array of integers, floats, bools or strings that can be classes, or say why it cannot be."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{name}: labels must be one value a row; got an array of shape {y.shape}")
    if y.dtype.kind not in "biufU":
        raise DataError(f"{name}: labels must be integers, floats, bools or strings; got dtype {y.dtype}")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            row = int(np.flatnonzero(~np.isfinite(y))[0])
            raise DataError(f"{name}: the label of row {row + 1} is {y[row]}; drop the rows without a label first")
        fractional = y != np.round(y)
        if fractional.any():
            value = y[fractional][0]
            raise DataError(
                f"{name}: the labels are continuous numbers ({value} among them), not classes; "
                "give a column of classes, or bin the numbers first"
            )
    return y


def class_indices(name: str, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position in classes of each label of y; a label that is none of them is an error."""
    positions = {label: index for index, label in enumerate(classes.tolist())}
    values, inverse = np.unique(y, return_inverse=True)
    unknown = [value for value in values.tolist() if value not in positions]
    if unknown:
        raise DataError(
            f"{name}: the label {unknown[0]!r} is none of the {len(positions)} classes trained on "
            f"({', '.join(repr(label) for label in classes[:5].tolist())}{', …' if len(positions) > 5 else ''})"
        )
    return np.array([positions[value] for value in values.tolist()], dtype=np.int64)[inverse]
