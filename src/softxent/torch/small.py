"""Loss and gradient of a small, plain call, where a microsecond counts: the kernel on the tensors' addresses.

Making arrays of three small tensors costs as much as their loss. What is returned has the bits that every other way
gives it, and what is wrong with the arguments is left to the other way to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from softxent.arrays.small import loss_call
from softxent.options import LossOptions

__all__ = ["small_loss"]

# A dtype in NumPy, an array that tells it to a kernel, and a scalar of it: empty_like is the fastest way to a new one.
_DTYPES: dict[torch.dtype, tuple[np.dtype[Any], np.ndarray, Tensor]] = {
    torch.float32: (np.dtype(np.float32), np.empty(0, np.float32), torch.empty((), dtype=torch.float32, device="cpu")),
    torch.float64: (np.dtype(np.float64), np.empty(0, np.float64), torch.empty((), dtype=torch.float64, device="cpu")),
}


def small_loss(
    logits: Tensor, target: Tensor, options: LossOptions, dim: int, want_grad: bool
) -> tuple[Tensor, Tensor | None] | None:
    """Return (loss, gradient or None), or None where the call is not small and plain. No class weights."""
    known = _DTYPES.get(logits.dtype)
    if known is None or target.dtype is not torch.int64:
        return None
    if options.label_smoothing or options.softcap is not None or options.temperature != 1.0:
        return None
    dtype, of_dtype, scalar = known
    call = loss_call(
        logits.shape, dtype, dim, options.ignore_index, options.z_loss, options.reduction, want_grad,
        "small_label_rows_at",
    )  # fmt: skip
    if target.shape != call.shape or not (logits.is_contiguous() and target.is_contiguous()) or logits.is_neg():
        return None
    gradient = torch.empty_like(logits) if want_grad else logits
    loss = torch.empty_like(scalar)
    value = call.kernel(
        logits.data_ptr(), gradient.data_ptr(), target.data_ptr(), loss.data_ptr(), call.numbers, of_dtype
    )
    if value < 0.0:
        return None
    return loss, gradient if want_grad else None
