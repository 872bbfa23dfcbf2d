"""The output layer and its loss, a chunk of rows at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softxent.arrays import results
from softxent.arrays.intervals import FOR_SHARES
from softxent.arrays.label_loss import is_label_loss, label_losses
from softxent.arrays.loss import divisor_of, loss_rows, reduce_losses
from softxent.arrays.rows import Block, Layout, as_floating, is_longdouble, run_blocks, working_dtype
from softxent.arrays.targets import Targets, prepare_targets
from softxent.errors import DTypeError, ShapeError
from softxent.given import FEATURES, NUMBERS, Role
from softxent.options import LossOptions

if TYPE_CHECKING:
    from softxent.kernels.cpu.matmul.linear import OutputLayer

__all__ = ["LinearGradients", "LinearProblem", "evaluate_linear"]


class LinearGradients(NamedTuple):
    """Gradients of linear_cross_entropy: x (N, D), weight (C, D), bias (C,), or None if there is no bias."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None


def _matrix(name: str, value: npt.ArrayLike, shape: str, role: Role) -> np.ndarray:
    array = as_floating(name, value, role)
    if array.ndim != 2:
        row = f". For one row use {name}.reshape((1, -1))" if array.ndim == 1 else ""
        raise ShapeError(f"{name} must have two axes, {shape}; got shape {array.shape}{row}")
    return array


@dataclass(frozen=True, slots=True)
class LinearProblem:
    """The checked arguments of one call: arrays whose shapes fit, and the labels in the kernels' form."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    targets: Targets
    options: LossOptions
    dtype: np.dtype[Any]

    @classmethod
    def of(
        cls,
        x: npt.ArrayLike,
        weight: npt.ArrayLike,
        labels: npt.ArrayLike,
        bias: npt.ArrayLike | None,
        options: LossOptions,
        names: tuple[str, str, str, str] = ("x", "weight", "labels", "bias"),
        advice: str | None = None,
    ) -> LinearProblem:
        """Check the arguments.

        names: the caller's names of x, weight, labels and bias; advice: for labels out of [0, 1], as prepare_targets.
        """
        inputs = _matrix(names[0], x, "(N, D)", FEATURES)
        table = _matrix(names[1], weight, "(C, D)", NUMBERS)
        if inputs.shape[1] != table.shape[1]:
            turned = f". Use {names[1]}.T" if inputs.shape[1] == table.shape[0] else ""
            raise ShapeError(
                f"{names[1]} must have shape (C, D) with the D = {inputs.shape[1]} of {names[0]} {inputs.shape}; "
                f"got {table.shape}{turned}"
            )
        num_rows, num_classes = inputs.shape[0], table.shape[0]
        intercept = None
        if bias is not None:
            intercept = as_floating(names[3], bias, NUMBERS)
            if intercept.shape != (num_classes,):
                raise ShapeError(
                    f"{names[3]} must have shape ({num_classes},), one number a class; got {intercept.shape}"
                )
        of = f"the logits {names[0]} @ {names[1]}.T"
        layout = Layout.of((num_rows, num_classes), -1, of)
        dtypes = [a.dtype for a in (inputs, table, intercept) if a is not None]
        if any(is_longdouble(d) for d in dtypes):
            raise DTypeError(
                f"{names[0]}, {names[1]} and {names[3]} must be float64 or narrower here, as no BLAS multiplies "
                f"longdouble matrices; got {', '.join(map(str, dtypes))}. Use .astype(np.float64)"
            )
        dtype = np.result_type(*[working_dtype(d) for d in dtypes])  # float16 and bfloat16 have no common dtype
        targets = prepare_targets(labels, layout, options, dtype, of, names[2], advice)
        if targets.rows is not None:
            targets.rows.check_all()  # before any product, because it is cheap compared with one
        return cls(inputs, table, intercept, targets, options, dtype)

    @property
    def loss_dtype(self) -> Any:
        """float64 for float64 arguments, else float32."""
        return np.float64 if self.dtype == np.float64 else np.float32

    def evaluate(
        self, wants: tuple[bool, bool, bool], row_scale: np.ndarray | None = None, rounds: bool = True
    ) -> tuple[Any, OutputLayer]:
        """Return the loss, and the layer with the wanted gradients of x, weight and bias.

        row_scale: (N,) float64 factors of the rows' losses and gradients, or None; rounds: whether the gradients get
        the dtypes of their arguments; else they keep the dtype of the computation.
        """
        from softxent.kernels.cpu.matmul.linear import OutputLayer

        targets, num_rows = self.targets, self.x.shape[0]
        losses = np.zeros(num_rows)
        layer = OutputLayer(self.x, self.weight, self.bias, self.dtype, wants, rounds, results.empty)
        if targets.index is not None:
            # Ignored rows are left out of every product, which would cost time and spread a NaN.
            counted = np.flatnonzero(targets.index != targets.ignore_index)
        else:
            counted = np.arange(num_rows)

        def chunk_loss(rows: np.ndarray, z: np.ndarray) -> None:
            scale = None if row_scale is None else row_scale[rows]
            losses[rows] = self._chunk_losses(rows, z, any(wants), scale)

        layer.run(counted, chunk_loss)
        reduction = self.options.reduction
        return reduce_losses(losses, targets.total, reduction, (num_rows,), self.loss_dtype), layer

    def _chunk_losses(
        self, rows: np.ndarray, z: np.ndarray, want_grad: bool, row_scale: np.ndarray | None
    ) -> np.ndarray:
        """Replace a chunk's logits by their gradients, and return its losses."""
        targets, options = self.targets, self.options
        losses = np.empty(rows.size)
        divisor = divisor_of(targets.total, options.reduction)
        layout = Layout.of(z.shape, -1)
        if targets.index is not None:
            targets = replace(targets, index=targets.index[rows])
            if is_label_loss(options):
                label_losses(z, layout, targets, divisor, losses, z if want_grad else None, row_scale)
                return losses
        soft = None if targets.probabilities is None else _soft_rows(targets.probabilities, rows, self.dtype)

        def work(block: Block) -> None:
            part = z[block.rows]
            grad = part if want_grad else None
            probabilities = None if soft is None else soft[block.rows]
            scale = None if row_scale is None else row_scale[block.rows]
            loss_rows(part, targets, block.rows, options, divisor, losses[block.rows], grad, probabilities, scale)

        run_blocks(work, layout)
        return losses


def _soft_rows(probabilities: np.ndarray, rows: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return np.ascontiguousarray(probabilities[rows[0] : rows[-1] + 1], dtype)


def evaluate_linear(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    options: LossOptions,
    want_grad: bool,
) -> tuple[Any, LinearGradients | None]:
    """Return (loss, gradients), or (loss, None), as documented in softxent.numpy.linear."""
    problem = LinearProblem.of(x, weight, labels, bias, options, advice=FOR_SHARES)
    loss, layer = problem.evaluate((want_grad, want_grad, want_grad and bias is not None))
    if not want_grad:
        return loss, None
    return loss, LinearGradients(layer.grad_x, layer.grad_weight, layer.grad_bias)  # type: ignore[arg-type]
