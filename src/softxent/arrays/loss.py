"""Evaluate the cross-entropy of logits or probabilities: loss, gradient, Hessian-vector product."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.intervals import check_all, logarithm_interval
from softxent.arrays.label_loss import is_label_loss, label_losses
from softxent.arrays.rows import (
    Axis,
    Block,
    Layout,
    Rows,
    as_floating,
    is_longdouble,
    native,
    output_array,
    run_blocks,
    working_dtype,
)
from softxent.arrays.small import LARGEST_FLOAT32
from softxent.arrays.targets import Targets, prepare_targets
from softxent.arrays.visits import kernels
from softxent.errors import OptionError, ShapeError
from softxent.given import LOGITS, NUMBERS, as_flag
from softxent.options import LossOptions, Reduction

__all__ = ["divisor_of", "evaluate", "loss_rows", "reduce_losses"]


def divisor_of(total: float, reduction: Reduction) -> float:
    """Return the divisor of a row's gradient; NaN for a mean whose weights sum to zero, like its loss."""
    return (total or math.nan) if reduction == "mean" else 1.0


def reduce_losses(losses: np.ndarray, total: float, reduction: Reduction, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return the rows' losses, their sum, or their mean (NaN if total is 0), in the loss's dtype."""
    if reduction == "none":
        with np.errstate(all="ignore"):
            return losses.reshape(shape).astype(dtype, copy=False)[()]
    value: float = kernels().sum_vector(losses)[0] if losses.size else 0.0
    value /= divisor_of(total, reduction)
    if abs(value) <= LARGEST_FLOAT32:
        return dtype(value)
    with np.errstate(all="ignore"):
        return dtype(value)


@functools.cache
def _general() -> tuple[Any, Any]:
    """Import and return the kernels for all modifiers."""
    from softxent.kernels.cpu.general import hard_label_rows, soft_label_rows

    return hard_label_rows, soft_label_rows


def loss_rows(
    z: np.ndarray,
    targets: Targets,
    block: slice,
    options: LossOptions,
    divisor: float,
    losses: np.ndarray,
    grad: np.ndarray | None,
    soft: np.ndarray | None,
    row_scale: np.ndarray | None = None,
) -> None:
    """Compute losses and gradients of one block of logits, with all modifiers.

    z: (n, C), float32 or float64; soft: (n, C) probabilities, or None; losses: (n,) float64; grad: (n, C), possibly z
    itself, or None; row_scale: (n,) float64 factors of losses and gradients, or None.
    """
    hard_label_rows, soft_label_rows = _general()
    z_lo = offset = slope = None
    if options.transforms_logits:
        z, z_lo, slope, _, offset = _transformed(z, options, curvature=False)
    t = targets
    if soft is None:
        index = None if t.index is None else t.index[block]
        rest = (t.weight, t.keep, t.spread, t.z_loss, divisor, row_scale, losses, grad)
        hard_label_rows(z, z_lo, offset, slope, index, t.ignore_index, *rest)
    else:
        rest = (t.weight, t.keep, t.spread, t.z_loss, divisor, row_scale, losses, grad)
        soft_label_rows(z, z_lo, offset, slope, soft, *rest)


def _transformed(z: np.ndarray, options: LossOptions, curvature: bool) -> tuple[Any, ...]:
    from softxent.kernels.cpu.logits import transform_rows

    high, low, slope = np.empty_like(z), np.empty_like(z), np.empty_like(z)
    bend = np.empty_like(z) if curvature else None
    offset = np.empty(z.shape[0])
    transform_rows(z, options.softcap or 0.0, options.temperature, high, low, slope, bend, offset)
    return high, low, slope, bend, offset


def _hvp_rows(
    z: np.ndarray,
    targets: Targets,
    block: slice,
    options: LossOptions,
    divisor: float,
    tangent: np.ndarray,
    out: np.ndarray,
    soft: np.ndarray | None,
) -> None:
    """Compute Hessian-vector products of one block: z' ⊙ H_z (z' ⊙ v) + z'' ⊙ ∂loss/∂z ⊙ v."""
    from softxent.kernels.cpu.products import hvp_rows

    t = targets
    labels = t.index[block] if t.index is not None else soft
    rest = (t.ignore_index, t.weight, t.keep, t.spread, t.z_loss, divisor)
    if not options.transforms_logits:
        hvp_rows(z, None, None, None, labels, *rest, tangent, out)
        return
    high, low, slope, bend, offset = _transformed(z, options, curvature=True)
    hvp_rows(high, low, offset, slope, labels, *rest, tangent, out)
    if options.softcap is not None:
        hard_label_rows, soft_label_rows = _general()
        curved, unused = np.empty_like(z), np.empty(z.shape[0])
        common = (t.weight, t.keep, t.spread, t.z_loss, divisor, None)
        # The curvature of softcap adds z'' ⊙ ∂loss/∂z ⊙ v: the gradient with z'' ⊙ v as its slope.
        with np.errstate(all="ignore"):
            bend *= tangent
            if soft is None:
                hard_label_rows(high, low, offset, bend, labels, t.ignore_index, *common, unused, curved)
            else:
                soft_label_rows(high, low, offset, bend, soft, *common, unused, curved)
            out += curved


def evaluate(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    options: LossOptions,
    *,
    axis: Axis,
    from_logits: bool,
    want_grad: bool = False,
    tangent: npt.ArrayLike | None = None,
    out: np.ndarray | None = None,
    row_scale: np.ndarray | None = None,
    names: tuple[str, str] = ("logits", "labels"),
    advice: str | None = None,
) -> tuple[Any, Any]:
    """Return (loss, gradient), (loss, None), or with a tangent (None, Hessian-vector product).

    row_scale: (N,) float64 factors of the rows' losses and gradients, or None. Not for longdouble, nor with a tangent.
    names: the caller's names of logits and labels; advice: for labels out of [0, 1], as prepare_targets.
    """
    from_logits = as_flag("from_logits", from_logits)
    array = as_floating(names[0], logits, LOGITS if from_logits else NUMBERS)
    layout = Layout.of(array.shape, axis, names[0])
    if not from_logits and (options.transforms_logits or options.z_loss):
        raise OptionError("z_loss, softcap and temperature act on logits; with from_logits=False leave them out")
    vector = None
    if tangent is not None:
        vector = as_floating("tangent", tangent, NUMBERS)
        if vector.shape != array.shape:
            raise ShapeError(f"tangent must have the logits' shape {array.shape}; got {vector.shape}")
    wide = is_longdouble(array.dtype)
    dtype = np.dtype(np.longdouble) if wide else working_dtype(array.dtype)
    targets = prepare_targets(labels, layout, options, dtype, *names, advice)
    interval = None
    if not from_logits:
        index, ignored = targets.index, targets.ignore_index
        interval = logarithm_interval(
            names[0], array, layout, None if index is None else lambda rows: index[rows] != ignored
        )
    if wide:
        check_all(interval, targets.interval)
        return _evaluate_by_reference(array, targets, options, layout, from_logits, want_grad, vector, out)

    divisor = divisor_of(targets.total, options.reduction)
    count = layout.num_rows
    if options.reduction == "none":
        losses = np.empty(count)
    else:
        losses = kernels().scratch("losses", count, np.dtype(np.float64))[:count]
    result: Any = None
    sink: Rows | None = None
    if want_grad or vector is not None:
        others = () if targets.probabilities is None else (targets.probabilities,)
        target, deliver = output_array(out, layout, native(array.dtype), array, others)
    if layout.num_rows and targets.index is not None and from_logits and vector is None and is_label_loss(options):
        label_losses(array, layout, targets, divisor, losses, target if want_grad else None, row_scale)
    elif layout.num_rows:
        source = Rows(array, layout, dtype, "in", interval)
        sink = Rows(target, layout, dtype, "out") if want_grad or vector is not None else None
        tangents = None if vector is None else Rows(vector, layout, dtype, "tangent")
        checked = [rows for rows in (source, targets.rows) if rows is not None and rows.interval is not None]
        if out is not None:  # if the call is refused, no row of out may have been written
            for rows in checked:
                rows.check_all()
            checked = []

        def work(block: Block) -> None:
            z = source.read(block)
            soft = None if targets.rows is None else targets.rows.read(block)
            out_rows = None if sink is None else sink.space(block)
            if not from_logits:
                from softxent.kernels.cpu.probabilities import probability_rows

                t = targets
                y = t.index[block.rows] if t.index is not None else soft
                v = None if tangents is None else tangents.read(block)
                probability_rows(
                    z, y, t.ignore_index, t.weight, t.keep, t.spread, divisor, v, losses[block.rows], out_rows
                )
            elif tangents is not None and out_rows is not None:
                _hvp_rows(z, targets, block.rows, options, divisor, tangents.read(block), out_rows, soft)
            else:
                scale = None if row_scale is None else row_scale[block.rows]
                loss_rows(z, targets, block.rows, options, divisor, losses[block.rows], out_rows, soft, scale)
            for rows in checked:
                rows.check(block)
            if sink is not None and out_rows is not None:
                sink.write(block, out_rows)

        run_blocks(work, layout)
    if want_grad or vector is not None:
        result = deliver()
        result = result if out is not None else result[()]
    if vector is not None:
        return None, result
    loss_dtype = np.float64 if dtype == np.float64 else np.float32
    return reduce_losses(losses, targets.total, options.reduction, layout.row_shape, loss_dtype), result


def _evaluate_by_reference(
    array: np.ndarray,
    targets: Targets,
    options: LossOptions,
    layout: Layout,
    from_logits: bool,
    want_grad: bool,
    tangent: np.ndarray | None,
    out: np.ndarray | None,
) -> tuple[Any, Any]:
    """Return the same, computed by softxent.reference, for longdouble logits."""
    from softxent import reference

    def as_rows(a: np.ndarray) -> np.ndarray:
        return layout.cube(a).transpose(0, 2, 1).reshape(-1, layout.num_classes)

    def as_given(rows: np.ndarray) -> np.ndarray:
        cube = np.asarray(rows).reshape(layout.outer, layout.inner, layout.num_classes)
        given = cube.transpose(0, 2, 1).reshape(layout.shape)
        if out is None:
            return given[()]
        target, deliver = output_array(out, layout, array.dtype)
        target[...] = given
        return deliver()

    y: Any = targets.index if targets.probabilities is None else as_rows(targets.probabilities)
    z = as_rows(array)
    if tangent is not None:
        product = reference.cross_entropy_hvp(z, y, as_rows(tangent), options, from_logits=from_logits)
        return None, as_given(product)
    loss, grad = reference.cross_entropy_value_and_grad(z, y, options, from_logits=from_logits)
    if options.reduction == "none":
        loss = np.asarray(loss).reshape(layout.row_shape)[()]
    return loss, as_given(grad) if want_grad else None
