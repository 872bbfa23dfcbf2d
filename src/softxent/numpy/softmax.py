"""softmax, log_softmax and logsumexp for NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.rows import Axis
from softxent.arrays.small import small_map
from softxent.arrays.softmax import map_rows, sum_rows

__all__ = ["log_softmax", "logsumexp", "softmax"]


def softmax(x: npt.ArrayLike, axis: Axis = -1, *, out: np.ndarray | None = None) -> Any:
    r"""Probabilities from logits, each right to 4 ulps, however far apart the logits are.

    Let x have shape (…, C, …) with C classes along axis, and m = max x along it:

        softmax(x)_i = exp(x_i − m) / Σ_j exp(x_j − m)

    The rounding error of x_i − m is carried into the exponential. Other implementations drop it, so that their relative
    error grows with |x_i − m|.

    Args:
        x: logits of any shape; float16, bfloat16, float32, float64, integers or bool (computed as float64), longdouble
            (slow: by the reference).
        axis: the class axis, several, or None for all.
        out: an array of the result's shape and dtype to write into; it may be x itself.

    Returns:
        An array of x's shape and dtype (a scalar for a scalar). A logit of −inf has probability 0; a row with NaN or
        +inf, or with only −inf, is NaN.

    Raises:
        ShapeError: there are no classes, or out has another shape. DTypeError: x is not real.

    >>> import numpy as np, softxent
    >>> softxent.softmax([4.0, -4.0, 3.0])
    array([7.30879336e-01, 2.45182703e-04, 2.68875482e-01])
    >>> softxent.softmax([123.0, 456.0, 789.0])
    array([5.75274406e-290, 2.39848787e-145, 1.00000000e+000])

    Source: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J. Numer.
    Anal. 41 (2021). Equals scipy.special.softmax except for its default axis (None there), the accuracy of the tails,
    and small integers, which SciPy subtracts in their own dtype.
    """
    if out is None:
        small = small_map(x, axis, "small_softmax")
        if small is not None:
            return small
    return map_rows(x, axis, out, "softmax")


def log_softmax(x: npt.ArrayLike, axis: Axis = -1, *, out: np.ndarray | None = None) -> Any:
    r"""Logarithms of the softmax probabilities, each right to 4 ulps, also for the largest class.

    Let x have shape (…, C, …) with C classes along axis, m = max x, r its class and R = Σ_{j≠r} exp(x_j − m):

        log_softmax(x)_i = (x_i − m) − log1p(R)

    Both terms are negative or zero, so nothing cancels: [40, 0] gives −4.2e-18 for the first class, where
    x − logsumexp(x) gives 0.

    Args:
        x, axis, out: as softmax.

    Returns:
        An array of x's shape and dtype. A logit of −inf gives −inf; a row with NaN or +inf, or with only −inf, is NaN.

    Raises:
        As softmax.

    >>> import softxent
    >>> softxent.log_softmax([40.0, 0.0])
    array([-4.24835426e-18, -4.00000000e+01])

    Source: as softmax. Equals scipy.special.log_softmax except for its default axis and the accuracy of the largest
    class (scipy#19521).
    """
    if out is None:
        small = small_map(x, axis, "small_log_softmax")
        if small is not None:
            return small
    return map_rows(x, axis, out, "log_softmax")


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
        for one with a NaN; −inf for an empty array with axis=None, an empty sum (SciPy's convention).

    Raises:
        As softmax.

    >>> import softxent
    >>> float(softxent.logsumexp([1000.0, 1000.0]))
    1000.6931471805599

    Source: as softmax. Equals scipy.special.logsumexp without b= and return_sign, except for its default axis.
    """
    return sum_rows(x, axis, keepdims)
