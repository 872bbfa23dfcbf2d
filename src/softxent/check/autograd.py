"""The gradient of a user's forward function: by its framework's autograd, or by complex step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["gradient"]

STEP = 1e-200


def gradient(function: Callable[..., Any], given: list[Any], keywords: dict[str, Any], how: str) -> Any:
    """Return the gradient of function's (summed) result with respect to its first argument.

    how: "autograd" or "complex"; with "…-vjp" the last argument is the cotangent of the result.
    """
    how, _, product = how.partition("-")
    cotangent = given[-1] if product else None
    rest = given[1:-1] if product else given[1:]
    if how == "autograd":
        return _autograd(function, given[0], rest, keywords, cotangent)

    def total(x: Any) -> Any:
        result = np.asarray(function(x, *rest, **keywords))
        return (result if cotangent is None else result * np.asarray(cotangent)).sum()

    x = np.asarray(given[0])
    found = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(np.complex128)
        moved[index] += 1j * STEP
        found[index] = total(moved).imag / STEP
    return found


def _autograd(
    function: Callable[..., Any], x: Any, rest: list[Any], keywords: dict[str, Any], cotangent: Any | None
) -> Any:
    if hasattr(x, "requires_grad_"):
        import torch

        leaf = x.clone().requires_grad_(True)
        result = function(leaf, *rest, **keywords)
        total = result.sum() if cotangent is None else (result * cotangent).sum()
        return torch.autograd.grad(total, leaf)[0]
    kind = type(x).__module__.partition(".")[0]
    if kind in ("jax", "jaxlib"):
        import jax

        def of(leaf: Any) -> Any:
            result = function(leaf, *rest, **keywords)
            return result.sum() if cotangent is None else (result * cotangent).sum()

        return jax.grad(of)(x)
    if kind == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x, *rest, **keywords)
            total = tf.reduce_sum(result if cotangent is None else result * cotangent)
        return tape.gradient(total, x)
    raise TypeError("autograd needs a torch, JAX or TensorFlow function; for NumPy: --grad complex")
