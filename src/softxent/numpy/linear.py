"""linear_cross_entropy: the output layer and its loss without the logits in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softxent.errors import DTypeError, ShapeError
from softxent.numpy.label_loss import is_label_loss, label_losses
from softxent.numpy.loss import divisor_of, loss_rows, reduce_losses
from softxent.numpy.rows import Block, Layout, as_floating, is_longdouble, working_dtype
from softxent.numpy.targets import prepare_targets
from softxent.options import LossOptions, Reduction

__all__ = ["LinearGradients", "linear_cross_entropy", "linear_cross_entropy_value_and_grad"]


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


def _evaluate(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    options: LossOptions,
    want_grad: bool,
) -> tuple[Any, LinearGradients | None]:
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


def linear_cross_entropy(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    bias: npt.ArrayLike | None = None,
    class_weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> Any:
    r"""The cross-entropy of a linear layer's outputs, whose logits are never in memory as a whole.

    Let x have shape (N, D), weight (C, D), bias (C,):

        loss = cross_entropy(x @ weight.T + bias, labels, …)

    computed for a chunk of rows at a time (about 32 MB of logits, cut by the shapes alone).

    Args:
        x: (N, D) inputs of the layer; float16 and bfloat16 are multiplied in float32.
        weight: (C, D), the layer's matrix.
        labels: (N,) class indices, or (N, C) probabilities.
        bias: (C,) or None.
        class_weight: (C,) class weights, what cross_entropy calls weight.
        ignore_index, label_smoothing, z_loss, softcap, temperature, reduction: as cross_entropy. Ignored rows take no
            part in any product.

    Returns:
        As cross_entropy.

    Raises:
        As cross_entropy.

    >>> import numpy as np, softxent
    >>> x, weight = np.array([[1.0, 2.0]]), np.array([[0.0, 2.0], [1.0, 1.0], [1.0, 0.0]])
    >>> float(softxent.linear_cross_entropy(x, weight, [0])) == float(softxent.cross_entropy(x @ weight.T, [0]))
    True

    Source: the chunks of Hsu et al., "Liger Kernel" (2024). Equals torch.nn.functional.linear_cross_entropy, which has
    no softcap, z_loss or temperature.
    """
    options = LossOptions(
        class_weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction, "class_weight"
    )
    return _evaluate(x, weight, labels, bias, options, want_grad=False)[0]


def linear_cross_entropy_value_and_grad(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    bias: npt.ArrayLike | None = None,
    class_weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> tuple[Any, LinearGradients]:
    r"""The loss of linear_cross_entropy and its gradients, three matrix products a chunk.

    Let G (N, C) be cross_entropy's gradient with respect to the logits:

        ∂loss/∂x = G @ weight,   ∂loss/∂weight = Gᵀ @ x,   ∂loss/∂bias = Σ_rows G

    The gradient of the weight is accumulated in float32 for half precision, and rounded once.

    Args:
        x, weight, labels, bias, class_weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction:
        as linear_cross_entropy.

    Returns:
        (loss, LinearGradients(x=…, weight=…, bias=…)), each gradient of its argument's shape and dtype; bias is None
        where there is none. With reduction="none" the gradient with respect to x is that of each row's own loss; weight
        and bias, which the rows share, get the sum's.

    Raises:
        As cross_entropy.

    >>> import numpy as np, softxent
    >>> x, weight = np.array([[1.0, 2.0]]), np.array([[0.0, 2.0], [1.0, 1.0], [1.0, 0.0]])
    >>> loss, grads = softxent.linear_cross_entropy_value_and_grad(x, weight, [0])
    >>> grads.x.shape, grads.weight.shape, grads.bias
    ((1, 2), (3, 2), None)

    Source: as linear_cross_entropy. Equals torch.autograd.grad of torch.nn.functional.linear_cross_entropy.
    """
    options = LossOptions(
        class_weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction, "class_weight"
    )
    loss, gradients = _evaluate(x, weight, labels, bias, options, want_grad=True)
    return loss, gradients  # type: ignore[return-value]  # not None where want_grad is true
