"""Check the arguments of fit and predict: scikit-learn's checks, and clearer errors for data that it would misread."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from softxent.errors import DTypeError
from softxent.given import Role, as_numbers, refuse_masked

__all__ = ["check_class_weight", "check_labels", "validated", "validated_weights"]

_ROWS = Role(
    masked="Fill it with what a missing feature stands for, such as {name}.filled(0.0), or leave out its rows",
    strings="Encode them as numbers, for example by sklearn.preprocessing.OneHotEncoder",
    tensors="Use {name}.detach().cpu().float().numpy()",
)
_LABELS = Role(masked="Leave out the rows whose label is masked")
_WEIGHTS = Role(masked="{name}.filled(0.0) leaves out the rows that are masked")

_Result = TypeVar("_Result")


def _explained(name: str, value: Any, role: Role, check: Callable[[], _Result]) -> _Result:
    """Return check(); if it refuses a value without numbers, raise an error that says what the value holds."""
    refuse_masked(name, value, role)
    try:
        return check()
    except Exception as error:
        if scipy.sparse.issparse(value) or "Complex data not supported" in str(error):
            raise
        try:
            as_numbers(name, value, role)
        except DTypeError as refusal:
            if getattr(getattr(value, "dtype", None), "kind", "") != "O":
                raise refusal from error
            # scikit-learn accepts strings of digits among objects, and its own tests expect these words.
            text = f"{refusal}. Each element of this argument must be a string of digits or a number"
            raise DTypeError(text) from error
        raise


def validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Return X, or X and y, as scikit-learn's validate_data does."""
    columns = getattr(X, "dtypes", None)
    dtypes = [getattr(X, "dtype", None)] if columns is None else list(np.atleast_1d(np.asarray(columns, object)))
    if any(getattr(dtype, "kind", "") in ("m", "M") for dtype in dtypes):
        raise DTypeError("X must hold real numbers; got dates or times. Convert them: hours, days since a date, …")
    return _explained(
        "X",
        X,
        _ROWS,
        lambda: validate_data(
            estimator,
            X,
            *y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            accept_large_sparse=True,
            **options,
        ),
    )


def check_labels(y: Any) -> None:
    """Refuse labels that NumPy would silently change, and rows without a label."""
    refuse_masked("y", y, _LABELS)
    if isinstance(y, (list, tuple)) and str in (kinds := set(map(type, y))) and not kinds <= {str, type(None)}:
        raise DTypeError("y must hold labels of one kind; got strings and others, which would become strings. Use one")
    labels = np.asarray(y, object) if isinstance(y, (list, tuple)) else y
    if getattr(getattr(labels, "dtype", None), "kind", "") == "O":
        for place, label in enumerate(np.ravel(np.asarray(labels, object))):
            if label is None or type(label).__name__ in ("NAType", "NaTType"):
                raise ValueError(f"y must hold a label for each row; y[{place}] is {label}. Leave out such rows")


def validated_weights(sample_weight: npt.ArrayLike | None, rows: int) -> np.ndarray:
    """Return the rows' weights as float64: as given, one number repeated, or ones if there are none."""
    if sample_weight is None or isinstance(sample_weight, Real):
        sample_weight = np.full(rows, 1.0 if sample_weight is None else sample_weight)
    given = sample_weight
    weights: np.ndarray = _explained(
        "sample_weight",
        given,
        _WEIGHTS,
        lambda: check_array(given, ensure_2d=False, dtype=np.float64, order="C", copy=True, input_name="sample_weight"),
    )
    if weights.shape != (rows,):
        raise ValueError(
            f"sample_weight must be a number or have one weight for each of X's {rows} rows, shape ({rows},); "
            f"got shape {weights.shape}"
        )
    return weights


def check_class_weight(given: Any) -> None:
    """Refuse a class_weight that is not None, "balanced", or a dict of finite weights of at least 0."""
    if not (given is None or (isinstance(given, str) and given == "balanced") or isinstance(given, Mapping)):
        raise ValueError(f"class_weight must be None, 'balanced' or a dict from label to weight; got {given!r}")
    for label, weight in given.items() if isinstance(given, Mapping) else ():
        if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 <= float(weight) < math.inf:
            raise ValueError(f"class_weight[{label!r}] must be a finite number of at least 0; got {weight!r}")
