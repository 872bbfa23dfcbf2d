"""Products with the softmax Jacobian, of arrays of any layout."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.intervals import check_all, label_interval
from softxent.arrays.rows import Block, Layout, Rows, as_floating, is_longdouble, native, run_blocks, working_dtype
from softxent.errors import OptionError, ShapeError
from softxent.given import NUMBERS

__all__ = ["jacobian_product"]


@functools.cache
def _kernel() -> Any:
    """Import and return the kernel."""
    from softxent.kernels.cpu.products import jacobian_product_rows

    return jacobian_product_rows


def jacobian_product(p: npt.ArrayLike, v: npt.ArrayLike, axis: int, v_name: str, advice: str | None = None) -> Any:
    """Return p ⊙ (v − ⟨p, v⟩) for every row, in p's shape and the common dtype of p and v.

    advice: the advice in the error about p out of [0, 1]; None if it may be any number.
    """
    probabilities, vector = as_floating("p", p, NUMBERS), as_floating(v_name, v, NUMBERS)
    if probabilities.shape != vector.shape:
        raise ShapeError(f"{v_name} must have the shape of p, {probabilities.shape}; got {vector.shape}")
    dtype = native(np.result_type(probabilities.dtype, vector.dtype))
    layout = Layout.of(probabilities.shape, axis, "p")
    interval = None if advice is None else label_interval("p", probabilities, layout, advice, OptionError)
    if is_longdouble(dtype):
        from softxent import reference

        check_all(interval)
        cubes = [layout.cube(a.astype(dtype)).transpose(0, 2, 1) for a in (probabilities, vector)]
        result = np.asarray(reference.softmax_vjp(*cubes)).transpose(0, 2, 1)
        return result.reshape(layout.shape)[()]
    result = np.empty(layout.shape, dtype)
    if result.size:
        kernel = _kernel()
        working = working_dtype(dtype)
        sources = Rows(probabilities, layout, working, "in", interval), Rows(vector, layout, working, "vector")
        sink = Rows(result, layout, working, "out")

        def work(block: Block) -> None:
            rows = sink.space(block)
            kernel(sources[0].read(block), sources[1].read(block), rows)
            sources[0].check(block)
            sink.write(block, rows)

        run_blocks(work, layout)
    return result[()]
