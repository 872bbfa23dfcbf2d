"""Loss and gradient of a small, plain call, where a microsecond counts: the kernel on the tensors' addresses.

Making arrays of three small tensors costs as much as their loss. What is returned has the bits that every other way
gives it, and what is wrong with the arguments is left to the other way to say.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softxent.arrays.visits import kernels, small_call
from softxent.options import LossOptions

__all__ = ["small_loss"]

numpy_dtypes = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}


@functools.lru_cache(maxsize=512)
def _call(shape: torch.Size, dtype: torch.dtype, dim: int) -> Any:
    """Return (how the kernel is called, the shape of the labels), or None where the call is not a small one."""
    numpy_dtype = numpy_dtypes.get(dtype)
    call = None if numpy_dtype is None else small_call(tuple(shape), numpy_dtype, dim)
    if call is None or call[-1] == tuple(shape):
        return None
    strides, inner, n, step, rows, stride, keeps, tile, kept, row_shape = call
    numbers = (strides[0], strides[1], inner, n, rows, step, stride, keeps)
    return numbers, rows, tile, kept, numpy_dtype, torch.Size(row_shape), kernels().small_scratch, _kernel(dtype)


@functools.cache
def _kernel(dtype: torch.dtype) -> Any:
    """Return the compiled kernel for addresses of elements of dtype, past Numba's look at the arguments' types."""
    counts, tiles, terms, losses = kernels().small_scratch(1, 1, numpy_dtypes[dtype], None, 1)
    row, label = torch.zeros(1, dtype=dtype), torch.zeros(1, dtype=torch.int64)
    dispatcher = kernels().small_label_rows
    dispatcher(
        row.data_ptr(), row.data_ptr(), label.data_ptr(), row.itemsize, row.itemsize, 1, 1, 1, 1, 0, False, -100, 0.0,
        True, False, counts, tiles, terms, losses,
    )  # fmt: skip
    wanted = tiles.dtype.name
    signatures = ((compiled.signature.args, compiled.entry_point) for compiled in dispatcher.overloads.values())
    matching = [entry for types, entry in signatures if types[0] == types[5] and types[16].dtype.name == wanted]
    return matching[0] if len(matching) == 1 else dispatcher


def small_loss(
    logits: Tensor, target: Tensor, options: LossOptions, dim: int, want_grad: bool
) -> tuple[Tensor, Tensor | None] | None:
    """Return (loss, gradient or None), or None where the call is not small and plain. No class weights."""
    call = _call(logits.shape, logits.dtype, dim)
    if call is None or options.reduction == "none" or target.dtype is not torch.int64:
        return None
    numbers, rows, tile, kept, dtype, row_shape, scratch, kernel = call
    if options.label_smoothing or options.softcap is not None or options.temperature != 1.0:
        return None
    if not (logits.is_contiguous() and target.is_contiguous()):
        return None
    if target.shape != row_shape or abs(options.ignore_index) >= 2**63 or logits.is_neg():
        return None
    gradient = torch.empty_like(logits) if want_grad else logits
    value, divisor = kernel(
        logits.data_ptr(), gradient.data_ptr(), target.data_ptr(), *numbers, options.ignore_index, options.z_loss,
        options.reduction == "mean", want_grad, *scratch(tile, kept, dtype, None, rows),
    )  # fmt: skip
    if not divisor > 0.0:
        return None
    return torch.scalar_tensor(value, dtype=logits.dtype), gradient if want_grad else None
