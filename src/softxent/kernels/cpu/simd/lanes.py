"""Operations of vectors other than operators: selection, conversion, bits, single lanes and halves."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.vector import Vector, broadcast, llvm_scalar

__all__ = [
    "any_lane",
    "bits",
    "convert",
    "doubled",
    "extract",
    "first_lane",
    "floats_to_integers",
    "from_bits",
    "insert",
    "integer_splat",
    "integers_to_floats",
    "lane_count",
    "lane_numbers",
    "lower_half",
    "narrow",
    "power_of_low_bits",
    "select",
    "size_in_memory",
    "splat",
    "to_integers",
    "upper_half",
]

_I32 = ir.IntType(32)


@intrinsic
def select(typing_context: Any, mask: Any, a: Any, b: Any) -> Any:
    """a if mask is true, else b, lane by lane; for scalars too."""
    if isinstance(mask, Vector):
        kind = a if isinstance(a, Vector) else b if isinstance(b, Vector) else mask.of(a)
    else:
        mask, kind = types.boolean, a

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return signature(kind, mask, kind, kind), codegen


@intrinsic
def convert(typing_context: Any, dtype: Any, v: Any) -> Any:
    """v with its lanes converted to dtype (a NumPy scalar type): exactly to float64, rounded to nearest to float32."""
    to = dtype.dtype if isinstance(dtype, types.DTypeSpec) else dtype.instance_type
    kind = v.of(to)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x = arguments[1]
        if kind == v:
            return x
        if v.is_float and kind.is_float:
            return (builder.fpext if to == types.float64 else builder.fptrunc)(x, kind.llvm)
        if kind.is_float:
            return builder.sitofp(x, kind.llvm)
        if v.is_float:
            return builder.fptosi(x, kind.llvm)
        if v.dtype == types.boolean:
            return builder.zext(x, kind.llvm)
        return (builder.sext if to.bitwidth > v.dtype.bitwidth else builder.trunc)(x, kind.llvm)

    return kind(dtype, v), codegen


@intrinsic
def narrow(typing_context: Any, like: Any, v: Any) -> Any:
    """float64 numbers rounded to like's dtype."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[1] if like.dtype == types.float64 else builder.fptrunc(arguments[1], like.llvm)

    return like(like, v), codegen


@intrinsic
def to_integers(typing_context: Any, like: Any, v: Any) -> Any:
    """int64 as integers of the width of like's numbers, into which they must fit."""
    kind = _integer(like)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[1] if kind.dtype == types.int64 else builder.trunc(arguments[1], kind.llvm)

    return kind(like, v), codegen


def _integer(kind: Any) -> Any:
    wide = (kind.dtype if isinstance(kind, Vector) else kind) == types.float64
    integer = types.int64 if wide else types.int32
    return kind.of(integer) if isinstance(kind, Vector) else integer


def _llvm(kind: Any) -> Any:
    return kind.llvm if isinstance(kind, Vector) else llvm_scalar(kind)


@intrinsic
def bits(typing_context: Any, x: Any) -> Any:
    """The bits of floating-point numbers, as int32 or int64."""
    kind = _integer(x)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _llvm(kind))

    return kind(x), codegen


@intrinsic
def from_bits(typing_context: Any, b: Any) -> Any:
    """The floating-point numbers with these bits."""
    dtype = b.dtype if isinstance(b, Vector) else b
    floating = types.float64 if dtype == types.int64 else types.float32
    kind = b.of(floating) if isinstance(b, Vector) else floating

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _llvm(kind))

    return kind(b), codegen


@intrinsic
def power_of_low_bits(typing_context: Any, t: Any, exponent: Any) -> Any:
    """The floating-point numbers whose exponent field is t's low bits plus exponent, and whose significand is 1."""
    kind = _integer(t)
    wide = (kind.dtype if isinstance(kind, Vector) else kind) == types.int64
    given = kind if isinstance(exponent, Vector) else types.int64

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        n = arguments[1]
        if given == types.int64:
            n = n if wide else builder.trunc(n, _I32)
            n = broadcast(builder, n, kind.lanes) if isinstance(kind, Vector) else n
        shift = 52 if wide else 23
        llvm = _llvm(kind)
        amount = ir.Constant(llvm, [shift] * kind.lanes if isinstance(kind, Vector) else shift)
        field = builder.shl(builder.add(builder.bitcast(arguments[0], llvm), n), amount)
        return builder.bitcast(field, _llvm(t))

    return signature(t, t, given), codegen


@intrinsic
def integers_to_floats(typing_context: Any, n: Any) -> Any:
    """int32 to float32 or int64 to float64, rounded to nearest."""
    dtype = n.dtype if isinstance(n, Vector) else n
    floating = types.float64 if dtype == types.int64 else types.float32
    kind = n.of(floating) if isinstance(n, Vector) else floating

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sitofp(arguments[0], _llvm(kind))

    return kind(n), codegen


@intrinsic
def floats_to_integers(typing_context: Any, x: Any) -> Any:
    """float32 to int32 or float64 to int64, towards zero."""
    kind = _integer(x)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fptosi(arguments[0], _llvm(kind))

    return kind(x), codegen


@intrinsic
def integer_splat(typing_context: Any, like: Any, value: Any) -> Any:
    """value in every lane, as integers of the width of like's floating-point numbers."""
    kind = _integer(like)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scalar = arguments[1]
        if kind.dtype == types.int32:
            scalar = builder.trunc(scalar, _I32)
        return broadcast(builder, scalar, kind.lanes)

    return kind(like, types.int64), codegen


@intrinsic
def splat(typing_context: Any, like: Any, value: Any) -> Any:
    """value in every lane of a vector of like's kind."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return broadcast(builder, arguments[1], like.lanes)

    return like(like, like.dtype), codegen


@intrinsic
def extract(typing_context: Any, v: Any, lane: Any) -> Any:
    """One lane as a scalar."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_element(arguments[0], builder.trunc(arguments[1], _I32))

    return v.dtype(v, types.int64), codegen


@intrinsic
def insert(typing_context: Any, v: Any, lane: Any, value: Any) -> Any:
    """v with one lane replaced."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.insert_element(arguments[0], arguments[2], builder.trunc(arguments[1], _I32))

    return v(v, types.int64, v.dtype), codegen


def _half(first: bool) -> Any:
    def typing(typing_context: Any, v: Any) -> Any:
        half = Vector(v.dtype, v.lanes // 2)
        start = 0 if first else half.lanes

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            mask = ir.Constant(ir.VectorType(_I32, half.lanes), list(range(start, start + half.lanes)))
            return builder.shuffle_vector(arguments[0], ir.Constant(v.llvm, ir.Undefined), mask)

        return half(v), codegen

    return typing


@intrinsic
def lower_half(typing_context: Any, v: Any) -> Any:
    """The first half of the lanes."""
    return _half(first=True)(typing_context, v)


@intrinsic
def upper_half(typing_context: Any, v: Any) -> Any:
    """The second half of the lanes."""
    return _half(first=False)(typing_context, v)


@intrinsic
def doubled(typing_context: Any, v: Any) -> Any:
    """A vector of zeros with twice as many lanes as v."""
    twice = Vector(v.dtype, 2 * v.lanes)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(twice.llvm, [0.0] * twice.lanes)

    return twice(v), codegen


def _constant(value: int, argument: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(ir.IntType(64), value)

    return types.int64(argument), codegen


@intrinsic
def lane_count(typing_context: Any, v: Any) -> Any:
    """The number of lanes of v: a constant of the compiled kernel."""
    return _constant(v.lanes, v)


@intrinsic
def size_in_memory(typing_context: Any, v: Any) -> Any:
    """The number of bytes of a lane of v: a constant of the compiled kernel."""
    return _constant(v.dtype.bitwidth // 8, v)


@intrinsic
def lane_numbers(typing_context: Any, like: Any) -> Any:
    """0, 1, 2, …, as integers of the width of like's numbers."""
    kind = _integer(like)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(kind.llvm, list(range(kind.lanes)))

    return kind(like), codegen


@intrinsic
def first_lane(typing_context: Any, mask: Any) -> Any:
    """The number of the first lane that is true, as int64; the number of lanes if none is."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.zext(builder.bitcast(arguments[0], ir.IntType(mask.lanes)), ir.IntType(64))
        marked = builder.or_(bits, ir.Constant(ir.IntType(64), 1 << mask.lanes))
        return builder.cttz(marked, ir.Constant(ir.IntType(1), 1))

    return types.int64(mask), codegen


@intrinsic
def any_lane(typing_context: Any, mask: Any) -> Any:
    """Whether any lane is true."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name = f"llvm.vector.reduce.or.v{mask.lanes}i1"
        function_type = ir.FunctionType(ir.IntType(1), [mask.llvm])
        function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
        return builder.call(function, arguments)

    return types.boolean(mask), codegen
