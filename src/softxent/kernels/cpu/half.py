"""float16 and bfloat16 to float32 and back, rounded to nearest even, by integer operations that vectorise everywhere.

NumPy raises a floating-point flag for each float16 result that is subnormal, at 100 ns apiece; the probabilities
of a large vocabulary are mostly subnormal in float16. The arrays come as uint16: their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.jit import kernel

__all__ = ["is_half", "read_half", "round_to", "write_half"]

_I16, _I32, _F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()


def _i32(value: int) -> ir.Constant:
    return ir.Constant(_I32, value)


@intrinsic
def _decode_float16(typing_context: Any, bits: Any) -> Any:
    """The float32 of a float16's bits: its fields moved into place, and the exponent's bias mended by a product."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        h = b.zext(arguments[0], _I32)
        moved = b.shl(b.and_(h, _i32(0x7FFF)), _i32(13))
        scaled = b.fmul(b.bitcast(moved, _F32), ir.Constant(_F32, 2.0**112))
        wide = b.bitcast(scaled, _I32)
        infinite = b.icmp_unsigned(">=", moved, _i32(0x0F800000))
        wide = b.select(infinite, b.or_(wide, _i32(0x7F800000)), wide)
        return b.bitcast(b.or_(wide, b.shl(b.and_(h, _i32(0x8000)), _i32(16))), _F32)

    return types.float32(types.uint16), codegen


@intrinsic
def _encode_float16(typing_context: Any, x: Any) -> Any:
    """The bits of the float16 nearest to a float32; subnormal results are rounded by an addition of 0.5."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        bits = b.bitcast(arguments[0], _I32)
        sign = b.and_(bits, _i32(0x80000000))
        a = b.xor(bits, sign)
        odd = b.and_(b.lshr(a, _i32(13)), _i32(1))
        normal = b.lshr(b.add(b.add(a, _i32(0xC8000FFF)), odd), _i32(13))
        aligned = b.fadd(b.bitcast(a, _F32), ir.Constant(_F32, 0.5))
        subnormal = b.sub(b.bitcast(aligned, _I32), _i32(0x3F000000))
        beyond = b.select(b.icmp_unsigned(">", a, _i32(0x7F800000)), _i32(0x7E00), _i32(0x7C00))
        result = b.select(b.icmp_unsigned("<", a, _i32(0x38800000)), subnormal, normal)
        result = b.select(b.icmp_unsigned(">=", a, _i32(0x47800000)), beyond, result)
        return b.trunc(b.or_(result, b.lshr(sign, _i32(16))), _I16)

    return types.uint16(types.float32), codegen


@intrinsic
def _decode_bfloat16(typing_context: Any, bits: Any) -> Any:
    """The float32 whose upper half a bfloat16 is."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.shl(builder.zext(arguments[0], _I32), _i32(16)), _F32)

    return types.float32(types.uint16), codegen


@intrinsic
def _encode_bfloat16(typing_context: Any, x: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        bits = b.bitcast(arguments[0], _I32)
        odd = b.and_(b.lshr(bits, _i32(16)), _i32(1))
        rounded = b.lshr(b.add(b.add(bits, _i32(0x7FFF)), odd), _i32(16))
        is_nan = b.icmp_unsigned(">", b.and_(bits, _i32(0x7FFFFFFF)), _i32(0x7F800000))
        quiet = b.or_(b.lshr(bits, _i32(16)), _i32(0x40))
        return b.trunc(b.select(is_nan, quiet, rounded), _I16)

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
    """Return a float32 or float64 array in another dtype; the array itself where it has it already."""
    result = np.empty(array.shape, dtype) if array.dtype != dtype else array
    if result is array:
        return array
    if is_half(result) and array.dtype == np.float32 and array.flags.c_contiguous:
        write_half(result.reshape(1, 1, -1), array.reshape(1, 1, -1))
    else:
        with np.errstate(all="ignore"):
            np.copyto(result, array, "unsafe")
    return result
