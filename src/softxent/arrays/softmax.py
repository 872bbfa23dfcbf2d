"""softmax, log_softmax and logsumexp of arrays of any layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.rows import Axis, Layout, as_floating, is_longdouble, native, output_array
from softxent.arrays.visits import kernels, plan, strided, strided_like, threads_for, visit
from softxent.given import as_flag

__all__ = ["map_rows", "sum_rows"]


def _with_class_axis_last(x: np.ndarray, layout: Layout, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function of the last axis to an array of the layout; used for the longdouble reference."""
    cube = layout.cube(x).transpose(0, 2, 1)
    result = np.moveaxis(np.asarray(function(cube)), 2, 1) if layout.inner != 1 else np.asarray(function(cube))
    if not layout.is_plain:
        moved = np.empty(layout.shape, result.dtype)
        np.moveaxis(moved, layout.axes, range(-len(layout.axes), 0))[...] = result.reshape(
            [*layout.row_shape, *(layout.shape[a] for a in layout.axes)]
        )
        return moved
    return result.reshape(layout.shape)


def map_rows(x: npt.ArrayLike, axis: Axis, out: np.ndarray | None, kernel_name: str) -> Any:
    """Return a kernel's result for every row: the shape and dtype of x."""
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
        how = plan(layout.num_rows, n, inner, size, z[2] == size == to[2], to is z, threads_for(array.size, size))

        def work(*piece: Any) -> None:
            kernel(*z, *to, inner, n, *piece)

        visit(work, layout.num_rows, how, z[0].dtype)
        if not layout.is_plain:
            moved = np.moveaxis(target, layout.axes, range(-len(layout.axes), 0))
            moved[...] = result.reshape(moved.shape)
    result = deliver()
    return result if out is not None or result.ndim else result[()]


def sum_rows(x: npt.ArrayLike, axis: Axis, keepdims: bool) -> Any:
    """Return logsumexp of every row: x's shape without the class axis, x's dtype."""
    array, keepdims = as_floating("x", x), as_flag("keepdims", keepdims)
    if axis is None and array.size == 0:
        # With axis=None there is no class axis that must not be empty: the sum over no elements is 0.
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
            how = plan(layout.num_rows, n, inner, size, z[2] == size, True, threads_for(array.size, size))

            def work(ledger: np.ndarray, step: int, rows: int, tile: np.ndarray, stride: int, *unused: Any) -> None:
                own.logsumexp(*z, inner, n, ledger, step, rows, tile, stride, values)

            visit(work, layout.num_rows, how, z[0].dtype)
    shape = layout.row_shape
    if keepdims:
        shape = tuple(1 if a in layout.axes else n for a, n in enumerate(layout.shape))
    with np.errstate(over="ignore", under="ignore"):  # a result beyond the dtype's range is inf
        return values.reshape(shape).astype(array.dtype.newbyteorder("="), copy=False)[()]
