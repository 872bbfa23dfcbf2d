"""Floating-point operations whose rounding is known: fused multiply-add, exact sums and products, powers of two.

All are generic in the dtype (float32, float64), for scalars and vectors: each becomes one to six instructions.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.jit import inlined
from softxent.kernels.cpu.simd.vector import Vector, llvm_scalar

__all__ = [
    "SCALE_EXPONENT_32",
    "SCALE_EXPONENT_64",
    "absolute",
    "fma",
    "fused_multiply_add",
    "maximum",
    "quick_two_sum",
    "two_prod",
    "two_sum",
]

# Exponentials are multiplied by 2^K, so that none is subnormal before it is divided by its row's sum. Only
# e^d ≥ 2^-150 (float32) and 2^-1075 (float64) can matter, and 2^K moves these into the normal range, with room for
# class weights above 1.
SCALE_EXPONENT_32 = 64
SCALE_EXPONENT_64 = 128


def _call_by_type(builder: Any, name: str, kind: Any, arguments: Any) -> Any:
    """Call the LLVM intrinsic of that name for a scalar or vector type."""
    llvm = kind.llvm if isinstance(kind, Vector) else llvm_scalar(kind)
    suffix = "f32" if (kind.dtype if isinstance(kind, Vector) else kind) == types.float32 else "f64"
    full = f"{name}.v{kind.lanes}{suffix}" if isinstance(kind, Vector) else f"{name}.{suffix}"
    function = builder.module.globals.get(full)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(llvm, [llvm] * len(arguments)), full)
    return builder.call(function, arguments)


def _common(*kinds: Any) -> Any:
    """The type of the first vector, or of the first scalar."""
    return next((k for k in kinds if isinstance(k, Vector)), kinds[0])


def fused_multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """fma for LLVM values that are vectors."""
    suffix = {"float": "f32", "double": "f64"}[str(a.type.element)]
    name = f"llvm.fma.v{a.type.count}{suffix}"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once."""
    kind = _common(a, b, c)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call_by_type(builder, "llvm.fma", kind, arguments)

    return kind(kind, kind, kind), codegen


@intrinsic
def maximum(typing_context: Any, a: Any, b: Any) -> Any:
    """The larger of a and b, NaN if either is NaN; LLVM vectorises its reduction without a fastmath flag."""
    kind = _common(a, b)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call_by_type(builder, "llvm.maximum", kind, arguments)

    return kind(kind, kind), codegen


@intrinsic
def absolute(typing_context: Any, x: Any) -> Any:
    """|x|."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call_by_type(builder, "llvm.fabs", x, arguments)

    return x(x), codegen


@inlined
def two_sum(a, b):
    """(s, e) with s = fl(a + b) and s + e = a + b exactly (Knuth 1969, Møller 1965)."""
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


@inlined
def quick_two_sum(a, b):
    """(s, e) as two_sum, if |a| ≥ |b| (Dekker 1971)."""
    s = a + b
    return s, b - (s - a)


@inlined
def two_prod(a, b):
    """(p, e) with p = fl(a · b) and p + e = a · b exactly."""
    p = a * b
    return p, fma(a, b, -p)
