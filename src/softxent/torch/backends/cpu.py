"""The backend for tensors on a CPU: the kernels, on the tensors' own memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softxent.arrays.binary import evaluate_binary
from softxent.arrays.linear import LinearProblem
from softxent.arrays.loss import evaluate
from softxent.arrays.products import jacobian_product
from softxent.arrays.small import small_map
from softxent.arrays.softmax import map_rows, sum_rows
from softxent.arrays.targets import checked_index_labels
from softxent.options import LossOptions
from softxent.torch.backends.tensors import as_array, as_scalar, as_tensor, lies_class_last, row_factors
from softxent.torch.backends.threads import with_torchs_threads

__all__ = [
    "binary_loss",
    "check_labels",
    "linear_loss",
    "log_softmax",
    "logsumexp",
    "loss",
    "loss_gradient",
    "loss_product",
    "softmax",
    "softmax_vjp",
]

_NAMES = ("input", "target")
_LINEAR_NAMES = ("input", "linear_weight", "target", "linear_bias")


def _in_rows(dim: int, logits: Tensor, *others: Tensor) -> tuple[list[np.ndarray], int]:
    """Return logits and the other tensors as arrays, and the class axis.

    The axis is dim, at least 0. If the logits are contiguous only with the classes moved last, it is −1: every tensor
    with the logits' dimensions is moved in the same way, and `_as_given` moves the result back, so that it has the
    logits' memory layout.
    """
    if not lies_class_last(logits, dim):
        return [as_array(t) for t in (logits, *others)], dim
    moved = [t.movedim(dim, -1) if t.ndim == logits.ndim else t for t in (logits, *others)]
    return [as_array(t) for t in moved], -1


def _as_given(result: np.ndarray, axis: int, dim: int) -> Tensor:
    """Return a result with classes along axis as a tensor with them along dim."""
    tensor = as_tensor(result)
    return tensor.movedim(-1, dim) if axis < 0 else tensor


@with_torchs_threads
def _map(x: Tensor, dim: int, kernel: str) -> Tensor:
    (array,), axis = _in_rows(dim, x)
    values = small_map(array, axis, f"small_{kernel}")
    return _as_given(map_rows(array, axis, None, kernel) if values is None else values, axis, dim)


def softmax(x: Tensor, dim: int) -> Tensor:
    """Return softmax along dim."""
    return _map(x, dim, "softmax")


def log_softmax(x: Tensor, dim: int) -> Tensor:
    """Return log-softmax along dim."""
    return _map(x, dim, "log_softmax")


@with_torchs_threads
def logsumexp(x: Tensor, dim: int) -> Tensor:
    """Return logsumexp along dim, which is removed."""
    return as_tensor(sum_rows(as_array(x), dim, keepdims=False))


@with_torchs_threads
def softmax_vjp(p: Tensor, cotangent: Tensor, dim: int) -> Tensor:
    """Return p ⊙ (v − ⟨p, v⟩) along dim."""
    (p_array, v), axis = _in_rows(dim, p, cotangent)
    return _as_given(jacobian_product(p_array, v, axis, "grad_output"), axis, dim)


def check_labels(target: Tensor, num_classes: int, ignore_index: int) -> None:
    """Check that every label is a class or ignore_index."""
    checked_index_labels(as_array(target), num_classes, ignore_index, None, "target")


def _with_weight(options: LossOptions, weight: Tensor | None) -> LossOptions:
    return options if weight is None else replace(options, weight=as_array(weight))


@with_torchs_threads
def loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    dim: int,
    want_grad: bool,
    overwrite: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return the loss, and its gradient if wanted: in the logits' memory if that may be overwritten."""
    (z, y), axis = _in_rows(dim, logits, target)
    value, grad = evaluate(
        z, y, _with_weight(options, weight), axis=axis, from_logits=True, want_grad=want_grad,
        out=z if overwrite else None, names=_NAMES,
    )  # fmt: skip
    if options.reduction == "none":
        result = as_tensor(value)
    else:
        result = as_scalar(value, logits.dtype is torch.float64)
    if grad is None:
        return result, None
    if overwrite:
        return result, logits.detach()
    return result, _as_given(grad, axis, dim)


@with_torchs_threads
def loss_gradient(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, cotangent: Tensor
) -> Tensor:
    """Return the gradient times the cotangent of the loss, a scalar or one for each row, rounded once."""
    (z, y), axis = _in_rows(dim, logits, target)
    rows = logits.numel() // max(logits.shape[dim], 1) if logits.ndim else 1
    _, grad = evaluate(
        z, y, _with_weight(options, weight), axis=axis, from_logits=True, want_grad=True,
        row_scale=row_factors(cotangent, rows), names=_NAMES,
    )  # fmt: skip
    return _as_given(grad, axis, dim)


@with_torchs_threads
def loss_product(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, tangent: Tensor
) -> Tensor:
    """Return the Hessian of the loss (of the rows' losses) times a tangent of the logits' shape."""
    (z, y, v), axis = _in_rows(dim, logits, target, tangent)
    _, product = evaluate(
        z, y, _with_weight(options, weight), axis=axis, from_logits=True, tangent=v, names=_NAMES
    )  # fmt: skip
    return _as_given(product, axis, dim)


@with_torchs_threads
def binary_loss(
    x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: Any, want_grad: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the binary cross-entropy of logits, and its gradient if wanted."""
    w, q = (None if f is None else as_array(f) for f in (weight, pos_weight))
    value, grad = evaluate_binary(as_array(x), as_array(target), True, w, q, reduction, want_grad)
    if reduction == "none":
        result = as_tensor(value)
    else:
        result = as_scalar(float(np.asarray(value)), x.dtype is torch.float64)
    return result, None if grad is None else as_tensor(grad)


@with_torchs_threads
def linear_loss(
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    wants: tuple[bool, bool, bool],
    cotangent: Tensor | None = None,
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the loss of a linear layer's outputs, and the gradients of x, weight and bias that are wanted.

    The gradients have the dtype of the computation; cotangent: a factor of the gradients, a scalar or one number for
    each row.
    """
    bias = None if linear_bias is None else as_array(linear_bias)
    problem = LinearProblem.of(
        as_array(x), as_array(linear_weight), as_array(target), bias, _with_weight(options, weight), _LINEAR_NAMES
    )
    scale = None if cotangent is None else row_factors(cotangent, x.shape[0])
    value, layer = problem.evaluate(wants, scale, rounds=False)
    gradients = [None if g is None else as_tensor(g) for g in (layer.grad_x, layer.grad_weight, layer.grad_bias)]
    return as_tensor(value), gradients
