"""Dataset: the features and labels of a file, as every reader returns them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softxent.errors import DataError

__all__ = ["Dataset", "Layout", "check_finite"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table's file, and their roles. A model keeps this record to read similar files.

    Attributes:
        columns: the names of all columns, in the file's order.
        label: the name of the column of labels.
        header: whether the file begins with a line of names.
        left_out: name and reason of each column that is neither label nor feature.
    """

    columns: tuple[str, ...]
    label: str | None
    header: bool = True
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows of numbers and, if they are known, their labels.

    Attributes:
        name: the file or the embedded set, for messages.
        X: shape (n, p): a NumPy array (uint8 pixels, or floats), or a SciPy CSR array.
        y: shape (n,), integers, floats, bools or strings; None if there are none.
        feature_names: p names; None if the format has no names.
        index_base: 0 or 1, the index of a sparse file's first column; None for other formats.
        layout: the columns of a table; None for other formats.
        notes: sentences for the user about how the file was read.
    """

    name: str
    X: Any
    y: np.ndarray | None
    feature_names: tuple[str, ...] | None = None
    index_base: int | None = None
    layout: Layout | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_features(self) -> int:
        """The number of features of a row."""
        return int(self.X.shape[1])

    @property
    def sparse(self) -> bool:
        """Whether X is sparse."""
        return not isinstance(self.X, np.ndarray)


def check_finite(name: str, X: np.ndarray, feature_names: tuple[str, ...] | None = None) -> None:
    """Refuse NaN and infinities; the message names the row (counted from 1) and column of the first."""
    if X.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(X, dtype=np.float64)):
            return  # a finite sum has only finite terms; an infinite sum may just have overflowed
    finite = np.isfinite(X)
    if finite.all():
        return
    row, column = (int(i) for i in np.argwhere(~finite)[0])
    which = f"column {feature_names[column]!r}" if feature_names else f"column {column + 1}"
    raise DataError(
        f"{name}: row {row + 1}, {which} is {X[row, column]}; every feature must be a finite number. "
        "Fill in or drop missing values first"
    )
