"""The preprocessing of features: learnt from the training rows, kept in the model file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softxent.data.dataset import Dataset
from softxent.errors import DataError

__all__ = ["Preprocessing", "learn_preprocessing"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """x ← (x − mean) / scale, for each column.

    Attributes:
        kind: "standardize" (mean 0, variance 1), "pixels" (bytes to [0, 1], float32) or "none" (sparse data).
        mean, scale: (p,) float64; None if the kind has none.
    """

    kind: str
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None

    def doubts(self, X: Any) -> tuple[str, ...]:
        """Return notes if the features do not look like those of the training rows."""
        if self.kind == "pixels" and X.dtype != np.uint8 and X.max() <= 1:
            return ("no value is above 1, but the model was trained on bytes from 0 to 255",)
        return ()

    def apply(self, X: Any) -> Any:
        """Return transformed features in a new contiguous array; X is not changed. Sparse X is returned unchanged."""
        if self.kind == "none":
            return X
        if self.kind == "pixels":
            return np.multiply(X, np.float32(1 / 255), dtype=np.float32)
        assert self.mean is not None  # only this kind has a mean
        dtype = X.dtype if X.dtype.kind == "f" else np.float64
        result = np.subtract(X, self.mean.astype(dtype), dtype=dtype, casting="same_kind")
        result /= np.asarray(self.scale, dtype)
        return result


def learn_preprocessing(data: Dataset, rows: np.ndarray | slice) -> Preprocessing:
    """Return the preprocessing that suits these rows of the data.

    Bytes are pixels. Sparse data is not changed, because centring would make it dense. Everything else is standardised;
    a constant column is only centred.
    """
    if data.sparse:
        return Preprocessing("none")
    if data.X.dtype == np.uint8:
        return Preprocessing("pixels")
    X = data.X[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = X.mean(axis=0, dtype=np.float64)
        scale = X.std(axis=0, dtype=np.float64, mean=mean[None, :])
    if not np.isfinite(scale).all():
        column = int(np.flatnonzero(~np.isfinite(scale))[0])
        which = repr(data.feature_names[column]) if data.feature_names else str(column + 1)
        raise DataError(
            f"{data.name}: the numbers of column {which} are too large to standardise; give it another unit"
        )
    # The variance of a constant column is only rounding noise, not a scale.
    constant = X.min(axis=0) == X.max(axis=0)
    mean[constant] = X[0, constant]
    scale[constant | (scale == 0)] = 1.0
    return Preprocessing("standardize", mean, scale)
