"""The loss of most calls: index labels, at most with class weights and z-loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent.arrays.rows import Layout
from softxent.arrays.targets import Targets
from softxent.arrays.visits import NOTHING, kernels, plan, strided, strided_like, threads_for, visit
from softxent.options import LossOptions

__all__ = ["is_label_loss", "label_losses"]


def is_label_loss(options: LossOptions) -> bool:
    """Whether index labels with these options have this loss."""
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

    array: float16, bfloat16, float32 or float64, of the layout's shape; result: of its dtype and shape, possibly array
    itself; losses: (N,) float64; row_scale: (N,) float64 factors of the rows' losses and gradients, or None. The labels
    must have been checked.
    """
    own = kernels()
    z = strided(array, layout)
    out = z if result is None or result is array else strided_like(result, layout, z, array)
    size = z[0].itemsize
    inner, n = layout.inner, layout.num_classes
    how = plan(layout.num_rows, n, inner, size, z[2] == size == out[2], out is z, threads_for(array.size, size))
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
