"""The softmax Jacobian, and products with it, for NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.intervals import FOR_SOFTMAX
from softxent.arrays.products import jacobian_product
from softxent.arrays.rows import Layout, as_floating, is_longdouble, run_blocks

__all__ = ["softmax_jacobian", "softmax_jvp", "softmax_vjp"]


def softmax_jacobian(x: npt.ArrayLike, axis: int = -1) -> Any:
    r"""All partial derivatives of softmax: the two cases of the textbook, in a matrix for each row.

    Let x have shape (…, C, …) with C classes along axis and p = softmax(x):

        J_ij = ∂p_i/∂x_j = p_i (δ_ij − p_j):   p_i (1 − p_i) for i = j,   −p_i p_j for i ≠ j

    Every element is right to 4 ulps; 1 − p_i of a confident row is formed from the other classes.

    Args:
        x: logits, as softmax (not probabilities).
        axis: the class axis.

    Returns:
        An array of shape (…, C, C): the class axis moved last and repeated; x's dtype.

    Raises:
        As softmax.

    >>> import softxent
    >>> softxent.softmax_jacobian([3.0, 3.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])

    Equals jax.jacobian(jax.nn.softmax)(x) and torch.autograd.functional.jacobian for one row.
    """
    array = as_floating("x", x)
    layout = Layout.of(array.shape, axis, "x")
    c = layout.num_classes
    shape = (*layout.row_shape, c, c)
    rows = layout.cube(array).transpose(0, 2, 1).reshape(-1, c)
    if is_longdouble(array.dtype):
        from softxent import reference

        return np.asarray(reference.softmax_jacobian(rows)).reshape(shape)[()]
    wide = np.array(rows, np.float64, order="C")
    single = array.dtype.itemsize <= 4
    result = np.empty((wide.shape[0], c, c), np.float32 if single else np.float64)
    from softxent.kernels.cpu.simd.half import round_to

    if result.size:
        from softxent.kernels.cpu.jacobian import softmax_jacobian_rows

        step = Layout.of((wide.shape[0], c * c), -1)
        run_blocks(lambda block: softmax_jacobian_rows(wide[block.rows], result[block.rows]), step)
    return round_to(array.dtype.newbyteorder("="), result).reshape(shape)[()]


def softmax_jvp(p: npt.ArrayLike, tangent: npt.ArrayLike, axis: int = -1) -> Any:
    """The change of the probabilities when the logits move along a tangent (forward mode).

    Let p = softmax(x) and tangent have shape (…, C, …) with C classes along axis:

        J t = p ⊙ (t − ⟨p, t⟩)

    Args:
        p: softmax's output, in [0, 1] (not the logits).
        tangent: the logits' direction, of p's shape.
        axis: the class axis.

    Returns:
        An array of p's shape, of the common dtype of p and tangent.

    Raises:
        ShapeError: the shapes differ. DTypeError: an argument is not real. OptionError: p is out of [0, 1].

    >>> import softxent
    >>> softxent.softmax_jvp([0.25, 0.75], [1.0, 0.0])
    array([ 0.1875, -0.1875])

    Equals jax.jvp(jax.nn.softmax, …)[1], and softmax_vjp: the Jacobian is symmetric.
    """
    return jacobian_product(p, tangent, axis, "tangent", FOR_SOFTMAX)


def softmax_vjp(p: npt.ArrayLike, cotangent: npt.ArrayLike, axis: int = -1) -> Any:
    """The gradient with respect to the logits from the gradient with respect to the probabilities (reverse mode).

    Let p = softmax(x) and the cotangent g = ∂E/∂p have shape (…, C, …) with C classes along axis:

        ∂E/∂x = Jᵀ g = p ⊙ (g − ⟨p, g⟩)

    Args:
        p: softmax's output, in [0, 1] (not the logits).
        cotangent: ∂E/∂p, of p's shape.
        axis: the class axis.

    Returns:
        An array of p's shape, of the common dtype of p and cotangent.

    Raises:
        ShapeError: the shapes differ. DTypeError: an argument is not real. OptionError: p is out of [0, 1].

    >>> import softxent
    >>> softxent.softmax_vjp([0.25, 0.75], [-4.0, 0.0])
    array([-0.75,  0.75])

    Equals torch.softmax's backward, and softmax_jvp: the Jacobian is symmetric.
    """
    return jacobian_product(p, cotangent, axis, "cotangent", FOR_SOFTMAX)
