"""hardmax and one_hot for NumPy arrays: rows with a single one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.rows import Axis, Layout, as_floating
from softxent.arrays.targets import as_index_labels
from softxent.errors import DTypeError, LabelError, OptionError
from softxent.given import INDICES, as_index, as_numbers

__all__ = ["hardmax", "one_hot"]


def hardmax(x: npt.ArrayLike, axis: Axis = -1) -> Any:
    """One at the largest logit (the first, if several are equal), zero elsewhere.

    Let x have shape (…, C, …) with C classes along axis:

        hardmax(x)_i = 1 if i is the first index with x_i = max x, else 0

    If the maximum is unique, it is the limit of softmax(x / T) for T → 0. (It is not max(x), which some texts call
    hardmax.)

    Args:
        x, axis: as softmax.

    Returns:
        An array of x's shape and dtype. A row that holds NaN or +inf, or nothing but −inf, is NaN, as in softmax.

    Raises:
        As softmax.

    >>> import softxent
    >>> softxent.hardmax([1.0, 2.0, 3.0, 4.0, 5.0])
    array([0., 0., 0., 0., 1.])

    Equals onnx.Hardmax.
    """
    array = as_floating("x", x)
    layout = Layout.of(array.shape, axis, "x")
    cube = layout.cube(array)
    result = np.zeros(cube.shape, array.dtype.newbyteorder("="))
    if array.size:
        index = np.expand_dims(np.argmax(cube, axis=1), 1)
        top = np.take_along_axis(cube, index, axis=1)
        np.put_along_axis(result, index, np.ones_like(top), axis=1)
        np.copyto(result, np.array(np.nan, result.dtype), where=~np.isfinite(top))
    if not layout.is_plain:
        moved = np.empty(layout.shape, result.dtype)
        last = np.moveaxis(moved, layout.axes, range(-len(layout.axes), 0))
        last[...] = result.reshape(last.shape)
        return moved
    return result.reshape(layout.shape)[()]


def _result_dtype(dtype: Any) -> np.dtype[Any]:
    """Return dtype as a NumPy dtype of numbers; refuse others."""
    try:
        result: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(f"dtype must be a NumPy dtype, such as np.float32; got {dtype!r}") from error
    if result.kind not in "fiubc" and result.name != "bfloat16":
        raise DTypeError(f"dtype must be a dtype of numbers, such as np.float32; got {dtype!r}")
    return result


def one_hot(labels: npt.ArrayLike, num_classes: int, *, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
    """Class indices as rows with a single one.

    Let labels have shape (…): the result y has shape (…, num_classes), y_{…,c} = 1 if c is the label, else 0.

    Args:
        labels: integers in [0, num_classes).
        num_classes: C ≥ 1.
        dtype: of the result.

    Returns:
        An array of shape (…, num_classes).

    Raises:
        DTypeError: labels or num_classes are not integers, or dtype is not numeric. LabelError: a label is no class.
        OptionError: num_classes < 1.

    >>> import softxent
    >>> softxent.one_hot([1, 0], 3)
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)

    Equals torch.nn.functional.one_hot and jax.nn.one_hot for labels that are classes. For other labels, which they
    clamp, wrap or turn into empty rows, this raises.
    """
    count = as_index("num_classes", num_classes)
    if count < 1:
        raise OptionError(f"num_classes must be at least 1; got {num_classes!r}")
    kind = _result_dtype(dtype)
    array = as_numbers("labels", labels, INDICES)
    index = as_index_labels("labels", array, count)
    bad = (index < 0) | (index >= count)
    if bad.any():
        row = int(np.argmax(bad))
        where = [int(i) for i in np.unravel_index(row, array.shape)] if array.ndim else ""
        raise LabelError(f"labels must be in [0, {count}), the classes; got {int(index[row])} at labels{where}")
    result = np.zeros((index.size, count), kind)
    result[np.arange(index.size), index] = 1
    return result.reshape(*array.shape, count)
