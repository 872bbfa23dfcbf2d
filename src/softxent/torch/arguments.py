"""What PyTorch's losses accept, checked: tensors, class dimensions, the old size_average and reduce."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import _reduction

from softxent.errors import DTypeError, OptionError, ShapeError

__all__ = ["check_devices", "class_dim", "floating", "reduction_of"]


_FLOATING = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))


def floating(name: str, value: Any) -> Tensor:
    """Return value, a tensor of real floating numbers."""
    if not isinstance(value, Tensor):
        raise DTypeError(f"{name} must be a torch.Tensor; got {type(value).__name__}")
    if value.dtype not in _FLOATING:
        raise DTypeError(f"{name} must be float16, bfloat16, float32 or float64; got {value.dtype}. Use {name}.float()")
    return value


def class_dim(logits: Tensor) -> int:
    """Return the class dimension of a loss's logits: 1, or 0 of a single row."""
    if logits.ndim == 0:
        raise ShapeError("input must have a dimension of classes: (C,), (N, C) or (N, C, d1, …); got a scalar")
    return 1 if logits.ndim > 1 else 0


def check_devices(input: Tensor, target: Tensor, weight: Tensor | None, dim: int) -> None:
    """Check for a device without kernels of ours what the kernels' front end checks on a CPU."""
    for name, tensor in (("target", target), ("weight", weight)):
        if tensor is not None and tensor.device != input.device:
            raise OptionError(
                f"{name} must be on input's device, {input.device}; got {tensor.device}. Use {name}.to(input.device)"
            )
    rows = input.shape[:dim] + input.shape[dim + 1 :]
    if not input.shape[dim]:
        raise ShapeError(f"input must have at least one class along dim {dim}; got shape {tuple(input.shape)}")
    if target.is_floating_point():
        if target.shape != input.shape:
            raise ShapeError(f"target must have input's shape {tuple(input.shape)}; got {tuple(target.shape)}")
    elif target.shape != rows:
        raise ShapeError(f"target must have shape {tuple(rows)}, one class a row; got {tuple(target.shape)}")
    if weight is not None and weight.shape != (input.shape[dim],):
        raise ShapeError(f"weight must have shape ({input.shape[dim]},), one a class; got {tuple(weight.shape)}")


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return the reduction that the arguments of PyTorch before 0.4 ask for, with PyTorch's warning."""
    if size_average is None and reduce is None:
        return reduction
    return str(_reduction.legacy_get_string(size_average, reduce))
