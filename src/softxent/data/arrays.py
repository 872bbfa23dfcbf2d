"""NPZ archives and libsvm files: matrices without column names."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from softxent.data.dataset import Dataset, check_finite
from softxent.data.labels import check_class_labels, text_labels
from softxent.data.row_numbers import counts
from softxent.errors import DataError

__all__ = ["read_libsvm", "read_npz"]


def read_npz(path: Path, label: str | None, *, with_labels: bool) -> Dataset:
    """Read the arrays X (n, p) and y (n,) of an NPZ archive; label: another key for y. Pickles are never loaded.

    X may have more dimensions (images): they are flattened.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            X = _member(path, archive, "X")
            y = _member(path, archive, label or "y") if with_labels else None
    except DataError:
        raise
    # NotImplementedError: of zipfile, for a compression that it does not know.
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        pickled = "pickle" in str(error)
        problem = (
            "holds Python objects, not numbers or strings" if pickled else f"is no NPZ archive, or damaged ({error})"
        )
        raise DataError(f"{path}: {problem}; make one with numpy.savez(path, X=…, y=…)") from error
    if X.dtype.kind not in "biuf":
        raise DataError(f"{path}: X must hold numbers; got dtype {X.dtype}")
    if X.ndim < 2:
        raise DataError(f"{path}: X must have shape (rows, features); got shape {X.shape}")
    X = X.reshape(X.shape[0], -1)
    if X.dtype not in (np.uint8, np.float32, np.float64):
        X = X.astype(np.float64)
    if X.size == 0:
        raise DataError(f"{path}: X is empty: its shape is {X.shape}")
    check_finite(str(path), X)
    notes = _counting(X)
    if y is not None:
        y = check_class_labels(str(path), y)
        if y.size != X.shape[0]:
            raise DataError(f"{path}: X has {X.shape[0]} rows, but {label or 'y'} has {y.size}")
        if y.dtype.kind == "U":
            texts, codes = np.unique(y, return_inverse=True)
            y, said = text_labels(str(path), texts.tolist(), codes)
            notes += said
    return Dataset(str(path), np.ascontiguousarray(X), y, notes=notes)


def _counting(X: np.ndarray) -> tuple[str, ...]:
    """Note the columns that count the rows. They are kept, because without names a model knows columns by position."""
    if X.dtype == np.uint8:
        return ()
    spread = X.max(axis=0) - X.min(axis=0)
    return tuple(
        f"column {k + 1} of X counts the rows, each integer once; if it is their index, leave it out of X"
        for k in np.flatnonzero(spread == X.shape[0] - 1).tolist()
        if counts(X[:, k]) is not None
    )


def _member(path: Path, archive: Any, key: str) -> np.ndarray:
    keys = getattr(archive, "files", None)
    if keys is None:
        raise DataError(f"{path}: is a single array, no NPZ archive; make one with numpy.savez(path, X=…, y=…)")
    if key not in keys:
        hint = "the labels' key is given by --label" if key != "X" else "features go by the key X"
        raise DataError(f"{path}: has no array {key!r}; it holds {', '.join(keys) or 'nothing'} ({hint})")
    array: np.ndarray = archive[key]
    return array


def read_libsvm(
    path: Path, *, num_features: int | None = None, index_base: int | None = None, with_labels: bool = True
) -> Dataset:
    """Read `label index:value …` lines into a CSR matrix.

    Args:
        path: the file, plain, .gz or .bz2.
        num_features: p, if a model has fixed it: larger indices are ignored; otherwise the largest index decides.
        index_base: 0 or 1, if a model has fixed it; otherwise it is 0 if index 0 occurs, and 1 if not.
        with_labels: False: the labels may be anything.
    """
    from sklearn.datasets import load_svmlight_file

    try:
        X, y = load_svmlight_file(str(path), zero_based=True)
    # NotImplementedError: of zipfile, for a compression that it does not know.
    except (ValueError, EOFError, OSError, zlib.error, IndexError, OverflowError) as error:
        raise DataError(
            f"{path}: is no libsvm file, or damaged ({error}); every line must be `label index:value index:value …`"
        ) from error
    if X.shape[0] == 0 or (X.nnz == 0 and num_features is None):
        raise DataError(f"{path}: holds no rows with features")
    lowest = int(X.indices.min()) if X.nnz else 1
    base = index_base if index_base is not None else min(lowest, 1)
    if lowest < base:
        raise DataError(f"{path}: has the index {lowest}, but the data trained on counted indices from {base}")
    notes: tuple[str, ...] = ()
    if num_features is not None and X.shape[1] - base > num_features:
        first = int(X.indices[X.indices - base >= num_features].min())
        notes = (f"indices from {first} on are ignored: the model has {num_features} features, counted from {base}",)
        X = X[:, : num_features + base]
    if not np.isfinite(X.data).all():
        at = int(np.flatnonzero(~np.isfinite(X.data))[0])
        row = int(np.searchsorted(X.indptr, at, side="right"))
        raise DataError(
            f"{path}: row {row}, index {X.indices[at]} is {X.data[at]}; every value must be a finite number"
        )
    p = num_features if num_features is not None else X.shape[1] - base
    X = type(X)((X.data, X.indices - base, X.indptr), shape=(X.shape[0], p))
    labels = None
    if with_labels:
        labels = check_class_labels(str(path), y)
        if np.abs(labels).max() > 2**53:  # the format's numbers are float64, in which larger labels may coincide
            raise DataError(f"{path}: has a label beyond 2**53, which the format cannot hold; number the classes")
        labels = labels.astype(np.int64)
    return Dataset(str(path), X, labels, index_base=base, notes=notes)
