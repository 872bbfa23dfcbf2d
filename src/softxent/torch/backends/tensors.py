"""Convert CPU tensors to NumPy arrays and back without a copy, bfloat16 included."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softxent.errors import DTypeError

__all__ = ["alive", "as_array", "as_scalar", "as_tensor", "lies_class_last", "row_factors"]


def alive(*tensors: Tensor | None) -> list[Any]:
    """Unwrap tensors that were saved under a torch.func transform that has ended, as for vjp's pull-back."""
    return [t if t is None else torch._C._functorch.unwrap_if_dead(t) for t in tensors]


@functools.cache
def _bfloat16() -> np.dtype[Any]:
    import ml_dtypes

    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


_DTYPES: dict[torch.dtype, np.dtype[Any]] = {
    getattr(torch, name): np.dtype(name)
    for name in (
        "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32",
        "float64", "complex64", "complex128",
    )
}  # fmt: skip


class _Memory(ctypes.c_char * sys.maxsize):  # type: ignore[misc]  # mypy cannot use an expression as a base class
    """A tensor's memory, with the tensor that keeps it alive; the array's shape and strides limit its length."""

    tensor: Tensor


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a CPU tensor's memory as an array of its shape and strides, which keeps the tensor alive.

    Tensor.numpy() would forbid resizing the memory for good. That is for its owner to decide: PyTorch's fully sharded
    layers resize theirs.
    """
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        if tensor.dtype is not torch.bfloat16:
            raise DTypeError(f"a tensor of {tensor.dtype} cannot be read here: convert it with .float() or .long()")
        dtype = _bfloat16()
    try:
        address = tensor.data_ptr()
    except RuntimeError:
        (inside,) = alive(tensor)
        if inside is tensor:
            raise
        return as_array(inside)
    if not address:
        if tensor._is_zerotensor():  # what forward mode has in the place of zeros
            return np.zeros(tensor.shape, dtype)
        if tensor.numel():
            raise DTypeError(f"a tensor without memory of its own cannot be read here; got {type(tensor).__name__}")
        return np.empty(tensor.shape, dtype)
    memory = _Memory.from_address(address)
    memory.tensor = tensor
    if tensor.is_contiguous():
        return np.ndarray(tensor.shape, dtype, memory)
    size = dtype.itemsize
    return np.ndarray(tensor.shape, dtype, memory, 0, [step * size for step in tensor.stride()])


def as_tensor(array: Any) -> Tensor:
    """Return a tensor on an array's memory, which it keeps alive."""
    array = np.asarray(array)
    if array.itemsize == 2 and array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def as_scalar(value: float, wide: bool) -> Tensor:
    """Return a loss as a tensor without dimensions: float64 for float64 logits, else float32."""
    return torch.scalar_tensor(value, dtype=torch.float64 if wide else torch.float32, device="cpu")


def lies_class_last(tensor: Tensor, dim: int) -> bool:
    """Whether a tensor is contiguous only with its class dimension moved last, as channels-last images are."""
    return tensor.ndim > 2 and not tensor.is_contiguous() and tensor.movedim(dim, -1).is_contiguous()


def row_factors(cotangent: Tensor, rows: int) -> np.ndarray:
    """Return a scalar cotangent, or one for each row, as (rows,) float64."""
    factors = as_array(cotangent)
    if factors.ndim == 0:
        return np.full(rows, factors, np.float64)
    return np.ascontiguousarray(factors, np.float64).reshape(-1)
