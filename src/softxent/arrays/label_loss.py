"""The loss that most calls want: index labels, with class weights and z-loss at most."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent.arrays.rows import Layout
from softxent.arrays.targets import Targets
from softxent.arrays.visits import NOTHING, kernels, plan, small_call, strided, strided_like, visit
from softxent.options import LossOptions

__all__ = ["LARGEST_FLOAT32", "is_label_loss", "label_losses", "small_label_loss"]

LARGEST_FLOAT32 = 3.4e38


def is_label_loss(options: LossOptions) -> bool:
    """Whether index labels under these options are this loss."""
    return options.label_smoothing == 0.0 and not options.transforms_logits


def label_losses(
    array: np.ndarray,
    layout: Layout,
    targets: Targets,
    divisor: float,
    losses: np.ndarray,
    result: np.ndarray | None,
    row_scale: np.ndarray | None = None,
) -> None:
    """Write each row's loss into losses, and the gradient into result, if there is one.

    array: float16, bfloat16, float32 or float64, of the layout's shape; result: of its dtype and shape, maybe array;
    losses: (N,) float64; row_scale: (N,) float64 factors of the rows' losses and gradients, or None. The labels are
    checked.
    """
    own = kernels()
    z = strided(array, layout)
    out = z if result is None or result is array else strided_like(result, layout, z, array)
    size = z[0].itemsize
    inner, n = layout.inner, layout.num_classes
    how = plan(layout.num_rows, n, inner, size, z[2] == size == out[2], out is z, own.get_num_threads())
    weight = NOTHING if targets.weight is None else targets.weight
    scale = NOTHING if row_scale is None else row_scale
    label_rows = own.label_rows
    labels, ignore, z_loss, want_grad = targets.index, targets.ignore_index, targets.z_loss, result is not None

    def work(
        ledger: np.ndarray, step: int, rows: int, tile: np.ndarray, stride: int, streams: bool, *terms: Any
    ) -> None:
        label_rows(
            *z, *out, inner, n, ledger, step, rows, tile, stride, streams,
            labels, ignore, weight, scale, z_loss, divisor, losses, want_grad, *terms,
        )  # fmt: skip

    visit(work, layout.num_rows, how, z[0].dtype)


def small_label_loss(
    logits: np.ndarray, labels: np.ndarray, axis: int, options: LossOptions, want_grad: bool, out: np.ndarray | None
) -> tuple[Any, Any] | None:
    """Loss and gradient of a small, plain call, where a microsecond counts; None where the call is not one.

    What is returned has the bits that every other way gives it, and what is wrong with the arguments is left to the
    other way to say.
    """
    if not (logits.flags.carray and labels.flags.carray and labels.dtype == np.int64 and logits.dtype.isnative):
        return None
    if options.reduction == "none" or options.weight is not None or not is_label_loss(options):
        return None
    call = small_call(logits.shape, logits.dtype, axis)
    if call is None:
        return None
    strides, inner, n, step, rows, stride, keeps, tile, kept, row_shape = call
    ignore = options.ignore_index
    if labels.shape != row_shape or labels.shape == logits.shape or abs(ignore) >= 2**63:
        return None
    own = kernels()
    result = logits
    if want_grad:
        if out is None:
            result = np.empty(logits.shape, logits.dtype)
        elif out.dtype == logits.dtype and out.shape == logits.shape and out.flags.carray:
            if out is not logits and np.may_share_memory(out, logits):
                return None
            result = out
        else:
            return None
    ledger, tiles, terms, losses = own.small_scratch(tile, kept, logits.dtype, None, rows)
    value, divisor = own.small_label_rows(
        logits.reshape(-1), result.reshape(-1), labels.reshape(-1), strides[0], strides[1], inner, n, rows, step,
        stride, keeps, ignore, options.z_loss, options.reduction == "mean", want_grad, ledger, tiles, terms, losses,
    )  # fmt: skip
    if not divisor > 0.0:
        return None
    if not abs(value) <= LARGEST_FLOAT32:
        with np.errstate(all="ignore"):
            return _scalar(logits, value), result if want_grad else None
    return _scalar(logits, value), result if want_grad else None


def _scalar(logits: np.ndarray, value: float) -> Any:
    return np.float64(value) if logits.itemsize == 8 else np.float32(value)
