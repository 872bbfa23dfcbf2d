"""Loss and gradient of a small, plain call, where a microsecond counts: the kernel on the tensors' addresses.

Making arrays of three small tensors costs as much as their loss. What is returned has the bits that every other way
gives it, and what is wrong with the arguments is left to the other way to say.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from softxent.arrays.label_loss import is_label_loss
from softxent.arrays.visits import kernels, small_call
from softxent.options import LossOptions

__all__ = ["small_loss"]


@functools.lru_cache(maxsize=512)
def _call(shape: torch.Size, dtype: torch.dtype, dim: int) -> Any:
    """Return (how the kernel is called, the shape of the labels), or None where the call is not a small one."""
    import numpy as np

    numpy_dtype = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}.get(dtype)
    call = None if numpy_dtype is None else small_call(tuple(shape), numpy_dtype, dim)
    if call is None or call[-1] == tuple(shape):
        return None
    strides, inner, n, step, rows, stride, keeps, tile, kept, row_shape = call
    numbers = (strides[0], strides[1], inner, n, rows, step, stride, keeps)
    return numbers, rows, tile, kept, numpy_dtype, torch.Size(row_shape), kernels()


def small_loss(
    logits: Tensor, target: Tensor, options: LossOptions, dim: int, want_grad: bool
) -> tuple[Tensor, Tensor] | None:
    """Return (loss, gradient or logits), or None where the call is not small and plain. No class weights."""
    call = _call(logits.shape, logits.dtype, dim)
    if call is None or options.reduction == "none" or target.dtype is not torch.int64:
        return None
    numbers, rows, tile, kept, dtype, row_shape, own = call
    if not (logits.is_contiguous() and target.is_contiguous() and is_label_loss(options)):
        return None
    if target.shape != row_shape or abs(options.ignore_index) >= 2**63 or logits.is_neg():
        return None
    gradient = torch.empty_like(logits) if want_grad else logits
    counts, tiles, terms, losses = own.small_scratch(tile, kept, dtype, None, rows)
    value, divisor = own.small_label_rows(
        logits.data_ptr(), gradient.data_ptr(), target.data_ptr(), *numbers, options.ignore_index, options.z_loss,
        options.reduction == "mean", want_grad, counts, tiles, terms, losses,
    )  # fmt: skip
    if not divisor > 0.0:
        return None
    return torch.scalar_tensor(value, dtype=logits.dtype), gradient
