"""Sigmoid, log-sigmoid and binary cross-entropy, element by element.

    softplus(x) = max(x, 0) + log1p(exp(−|x|))
    loss = w (q y softplus(−x) + (1 − y) softplus(x))
    ∂loss/∂x = w ((1 − y) σ(x) − q y σ(−x))

q is pos_weight; 0 · ∞ = 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.reference.cross_entropy import reduced
from softxent.reference.softmax import Wide, quiet, wide

__all__ = ["binary_cross_entropy", "binary_cross_entropy_value_and_grad", "log_sigmoid", "sigmoid"]


def sigmoid(x: npt.ArrayLike) -> Wide:
    """Let x have any shape: 1 / (1 + exp(−x)), computed as exp(x) / (1 + exp(x)) for x < 0.

    >>> float(sigmoid(0.0))
    0.5
    """
    values = wide(x)
    with quiet():
        e = np.exp(-np.abs(values))
        return wide(np.where(values < 0, e, 1) / (1 + e))


def log_sigmoid(x: npt.ArrayLike) -> Wide:
    """Let x have any shape: min(x, 0) − log1p(exp(−|x|)).

    >>> float(log_sigmoid(40.0))
    -4.248354255291589e-18
    """
    values = wide(x)
    with quiet():
        return np.minimum(values, 0) - np.log1p(np.exp(-np.abs(values)))


def _factors(shape: tuple[int, ...], factor: npt.ArrayLike | None) -> Wide:
    return np.broadcast_to(wide(1 if factor is None else factor), shape)


def binary_cross_entropy(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    from_logits: bool = True,
    weight: npt.ArrayLike | None = None,
    pos_weight: npt.ArrayLike | None = None,
    reduction: str = "mean",
) -> Any:
    """Return the loss of logits; the mean is over all elements.

    >>> float(binary_cross_entropy([0.0], [1.0]))
    0.6931471805599453
    """
    return binary_cross_entropy_value_and_grad(
        logits, targets, from_logits=from_logits, weight=weight, pos_weight=pos_weight, reduction=reduction
    )[0]


def binary_cross_entropy_value_and_grad(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    from_logits: bool = True,
    weight: npt.ArrayLike | None = None,
    pos_weight: npt.ArrayLike | None = None,
    reduction: str = "mean",
) -> tuple[Any, Wide]:
    """Return the loss and its gradient with respect to logits (or to probabilities as given)."""
    x, y = wide(logits), wide(targets)
    w, positive = _factors(x.shape, weight), _factors(x.shape, pos_weight) * y
    negative = 1 - y
    with quiet():
        if from_logits:
            log_p, log_q = log_sigmoid(x), log_sigmoid(-x)
            grad = w * (negative * sigmoid(x) - positive * sigmoid(-x))
        else:
            log_p, log_q = np.log(x), np.log1p(-x)
            grad = w * (np.where(negative == 0, 0, negative / (1 - x)) - np.where(positive == 0, 0, positive / x))
        losses = -w * (np.where(positive == 0, 0, positive * log_p) + np.where(negative == 0, 0, negative * log_q))
        unknown = np.isnan(x)
        losses, grad = np.where(unknown, np.nan, losses), np.where(unknown, np.nan, grad)
        divisor = np.longdouble(losses.size if reduction == "mean" else 1)
        return reduced(losses, divisor, reduction), grad / divisor
