"""The real data sets that come with scikit-learn, so that `softxent fit digits` needs no file."""

from __future__ import annotations

import numpy as np

from softxent.data.dataset import Dataset

__all__ = ["EMBEDDED", "read_embedded"]

EMBEDDED = ("breast_cancer", "digits", "iris", "wine")


def read_embedded(name: str) -> Dataset:
    """Return one of EMBEDDED; labels are the classes' names, if they have names."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    target_names = np.asarray(bunch.target_names)
    y = bunch.target if target_names.dtype.kind != "U" else target_names[bunch.target]
    return Dataset(name, np.ascontiguousarray(bunch.data, np.float64), y, tuple(map(str, bunch.feature_names)))
