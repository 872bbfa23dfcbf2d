"""The loss that most calls want: index labels, with class weights and z-loss at most."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent.numpy.rows import Layout
from softxent.numpy.targets import Targets
from softxent.numpy.visits import NOTHING, plan, strided, visit
from softxent.options import LossOptions

__all__ = ["is_label_loss", "label_losses"]


def is_label_loss(options: LossOptions) -> bool:
    """Whether index labels under these options are this loss."""
    return options.label_smoothing == 0.0 and not options.transforms_logits


def label_losses(
    array: np.ndarray, layout: Layout, targets: Targets, divisor: float, losses: np.ndarray, result: np.ndarray | None
) -> None:
    """Write each row's loss into losses, and the gradient into result, if there is one.

    array: float16, bfloat16, float32 or float64, of the layout's shape; result: of its dtype and shape, maybe the array;
    losses: (N,) float64. The labels are checked.
    """
    from softxent.kernels.cpu.cross_entropy import label_rows
    from softxent.kernels.cpu.scheduler import get_num_threads

    z = strided(array, layout)
    out = z if result is None else strided(result, layout)
    size = z.base.dtype.itemsize
    contiguous = z.classes == size == out.classes
    how = plan(layout.num_rows, layout.num_classes, layout.inner, size, contiguous, result is None or result is array, get_num_threads())
    weight = NOTHING if targets.weight is None else targets.weight
    inner, n, labels, ignore, z_loss = (
        layout.inner,
        layout.num_classes,
        targets.index,
        targets.ignore_index,
        targets.z_loss,
    )
    want_grad = result is not None

    def work(first: int, last: int, tile: np.ndarray, stride: int, streams: bool) -> None:
        label_rows(
            *z, *out, inner, n, first, last, tile, stride, streams,
            labels, ignore, weight, NOTHING, z_loss, divisor, losses, want_grad,
        )  # fmt: skip

    visit(work, how, z.base.dtype)
