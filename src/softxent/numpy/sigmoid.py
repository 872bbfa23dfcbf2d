"""sigmoid and log_sigmoid for NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.rows import Block, Layout, Rows, as_floating, is_longdouble, run_blocks, working_dtype
from softxent.given import NUMBERS

__all__ = ["log_sigmoid", "sigmoid"]


def _map_elements(x: npt.ArrayLike, kernel_name: str) -> Any:
    array = as_floating("x", x, NUMBERS)
    if is_longdouble(array.dtype):
        from softxent import reference

        return np.asarray(getattr(reference, kernel_name)(array))[()]
    result = np.empty(array.shape, array.dtype.newbyteorder("="))
    if array.size:
        from softxent.kernels.cpu import binary

        kernel = getattr(binary, f"{kernel_name}_elements")
        layout = Layout.of((array.size, 1), 1)
        dtype = working_dtype(array.dtype)
        source = Rows(array.reshape(-1, 1), layout, dtype, "in")
        sink = Rows(result.reshape(-1, 1), layout, dtype, "out")

        def work(block: Block) -> None:
            rows = sink.space(block)
            kernel(source.read(block).reshape(-1), rows.reshape(-1))
            sink.write(block, rows)

        run_blocks(work, layout)
    return result[()]


def sigmoid(x: npt.ArrayLike) -> Any:
    """The logistic function, right to 4 ulps in both tails.

    Let x have shape (…):  σ(x) = 1 / (1 + exp(−x)), computed as exp(x)/(1 + exp(x)) for x < 0.

    Args:
        x: any shape; dtypes as softmax.

    Returns:
        An array of x's shape and dtype; 0 at −inf, 1 at +inf, NaN at NaN.

    Raises:
        DTypeError: x is not real.

    >>> import softxent
    >>> float(softxent.sigmoid(0.0)), float(softxent.sigmoid(-745.0))
    (0.5, 5e-324)

    Equals scipy.special.expit. sigmoid(z1 − z2) is softmax([z1, z2])[0].
    """
    return _map_elements(x, "sigmoid")


def log_sigmoid(x: npt.ArrayLike) -> Any:
    """The logarithm of the logistic function, right to 4 ulps in both tails.

    Let x have shape (…):  log σ(x) = min(x, 0) − log1p(exp(−|x|)).

    Args:
        x: any shape; dtypes as softmax.

    Returns:
        An array of x's shape and dtype; −inf at −inf, 0 at +inf, NaN at NaN.

    Raises:
        DTypeError: x is not real.

    >>> import softxent
    >>> float(softxent.log_sigmoid(40.0)), float(softxent.log_sigmoid(-1000.0))
    (-4.248354255291589e-18, -1000.0)

    Equals scipy.special.log_expit and torch.nn.functional.logsigmoid.
    """
    return _map_elements(x, "log_sigmoid")
