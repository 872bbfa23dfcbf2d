"""The cross-entropy of a linear layer: logits = x Wᵀ + b, and the gradients with respect to x, W and b."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.options import LossOptions
from softxent.reference.cross_entropy import cross_entropy_value_and_grad, targets_of
from softxent.reference.softmax import Wide, quiet, wide

__all__ = ["linear_cross_entropy", "linear_cross_entropy_value_and_grad"]


def linear_cross_entropy(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    options: LossOptions,
    *,
    bias: npt.ArrayLike | None = None,
) -> Any:
    """Return the loss of x (N, D), weight (C, D), bias (C,); options.weight holds the class weights.

    >>> float(linear_cross_entropy([[1.0]], [[4.0], [-4.0], [3.0]], [2], LossOptions()))
    1.313506900283053
    """
    return linear_cross_entropy_value_and_grad(x, weight, labels, options, bias=bias)[0]


def linear_cross_entropy_value_and_grad(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    options: LossOptions,
    *,
    bias: npt.ArrayLike | None = None,
) -> tuple[Any, tuple[Wide, Wide, Wide | None]]:
    """Return the loss and the gradients with respect to x, weight and bias (None if there is no bias)."""
    rows, matrix = wide(x), wide(weight)
    with quiet():
        logits = rows @ matrix.T
        if bias is not None:
            logits = logits + wide(bias)
        loss, grad = cross_entropy_value_and_grad(logits, labels, options)
        # 0 · NaN is NaN, so the features of ignored rows are zeroed before they reach the weights' gradient.
        ignored = targets_of(labels, logits.shape, options).ignored
        rows = np.where(ignored[..., None], 0, rows)
        return loss, (grad @ matrix, grad.T @ rows, None if bias is None else grad.sum(axis=0))
