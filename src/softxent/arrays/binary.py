"""Binary cross-entropy of arrays of any layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.intervals import Interval, check_all, label_interval, logarithm_interval
from softxent.arrays.loss import divisor_of, reduce_losses
from softxent.arrays.rows import Block, Layout, Rows, as_floating, is_longdouble, run_blocks, working_dtype
from softxent.arrays.targets import reshaped
from softxent.errors import ShapeError
from softxent.given import FACTORS, NUMBERS, TARGETS, as_flag, as_numbers
from softxent.options import Reduction, check_reduction

__all__ = ["evaluate_binary"]


def _broadcast_factor(name: str, factor: npt.ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray | None:
    if factor is None:
        return None
    array = as_numbers(name, factor, FACTORS)
    try:
        return np.broadcast_to(array, shape)
    except ValueError as error:
        raise ShapeError(f"{name} must broadcast to the logits' shape {shape}; got shape {array.shape}") from error


def evaluate_binary(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    from_logits: bool,
    weight: npt.ArrayLike | None,
    pos_weight: npt.ArrayLike | None,
    reduction: Reduction,
    want_grad: bool,
    advice: str | None = None,
) -> tuple[Any, Any]:
    """Return (loss, gradient), or (loss, None), as documented in softxent.numpy.binary.

    advice: the advice in the error about targets out of [0, 1]; None if they may be any numbers.
    """
    check_reduction(reduction)
    from_logits = as_flag("from_logits", from_logits)
    array, labels = as_floating("logits", logits, NUMBERS), as_floating("targets", targets, TARGETS)
    if labels.shape != array.shape:
        raise ShapeError(
            f"targets must have the logits' shape {array.shape}; got {labels.shape}"
            f"{reshaped('targets', labels.shape, array.shape)}"
        )
    factors = [_broadcast_factor(n, f, array.shape) for n, f in (("weight", weight), ("pos_weight", pos_weight))]
    layout = Layout.of((array.size, 1), 1)
    intervals = (
        None if from_logits else logarithm_interval("logits", array, layout, both=True),
        None if advice is None else label_interval("targets", labels, layout, advice),
    )
    if is_longdouble(array.dtype):
        from softxent import reference

        check_all(*intervals)

        both = reference.binary_cross_entropy_value_and_grad(
            array, labels, from_logits=from_logits, weight=factors[0], pos_weight=factors[1], reduction=reduction
        )
        return both[0], both[1] if want_grad else None
    dtype = working_dtype(array.dtype)
    divisor = divisor_of(float(array.size), reduction)
    losses = np.empty(array.size)
    grad = np.empty(array.shape, array.dtype.newbyteorder("=")) if want_grad else None
    if array.size:
        from softxent.kernels.cpu import binary

        kernel = binary.binary_logit_elements if from_logits else binary.binary_probability_elements

        def rows(a: np.ndarray, working: Any, buffer: str, interval: Interval | None = None) -> Rows:
            return Rows(a.reshape(-1, 1), layout, np.dtype(working), buffer, interval)

        x, y = rows(array, dtype, "in", intervals[0]), rows(labels, dtype, "targets", intervals[1])
        w, q = (None if f is None else rows(f, np.float64, f"factor {i}") for i, f in enumerate(factors))
        sink = None if grad is None else rows(grad, dtype, "out")

        def work(block: Block) -> None:
            out = None if sink is None else sink.space(block)
            kernel(
                x.read(block).reshape(-1),
                y.read(block).reshape(-1),
                None if w is None else w.read(block).reshape(-1),
                None if q is None else q.read(block).reshape(-1),
                divisor,
                losses[block.rows],
                None if out is None else out.reshape(-1),
            )
            x.check(block)
            y.check(block)
            if sink is not None and out is not None:
                sink.write(block, out)

        run_blocks(work, layout)
    loss_dtype = np.float64 if dtype == np.float64 else np.float32
    loss = reduce_losses(losses, float(array.size), reduction, array.shape, loss_dtype)
    return loss, None if grad is None else grad[()]
