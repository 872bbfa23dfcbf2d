"""CPU tensors as NumPy arrays and back, never copied; bfloat16 too."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_array", "as_scalar", "as_tensor", "class_last", "row_factors"]


@functools.cache
def _bfloat16() -> np.dtype[Any]:
    import ml_dtypes

    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a CPU tensor's memory as an array of its shape and strides."""
    tensor = tensor.detach()
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(_bfloat16())
    return tensor.numpy()


def as_tensor(array: Any) -> Tensor:
    """Return a tensor on an array's memory, which it keeps alive."""
    array = np.asarray(array)
    if array.itemsize == 2 and array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def as_scalar(value: float, wide: bool) -> Tensor:
    """Return a loss as a tensor without dimensions: float64 for float64 logits, else float32."""
    return torch.scalar_tensor(value, dtype=torch.float64 if wide else torch.float32)


def class_last(tensor: Tensor, dim: int) -> tuple[Tensor, int, bool]:
    """Return (tensor, dim, False), or (with its classes moved last, −1, True) where only so it is contiguous.

    Results take the layout of what they are computed from, as PyTorch's channels-last tensors want it.
    """
    if tensor.is_contiguous() or tensor.ndim < 3:
        return tensor, dim, False
    moved = tensor.movedim(dim, -1)
    return (moved, -1, True) if moved.is_contiguous() else (tensor, dim, False)


def row_factors(cotangent: Tensor, rows: int) -> np.ndarray:
    """Return a scalar cotangent, or one for each row, as (rows,) float64."""
    factors = as_array(cotangent)
    if factors.ndim == 0:
        return np.full(rows, factors, np.float64)
    return np.ascontiguousarray(factors, np.float64).reshape(-1)
