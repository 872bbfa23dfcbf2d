"""Floating-point operations whose rounding is known: fused multiply-add, exact sums and products, powers of two.

All are generic in the dtype (float32, float64) and vectorise: each becomes one to six instructions of the CPU.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.jit import inlined

__all__ = [
    "SCALE_EXPONENT_32",
    "SCALE_EXPONENT_64",
    "fma",
    "maximum",
    "quick_two_sum",
    "shifted_power_of_two",
    "two_prod",
    "two_sum",
]

# exp() below returns e^d · 2^K, so that no row's exponentials are subnormal before they are divided by their sum:
# e^d ≥ 2^-150 (float32) and 2^-1075 (float64) are all that can matter, and 2^K moves them into the normal range with
# room for class weights above 1.
SCALE_EXPONENT_32 = 64
SCALE_EXPONENT_64 = 128


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return a(a, a, a), codegen


@intrinsic
def maximum(typing_context: Any, a: Any, b: Any) -> Any:
    """The larger of a and b, NaN if either is: LLVM vectorises its reduction without any fastmath flag."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        function = builder.module.declare_intrinsic("llvm.maximum", [kind], ir.FunctionType(kind, [kind, kind]))
        return builder.call(function, arguments)

    return a(a, a), codegen


@intrinsic
def shifted_power_of_two(typing_context: Any, t: Any) -> Any:
    """2^(k + K), where t = k + 1.5·2^23 (float32) or k + 1.5·2^52 (float64), whose low bits are the integer k.

    The exponent field is built by an integer addition and a shift; k + K must be that of a normal number.
    """
    wide = t == types.float64
    integer = ir.IntType(64 if wide else 32)
    offset = 1023 + SCALE_EXPONENT_64 if wide else 127 + SCALE_EXPONENT_32
    shift = 52 if wide else 23

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], integer)
        bits = builder.shl(builder.add(bits, ir.Constant(integer, offset)), ir.Constant(integer, shift))
        return builder.bitcast(bits, arguments[0].type)

    return t(t), codegen


@inlined
def two_sum(a, b):
    """(s, e) with s = fl(a + b) and s + e = a + b exactly (Knuth 1969, Møller 1965)."""
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


@inlined
def quick_two_sum(a, b):
    """(s, e) as two_sum, where |a| ≥ |b| (Dekker 1971)."""
    s = a + b
    return s, b - (s - a)


@inlined
def two_prod(a, b):
    """(p, e) with p = fl(a · b) and p + e = a · b exactly."""
    p = a * b
    return p, fma(a, b, -p)
