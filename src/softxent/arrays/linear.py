"""The output layer and its loss, a chunk of rows at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softxent.arrays.label_loss import is_label_loss, label_losses
from softxent.arrays.loss import divisor_of, loss_rows, reduce_losses
from softxent.arrays.rows import Block, Layout, as_floating, is_longdouble, working_dtype
from softxent.arrays.targets import prepare_targets
from softxent.errors import DTypeError, ShapeError
from softxent.options import LossOptions

__all__ = ["LinearGradients", "evaluate_linear"]


class LinearGradients(NamedTuple):
    """Gradients of linear_cross_entropy: x (N, D), weight (C, D), bias (C,) or None where there is no bias."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None


def _matrix(name: str, value: npt.ArrayLike, shape: str) -> np.ndarray:
    array = as_floating(name, value)
    if array.ndim != 2:
        raise ShapeError(f"{name} must have two axes, {shape}; got shape {array.shape}")
    return array


def evaluate_linear(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    options: LossOptions,
    want_grad: bool,
) -> tuple[Any, LinearGradients | None]:
    """Return (loss, gradients), or (loss, None), as the public functions of softxent.numpy.linear say it."""
    inputs, table = _matrix("x", x, "(N, D)"), _matrix("weight", weight, "(C, D)")
    if inputs.shape[1] != table.shape[1]:
        raise ShapeError(
            f"weight must have shape (C, D) with the D = {inputs.shape[1]} of x {inputs.shape}; got {table.shape}"
        )
    num_rows, num_classes = inputs.shape[0], table.shape[0]
    intercept = None
    if bias is not None:
        intercept = as_floating("bias", bias)
        if intercept.shape != (num_classes,):
            raise ShapeError(f"bias must have shape ({num_classes},), one number a class; got {intercept.shape}")
    layout = Layout.of((num_rows, num_classes), -1, "the logits x @ weight.T")
    dtypes = [a.dtype for a in (inputs, table, intercept) if a is not None]
    if any(is_longdouble(d) for d in dtypes):
        raise DTypeError("x, weight and bias must be float64 or narrower here: no BLAS multiplies longdouble matrices")
    common = np.result_type(*dtypes)
    dtype = working_dtype(common)
    array = np.asarray(labels)
    targets = prepare_targets(array, layout, options, dtype, "the logits x @ weight.T")
    divisor = divisor_of(targets.total, options.reduction)
    losses = np.zeros(num_rows)

    from softxent.kernels.cpu.linear import OutputLayer

    layer = OutputLayer(inputs, table, intercept, dtype, want_grad)
    if targets.index is not None:
        # Before any product: a row that is ignored must not bring its NaN or its cost into one.
        kept = np.flatnonzero(targets.index != targets.ignore_index)
    else:
        kept = np.arange(num_rows)

    def chunk_loss(rows: np.ndarray, z: np.ndarray) -> None:
        """Replace a chunk's logits by their gradients, and note its losses."""
        soft = None if targets.probabilities is None else _soft_rows(targets.probabilities, rows, dtype)
        chunk_losses = np.empty(rows.size)
        chunk_targets = targets if targets.index is None else replace(targets, index=targets.index[rows])
        chunk_layout = Layout.of(z.shape, -1)
        if chunk_targets.index is not None and is_label_loss(options):
            label_losses(z, chunk_layout, chunk_targets, divisor, chunk_losses, z if want_grad else None)
            losses[rows] = chunk_losses
            return

        def work(block: Block) -> None:
            part = z[block.rows]
            loss_rows(
                part,
                chunk_targets,
                block.rows,
                options,
                divisor,
                chunk_losses[block.rows],
                part if want_grad else None,
                None if soft is None else soft[block.rows],
            )

        from softxent.kernels.cpu.scheduler import run

        run(work, chunk_layout.blocks())
        losses[rows] = chunk_losses

    layer.run(kept, chunk_loss)
    loss_dtype = np.float64 if dtype == np.float64 else np.float32
    loss = reduce_losses(losses, targets.total, options.reduction, (num_rows,), loss_dtype)
    if not want_grad:
        return loss, None
    return loss, LinearGradients(layer.grad_x, layer.grad_weight, layer.grad_bias)


def _soft_rows(probabilities: np.ndarray, rows: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return np.ascontiguousarray(probabilities[rows[0] : rows[-1] + 1], dtype)
