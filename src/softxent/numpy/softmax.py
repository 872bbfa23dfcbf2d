"""softmax, log_softmax and logsumexp for NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.numpy.rows import Axis, Layout, as_floating, is_longdouble, native, output_array
from softxent.numpy.visits import kernels, plan, small_call, strided, strided_like, visit

__all__ = ["log_softmax", "logsumexp", "softmax"]


def _with_class_axis_last(x: np.ndarray, layout: Layout, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function of the last axis, for the longdouble reference, to an array of the layout."""
    cube = layout.cube(x).transpose(0, 2, 1)
    result = np.moveaxis(np.asarray(function(cube)), 2, 1) if layout.inner != 1 else np.asarray(function(cube))
    if not layout.is_plain:
        moved = np.empty(layout.shape, result.dtype)
        np.moveaxis(moved, layout.axes, range(-len(layout.axes), 0))[...] = result.reshape(
            [*layout.row_shape, *(layout.shape[a] for a in layout.axes)]
        )
        return moved
    return result.reshape(layout.shape)


def _map_small(x: np.ndarray, axis: int, kernel_name: str) -> np.ndarray | None:
    """What _map_rows returns, for small arrays, where a microsecond counts."""
    call = small_call(x.shape, x.dtype, axis)
    if call is None:
        return None
    strides, inner, n, step, rows, stride, keeps, tile, kept, _ = call
    own = kernels()
    kernel = own.softmax if kernel_name == "softmax" else own.log_softmax
    counts, tiles, terms = own.small_scratch(tile, kept, x.dtype)
    result = np.empty(x.shape, x.dtype)
    kernel(
        x.reshape(-1), *strides, result.reshape(-1), *strides, inner, n, counts, step, rows, tiles, stride, False,
        keeps, terms,
    )  # fmt: skip
    return result


def _map_rows(x: npt.ArrayLike, axis: Axis, out: np.ndarray | None, kernel_name: str) -> Any:
    """Return a kernel's result for every row: the shape and dtype of x."""
    if out is None and type(x) is np.ndarray and type(axis) is int and x.flags.carray and x.dtype.isnative:
        small = _map_small(x, axis, kernel_name)
        if small is not None:
            return small
    array = as_floating("x", x)
    layout = Layout.of(array.shape, axis, "x")
    if is_longdouble(array.dtype):
        from softxent import reference

        result = _with_class_axis_last(array, layout, getattr(reference, kernel_name))
        if out is not None:
            target, deliver = output_array(out, layout, array.dtype)
            target[...] = result
            return deliver()
        return result[()]
    target, deliver = output_array(out, layout, native(array.dtype), array)
    if array.size:
        own = kernels()
        kernel = own.softmax if kernel_name == "softmax" else own.log_softmax
        result = target if layout.is_plain else np.empty(layout.cube_shape, target.dtype)
        z = strided(array, layout)
        if result is array:
            to = z
        elif layout.is_plain:
            to = strided_like(result, layout, z, array)
        else:
            to = strided(result, Layout.of(result.shape, 1))
        size, inner, n = z[0].itemsize, layout.inner, layout.num_classes
        how = plan(layout.num_rows, n, inner, size, z[2] == size == to[2], to is z, own.get_num_threads())

        def work(*piece: Any) -> None:
            kernel(*z, *to, inner, n, *piece)

        visit(work, layout.num_rows, how, z[0].dtype)
        if not layout.is_plain:
            moved = np.moveaxis(target, layout.axes, range(-len(layout.axes), 0))
            moved[...] = result.reshape(moved.shape)
    result = deliver()
    return result if out is not None or result.ndim else result[()]


def softmax(x: npt.ArrayLike, axis: Axis = -1, *, out: np.ndarray | None = None) -> Any:
    r"""Probabilities from logits, each right to 4 ulps, however far apart the logits are.

    Let x have shape (…, C, …) with C classes along axis, and m = max x along it:

        softmax(x)_i = exp(x_i − m) / Σ_j exp(x_j − m)

    The rounding error of x_i − m is carried into the exponential, which other implementations do not do: their relative
    error grows with |x_i − m|.

    Args:
        x: logits of any shape; float16, bfloat16, float32, float64, integers or bool (computed as float64), longdouble
            (slow: by the reference).
        axis: the class axis, several, or None for all.
        out: an array of the result's shape and dtype to write into; it may be x itself.

    Returns:
        An array of x's shape and dtype (a scalar for a scalar). A logit of −inf has probability 0; a row that holds NaN
        or +inf, or nothing but −inf, is NaN.

    Raises:
        ShapeError: there are no classes, or out has another shape. DTypeError: x is not real.

    >>> import numpy as np, softxent
    >>> softxent.softmax([4.0, -4.0, 3.0])
    array([7.30879336e-01, 2.45182703e-04, 2.68875482e-01])
    >>> softxent.softmax([123.0, 456.0, 789.0])
    array([5.75274406e-290, 2.39848787e-145, 1.00000000e+000])

    Source: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J. Numer.
    Anal. 41 (2021). Equals scipy.special.softmax but for its default axis (None there), for the accuracy of the tails,
    and for small integers, which SciPy subtracts in their own dtype.
    """
    return _map_rows(x, axis, out, "softmax")


def log_softmax(x: npt.ArrayLike, axis: Axis = -1, *, out: np.ndarray | None = None) -> Any:
    r"""Logarithms of the softmax probabilities, each right to 4 ulps, the largest class's too.

    Let x have shape (…, C, …) with C classes along axis, m = max x, r its class and R = Σ_{j≠r} exp(x_j − m):

        log_softmax(x)_i = (x_i − m) − log1p(R)

    Both terms are negative or zero, so nothing cancels: [40, 0] gives −4.2e-18 for the first class, where
    x − logsumexp(x) gives 0.

    Args:
        x, axis, out: as softmax.

    Returns:
        An array of x's shape and dtype. A logit of −inf has −inf; a row that holds NaN or +inf, or nothing but −inf, is
        NaN.

    Raises:
        As softmax.

    >>> import softxent
    >>> softxent.log_softmax([40.0, 0.0])
    array([-4.24835426e-18, -4.00000000e+01])

    Source: as softmax. Equals scipy.special.log_softmax but for its default axis and for the accuracy of the largest
    class (scipy#19521).
    """
    return _map_rows(x, axis, out, "log_softmax")


def logsumexp(x: npt.ArrayLike, axis: Axis = -1, *, keepdims: bool = False) -> Any:
    r"""log Σ exp(x_i), right to 4 ulps of max(|m|, log S).

    Let x have shape (…, C, …) with C classes along axis, m = max x and S = Σ exp(x_i − m):

        logsumexp(x) = m + log S

    Its gradient is softmax(x).

    Args:
        x, axis: as softmax.
        keepdims: keep the class axis, with length 1.

    Returns:
        An array of x's shape without the class axis, x's dtype. −inf for a row of −inf, +inf for one with a +inf, NaN
        for one with a NaN;
        −inf for an empty array with axis=None, the sum of nothing (SciPy's convention).

    Raises:
        As softmax.

    >>> import softxent
    >>> float(softxent.logsumexp([1000.0, 1000.0]))
    1000.6931471805599

    Source: as softmax. Equals scipy.special.logsumexp without b= and return_sign, but for its default axis.
    """
    array = as_floating("x", x)
    if axis is None and array.size == 0:
        # Without an axis there is no class axis to be empty, only a sum of nothing.
        return np.full((1,) * array.ndim if keepdims else (), -np.inf, array.dtype.newbyteorder("="))[()]
    layout = Layout.of(array.shape, axis, "x")
    if is_longdouble(array.dtype):
        from softxent import reference

        values: np.ndarray = np.asarray(reference.logsumexp(layout.cube(array).transpose(0, 2, 1))).reshape(-1)
    else:
        values = np.empty(layout.num_rows)
        if array.size:
            own = kernels()
            z = strided(array, layout)
            size, inner, n = z[0].itemsize, layout.inner, layout.num_classes
            how = plan(layout.num_rows, n, inner, size, z[2] == size, True, own.get_num_threads())

            def work(counts: np.ndarray, step: int, rows: int, tile: np.ndarray, stride: int, *unused: Any) -> None:
                own.logsumexp(*z, inner, n, counts, step, rows, tile, stride, values)

            visit(work, layout.num_rows, how, z[0].dtype)
    shape = layout.row_shape
    if keepdims:
        shape = tuple(1 if a in layout.axes else n for a, n in enumerate(layout.shape))
    with np.errstate(over="ignore", under="ignore"):  # beyond the dtype's range the result is inf
        return values.reshape(shape).astype(array.dtype.newbyteorder("="), copy=False)[()]
