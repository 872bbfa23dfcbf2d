"""float16 and bfloat16 to float32 and back, rounded to nearest even, as LLVM instructions for scalars and vectors.

If the CPU has no instruction for it, they use integer operations: these vectorise everywhere, need no library, and
raise no flags (subnormal results are common: in float16 most probabilities of a large vocabulary are subnormal). The
kernels see a float16 array as uint16 and a bfloat16 array as int16, so that the two have different types.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types

from softxent.kernels.cpu.simd.cpu import features

__all__ = ["decode", "decode_bfloat16", "decode_float16", "encode", "encode_bfloat16", "encode_float16"]


def _of(like: Any, kind: Any) -> Any:
    """The type `kind` with as many lanes as like has."""
    return ir.VectorType(kind, like.count) if isinstance(like, ir.VectorType) else kind


def _constant(like: Any, kind: Any, value: float) -> Any:
    wanted = _of(like, kind)
    return ir.Constant(wanted, [value] * like.count if isinstance(like, ir.VectorType) else value)


_I16, _I32, _F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()


_HAS_INSTRUCTION = platform.machine() in ("aarch64", "arm64") or "f16c" in features()


def decode_float16(b: Any, h: Any) -> Any:
    """The float32 of a float16's bits: shift its fields into place, and correct the exponent's bias by a product."""
    like = h.type
    if _HAS_INSTRUCTION:
        return b.fpext(b.bitcast(h, _of(like, ir.HalfType())), _of(like, _F32))

    def i32(value: int) -> Any:
        return _constant(like, _I32, value)

    h = b.zext(h, _of(like, _I32))
    moved = b.shl(b.and_(h, i32(0x7FFF)), i32(13))
    scaled = b.fmul(b.bitcast(moved, _of(like, _F32)), _constant(like, _F32, 2.0**112))
    wide = b.bitcast(scaled, _of(like, _I32))
    infinite = b.icmp_unsigned(">=", moved, i32(0x0F800000))
    wide = b.select(infinite, b.or_(wide, i32(0x7F800000)), wide)
    return b.bitcast(b.or_(wide, b.shl(b.and_(h, i32(0x8000)), i32(16))), _of(like, _F32))


def encode_float16(b: Any, x: Any) -> Any:
    """The bits of the float16 nearest to a float32; subnormal results are rounded by an addition of 0.5."""
    like = x.type
    if _HAS_INSTRUCTION:
        return b.bitcast(b.fptrunc(x, _of(like, ir.HalfType())), _of(like, _I16))

    def i32(value: int) -> Any:
        return _constant(like, _I32, value)

    bits = b.bitcast(x, _of(like, _I32))
    sign = b.and_(bits, i32(0x80000000))
    a = b.xor(bits, sign)
    odd = b.and_(b.lshr(a, i32(13)), i32(1))
    normal = b.lshr(b.add(b.add(a, i32(0xC8000FFF)), odd), i32(13))
    aligned = b.fadd(b.bitcast(a, _of(like, _F32)), _constant(like, _F32, 0.5))
    subnormal = b.sub(b.bitcast(aligned, _of(like, _I32)), i32(0x3F000000))
    beyond = b.select(b.icmp_unsigned(">", a, i32(0x7F800000)), i32(0x7E00), i32(0x7C00))
    result = b.select(b.icmp_unsigned("<", a, i32(0x38800000)), subnormal, normal)
    result = b.select(b.icmp_unsigned(">=", a, i32(0x47800000)), beyond, result)
    return b.trunc(b.or_(result, b.lshr(sign, i32(16))), _of(like, _I16))


def decode_bfloat16(b: Any, h: Any) -> Any:
    """The float32 of a bfloat16's bits, which are its upper half."""
    like = h.type
    return b.bitcast(b.shl(b.zext(h, _of(like, _I32)), _constant(like, _I32, 16)), _of(like, _F32))


def encode_bfloat16(b: Any, x: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32."""
    like = x.type

    def i32(value: int) -> Any:
        return _constant(like, _I32, value)

    bits = b.bitcast(x, _of(like, _I32))
    odd = b.and_(b.lshr(bits, i32(16)), i32(1))
    rounded = b.lshr(b.add(b.add(bits, i32(0x7FFF)), odd), i32(16))
    is_nan = b.icmp_unsigned(">", b.and_(bits, i32(0x7FFFFFFF)), i32(0x7F800000))
    quiet = b.or_(b.lshr(bits, i32(16)), i32(0x40))
    return b.trunc(b.select(is_nan, quiet, rounded), _of(like, _I16))


def decode(b: Any, dtype: Any, value: Any) -> Any:
    """A value that was loaded from an array of a kernel's dtype, converted to the working dtype."""
    if dtype == types.uint16:
        return decode_float16(b, value)
    return decode_bfloat16(b, value) if dtype == types.int16 else value


def encode(b: Any, dtype: Any, value: Any) -> Any:
    """A value converted for storing in an array of a kernel's dtype."""
    if dtype == types.uint16:
        return encode_float16(b, value)
    return encode_bfloat16(b, value) if dtype == types.int16 else value
