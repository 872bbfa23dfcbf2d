"""Arrays of float16 and bfloat16 to float32 and back, rounded to nearest even (simd.conversions).

They serve kernels that do not load and store half precision themselves. NumPy raises a floating-point flag for each
subnormal float16 result, which takes 100 ns each, and in float16 most probabilities of a large vocabulary are
subnormal. The arrays are passed as uint16, their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.conversions import decode_bfloat16, decode_float16, encode_bfloat16, encode_float16
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["is_half", "read_half", "round_to", "write_half"]


@intrinsic
def _decode_float16(typing_context: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return decode_float16(builder, arguments[0])

    return types.float32(types.uint16), codegen


@intrinsic
def _encode_float16(typing_context: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return encode_float16(builder, arguments[0])

    return types.uint16(types.float32), codegen


@intrinsic
def _decode_bfloat16(typing_context: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return decode_bfloat16(builder, arguments[0])

    return types.float32(types.uint16), codegen


@intrinsic
def _encode_bfloat16(typing_context: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return encode_bfloat16(builder, arguments[0])

    return types.uint16(types.float32), codegen


# Each takes bits: (n, m, C) uint16 of any strides, and rows: (n, m, C) float32, C-contiguous.


@kernel
def _read_float16(bits, rows):
    for i in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            source, target = bits[i, j], rows[i, j]
            for c in range(target.size):
                target[c] = _decode_float16(source[c])


@kernel
def _read_bfloat16(bits, rows):
    for i in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            source, target = bits[i, j], rows[i, j]
            for c in range(target.size):
                target[c] = _decode_bfloat16(source[c])


@kernel
def _write_float16(bits, rows):
    for i in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            target, source = bits[i, j], rows[i, j]
            for c in range(source.size):
                target[c] = _encode_float16(source[c])


@kernel
def _write_bfloat16(bits, rows):
    for i in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            target, source = bits[i, j], rows[i, j]
            for c in range(source.size):
                target[c] = _encode_bfloat16(source[c])


_KERNELS = {"float16": (_read_float16, _write_float16), "bfloat16": (_read_bfloat16, _write_bfloat16)}


def is_half(array: np.ndarray) -> bool:
    """Whether these kernels can read and write array: half precision, aligned, in the CPU's byte order."""
    return array.dtype.itemsize == 2 and array.dtype.isnative and array.flags.aligned and array.dtype.name in _KERNELS


def read_half(array: np.ndarray, rows: np.ndarray) -> None:
    """rows = array. array: (n, m, C) half precision; rows: (n, m, C) float32, C-contiguous."""
    _KERNELS[array.dtype.name][0](array.view(np.uint16), rows)


def write_half(array: np.ndarray, rows: np.ndarray) -> None:
    """array = rows, rounded to nearest even."""
    _KERNELS[array.dtype.name][1](array.view(np.uint16), rows)


def round_to(dtype: np.dtype[Any], array: np.ndarray) -> np.ndarray:
    """Return a float32 or float64 array in another dtype; the array itself if it has that dtype already."""
    result = np.empty(array.shape, dtype) if array.dtype != dtype else array
    if result is array:
        return array
    if is_half(result) and array.dtype == np.float32 and array.flags.c_contiguous:
        write_half(result.reshape(1, 1, -1), array.reshape(1, 1, -1))
    else:
        with np.errstate(all="ignore"):
            np.copyto(result, array, "unsafe")
    return result
