"""The cross-entropy, its gradient and its Hessian, with every modifier; and the Kullback-Leibler divergence.

With t the weighted, smoothed targets (softxent.options), Y = Σ t_c and A = Y + 2 λ lse, for one row:

    loss = Σ t_c (lse − z_c) + λ lse²
    g_c  = A p_c − t_c = (A − t_c) p_c − t_c (1 − p_c)          the second form does not cancel if p_c is near 1
    H u  = A p ⊙ (u − ⟨p, u⟩) + 2 λ p ⟨p, u⟩

and with respect to the logits x before softcap and temperature, s = z', b = z'':  s ⊙ g  and  s ⊙ H(s ⊙ v) + b ⊙ g ⊙ v.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.errors import DTypeError, LabelError, OptionError, ShapeError
from softxent.options import LossOptions
from softxent.reference.logits import derivatives, exponentials_of
from softxent.reference.softmax import Exponentials, Wide, quiet, wide

__all__ = [
    "Targets",
    "cross_entropy",
    "cross_entropy_hvp",
    "cross_entropy_value_and_grad",
    "kl_divergence",
    "reduced",
    "targets_of",
]


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets t_c of rows, the ignored rows, and the divisor of the reduction."""

    t: Wide  # (…, C)
    ignored: npt.NDArray[np.bool_]  # (…)
    divisor: np.longdouble


def targets_of(labels: npt.ArrayLike, shape: tuple[int, ...], options: LossOptions) -> Targets:
    """Return the targets for logits of a shape (…, C) from labels of shape (…), integers, or (…, C), floating."""
    if shape[-1] == 0:
        raise ShapeError(f"logits must have at least one class; got shape {shape}")
    num_classes = shape[-1]
    array = np.asarray(labels)
    weight = options.class_weights(num_classes)
    w = np.ones(num_classes, np.longdouble) if weight is None else wide(weight)
    if array.shape == shape and array.dtype.kind not in "iub":
        y = wide(array)
        ignored = np.zeros(shape[:-1], bool)
        count = np.longdouble(ignored.size)
    elif array.shape == shape[:-1]:
        if array.size and array.dtype.kind not in "iu":
            raise DTypeError(f"labels of shape {array.shape} must be integers; got dtype {array.dtype}")
        ignored = array == options.ignore_index
        bad = ~ignored & ((array < 0) | (array >= num_classes))
        if bad.any():
            row = int(np.argmax(bad))
            raise LabelError(f"labels must be in [0, {num_classes}); got {int(array.flat[row])} in row {row}")
        index = np.where(ignored, 0, array).astype(np.int64)
        y = np.zeros(shape, np.longdouble)
        np.put_along_axis(y, index[..., None], 1, axis=-1)
        count = np.where(ignored, 0, w[index]).sum(dtype=np.longdouble)
    else:
        raise ShapeError(f"labels must be {shape[:-1]} integers or {shape} probabilities; got shape {array.shape}")
    epsilon = np.longdouble(options.label_smoothing)
    t = w * ((1 - epsilon) * y + epsilon / num_classes)
    if options.reduction != "mean":
        count = np.longdouble(1)
    return Targets(t, ignored, count if count != 0 else np.longdouble(np.nan))


def reduced(losses: Wide, divisor: np.longdouble, reduction: str) -> Any:
    """Return the losses, their sum, or their sum over the divisor."""
    if reduction == "none":
        return losses
    with quiet():
        return losses.sum(dtype=np.longdouble) / divisor


def _product(t: Wide, x: Wide) -> Wide:
    """Return t x with 0 · ∞ = 0: a weight of 0 adds 0, but NaN stays NaN."""
    return np.where((t == 0) & ~np.isnan(x), 0, t * x)


def _check(options: LossOptions, from_logits: bool) -> None:
    if not from_logits and (options.transforms_logits or options.z_loss):
        raise OptionError("z_loss, softcap and temperature are modifiers of logits: they need from_logits=True")


def _spread(divide: Wide, targets: Targets) -> Wide:
    """Return per-row derivatives over the divisor, exactly 0 in the ignored rows."""
    return np.where(targets.ignored[..., None], 0, divide / targets.divisor)


def _lse(parts: Exponentials) -> Wide:
    return parts.peak + parts.log_total


def _logit_gradient(parts: Exponentials, t: Wide, z_loss: float) -> tuple[Wide, Wide]:
    """Return A and the gradient with respect to z."""
    a = t.sum(axis=-1, keepdims=True)
    if z_loss:
        a = a + 2 * np.longdouble(z_loss) * _lse(parts)
    return a, (a - t) * parts.p - t * parts.q


def cross_entropy(
    logits: npt.ArrayLike, labels: npt.ArrayLike, options: LossOptions, *, from_logits: bool = True
) -> Any:
    """Return the loss of logits (…, C): a scalar, or of shape (…) if the reduction is "none".

    >>> float(cross_entropy([4.0, -4.0, 3.0], 2, LossOptions()))
    1.313506900283053
    """
    return cross_entropy_value_and_grad(logits, labels, options, from_logits=from_logits)[0]


def cross_entropy_value_and_grad(
    logits: npt.ArrayLike, labels: npt.ArrayLike, options: LossOptions, *, from_logits: bool = True
) -> tuple[Any, Wide]:
    """Return the loss and its gradient, of shape (…, C), with respect to logits (or probabilities as given).

    >>> cross_entropy_value_and_grad([4.0, -4.0, 3.0], 2, LossOptions())[1].astype(float).tolist()
    [0.73087933571191, 0.0002451827026375595, -0.7311245184145475]
    """
    _check(options, from_logits)
    x = wide(logits)
    targets = targets_of(labels, x.shape, options)
    t = targets.t
    with quiet():
        if from_logits:
            parts = exponentials_of(x, options)
            losses = _product(t, -parts.log_p).sum(axis=-1)
            if options.z_loss:
                losses = losses + np.longdouble(options.z_loss) * _lse(parts)[..., 0] ** 2
            slope, _ = derivatives(x, options)
            grad = slope * _logit_gradient(parts, t, options.z_loss)[1]
            defined: Any = np.isfinite(parts.peak)
            losses, grad = np.where(defined[..., 0], losses, np.nan), np.where(defined, grad, np.nan)
        else:
            unknown: Any = np.isnan(x).any(axis=-1, keepdims=True)
            losses = np.where(unknown[..., 0], np.nan, _product(t, -np.log(x)).sum(axis=-1))
            grad = np.where(unknown, np.nan, np.where(t == 0, 0, -t / x))
        losses = np.where(targets.ignored, 0, losses)
        return reduced(losses, targets.divisor, options.reduction), _spread(grad, targets)


def cross_entropy_hvp(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    tangent: npt.ArrayLike,
    options: LossOptions,
    *,
    from_logits: bool = True,
) -> Wide:
    """Return the Hessian of the loss with respect to logits times tangent, of shape (…, C)."""
    _check(options, from_logits)
    x, v = wide(logits), wide(tangent)
    if v.shape != x.shape:
        raise ShapeError(f"tangent must have the logits' shape {x.shape}; got {v.shape}")
    targets = targets_of(labels, x.shape, options)
    t = targets.t
    with quiet():
        if not from_logits:
            unknown: Any = np.isnan(x).any(axis=-1, keepdims=True)
            product = np.where(unknown, np.nan, np.where(t == 0, 0, t / x**2 * v))
            return _spread(product, targets)
        parts = exponentials_of(x, options)
        slope, curvature = derivatives(x, options)
        a, gradient = _logit_gradient(parts, t, options.z_loss)
        u = slope * v
        mean = (parts.p * u).sum(axis=-1, keepdims=True)
        product = a * parts.p * (u - mean) + 2 * np.longdouble(options.z_loss) * parts.p * mean
        product = slope * product
        if options.softcap is not None:
            product = product + curvature * gradient * v
        return _spread(np.where(np.isfinite(parts.peak), product, np.nan), targets)


def kl_divergence(
    labels: npt.ArrayLike, logits: npt.ArrayLike, *, from_logits: bool = True, reduction: str = "mean"
) -> Any:
    """Return Σ y_c (log y_c − log p_c), 0 log 0 = 0, of rows (…, C); the mean is over the rows.

    >>> float(kl_divergence([0.5, 0.5], [0.0, 0.0]))
    0.0
    """
    y, x = wide(labels), wide(logits)
    if y.shape != x.shape:
        raise ShapeError(f"labels must have the logits' shape {x.shape}; got {y.shape}")
    with quiet():
        if from_logits:
            log_p = exponentials_of(x, LossOptions()).log_p
        else:
            log_p = np.log(x)
        losses = np.where((y == 0) & ~np.isnan(log_p), 0, y * (np.log(y) - log_p)).sum(axis=-1)
    return reduced(losses, np.longdouble(losses.size if reduction == "mean" else 1), reduction)
