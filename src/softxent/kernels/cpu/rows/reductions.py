"""Horizontal reductions: of one vector's lanes to a number, or of LANES rows to a vector with one number per lane.

Reducing one row along the lanes needs log2 LANES steps, each of which leaves more of the vector idle. Here each step
combines two vectors into one, with the halves of their rows side by side:

    a = [a_0 … a_7 | a_8 … a_15],  b likewise   →   [a_0 … a_7 | b_0 … b_7] ∘ [a_8 … a_15 | b_8 … b_15]

So LANES rows take LANES − 1 operations ∘ with two shuffles each, in place of log2 LANES of both for every row. A row's
own lanes are combined in the same order either way: the upper half with the lower half, until one is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.conversions import decode
from softxent.kernels.cpu.simd.memory import address, first_lanes, masked_load, size_of
from softxent.kernels.cpu.simd.vector import llvm_scalar

__all__ = ["largest_lane", "maxima_of_rows", "maxima_of_vectors", "sum_of_lanes", "sums_of_vectors"]

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_Combine = Callable[[Any, Any, Any], Any]


def _halves(lanes: int, width: int, bits: int) -> tuple[list[int], list[int], list[int]]:
    """The shuffles of two vectors of rows, `width` lanes each, to their lower and upper halves; and the rows' order.

    If a half has fewer than 128 bits, the rows in the same 128 bits of both vectors stay together, because a shuffle
    across 128 bits needs its indices in a register.
    """
    block = lanes if width * bits > 128 else 128 // bits
    lower: list[int] = []
    rows: list[int] = []
    for start in range(0, lanes, block):
        for vector in (0, lanes):
            for place in range(start + vector, start + vector + block, width):
                rows.append(place // width)
                lower += range(place, place + width // 2)
    return lower, [i + width // 2 for i in lower], rows


def _plan(lanes: int, bits: int) -> tuple[list[Any], list[int]]:
    """The shuffles of each step, and the row in each of the first vectors such that row r ends in lane r."""
    steps = []
    order = [[v] for v in range(lanes)]
    width = lanes
    while width > 1:
        lower, upper, rows = _halves(lanes, width, bits)
        steps.append((lower, upper))
        half = len(order) // 2
        order = [[(a + b)[r] for r in rows] for a, b in zip(order[:half], order[half:], strict=True)]
        width //= 2
    return steps, [order[0].index(place) for place in range(lanes)]


def _folded(builder: Any, vectors: list[Any], steps: list[Any], combine: _Combine) -> Any:
    for lower, upper in steps:
        half = len(vectors) // 2
        lower, upper = (ir.Constant(ir.VectorType(_I32, len(m)), m) for m in (lower, upper))
        vectors = [
            combine(
                builder,
                [builder.shuffle_vector(x, y, lower) for x, y in zip(a, b, strict=True)],
                [builder.shuffle_vector(x, y, upper) for x, y in zip(a, b, strict=True)],
            )
            for a, b in zip(vectors[:half], vectors[half:], strict=True)
        ]
    return vectors[0]


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return [builder.select(builder.fcmp_ordered(">", a[0], b[0]), a[0], b[0])]


def _added(builder: Any, a: Any, b: Any) -> Any:
    return [builder.fadd(x, y) for x, y in zip(a, b, strict=True)]


def _added_exactly(builder: Any, a: Any, b: Any) -> Any:
    # simd.floats.two_sum and its error.
    (s, e), (other, other_e) = a, b
    total = builder.fadd(s, other)
    part = builder.fsub(total, s)
    lost = builder.fadd(builder.fsub(s, builder.fsub(total, part)), builder.fsub(other, part))
    return [total, builder.fadd(builder.fadd(e, other_e), lost)]


def _lane(builder: Any, vectors: list[Any], combine: _Combine) -> list[Any]:
    """Combine the lanes of one row's vectors: the upper half with the lower half, until one is left."""
    lanes = vectors[0].type.count
    while lanes > 1:
        lanes //= 2
        halves = [ir.Constant(ir.VectorType(_I32, lanes), list(range(start, start + lanes))) for start in (0, lanes)]
        lower, upper = (
            [builder.shuffle_vector(v, ir.Constant(v.type, ir.Undefined), half) for v in vectors] for half in halves
        )
        vectors = combine(builder, lower, upper)
    return [builder.extract_element(v, ir.Constant(_I32, 0)) for v in vectors]


@intrinsic
def largest_lane(typing_context: Any, v: Any) -> Any:
    """The largest lane; none may be NaN."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _lane(builder, [arguments[0]], _larger)[0]

    return v.dtype(v), codegen


@intrinsic
def sum_of_lanes(typing_context: Any, s: Any, e: Any) -> Any:
    """(s, e): the sum of a vector's lanes, added as by arithmetic.scaling.combine; float64 scalars."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if s == e:
            both = _lane(builder, list(arguments), _added_exactly)
        else:
            both = _lane(builder, [arguments[0]], _added) + _lane(builder, [arguments[1]], _added)
            both[1] = builder.fpext(both[1], ir.DoubleType())
        return context.make_tuple(builder, signature.return_type, both)

    return types.UniTuple(types.float64, 2)(s, e), codegen


def _load(context: Any, builder: Any, base: Any, offset: int, stored: Any, wanted: Any) -> Any:
    """A vector in memory, with its lanes converted to the wanted kind."""
    value = builder.load(address(context, builder, None, base, ir.Constant(_I64, offset), stored), align=4)
    return value if stored == wanted else builder.fpext(value, wanted)


@intrinsic
def maxima_of_vectors(typing_context: Any, rows: Any, like: Any) -> Any:
    """The largest lane of each of LANES vectors of like's kind, consecutive in memory; none may be NaN."""
    steps, place = _plan(like.lanes, like.dtype.bitwidth)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        apart = like.lanes * size_of(like.dtype)
        vectors = [[_load(context, builder, arguments[0], r * apart, like.llvm, like.llvm)] for r in place]
        return _folded(builder, vectors, steps, _larger)[0]

    return like(rows, like), codegen


@intrinsic
def maxima_of_rows(typing_context: Any, array: Any, at: Any, apart: Any, count: Any, lowest: Any) -> Any:
    """The maxima of LANES rows of count ≤ LANES classes, apart bytes from each other; NaN is ignored."""
    steps, place = _plan(lowest.lanes, lowest.dtype.bitwidth)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base, at, apart, count, low = arguments
        stored = ir.VectorType(llvm_scalar(array.dtype), lowest.lanes)
        mask = first_lanes(builder, lowest.lanes, count)
        rows = []
        for _ in range(lowest.lanes):
            pointer = address(context, builder, array, base, at, stored)
            x = decode(builder, array.dtype, masked_load(builder, pointer, mask, stored, size_of(array.dtype)))
            x = builder.select(mask, x, low)
            rows.append(builder.select(builder.fcmp_ordered(">", x, low), x, low))
            at = builder.add(at, apart)
        return _folded(builder, [[rows[r]] for r in place], steps, _larger)[0]

    return lowest(array, types.int64, types.int64, types.int64, lowest), codegen


@intrinsic(prefer_literal=True)
def sums_of_vectors(typing_context: Any, sums: Any, lows: Any, like: Any, every: Any) -> Any:
    """(s, e): the sums of LANES vectors in memory, and of their corrections; of every vector, or every second one, ….

    s: float64; e: of like's dtype, added up as arithmetic.scaling.combine does.
    """
    wide = like.of(types.float64)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def vectors(base: Any, dtype: Any, wanted: Any, place: list[int]) -> list[Any]:
            stored, apart = like.of(dtype).llvm, every.literal_value * like.lanes * size_of(dtype)
            return [_load(context, builder, base, r * apart, stored, wanted.llvm) for r in place]

        steps, place = _plan(like.lanes, 64)
        s = vectors(arguments[0], sums.dtype, wide, place)
        if wide == like:
            e = vectors(arguments[1], lows.dtype, like, place)
            both = _folded(builder, [[*pair] for pair in zip(s, e, strict=True)], steps, _added_exactly)
        else:
            both = _folded(builder, [[v] for v in s], steps, _added)
            steps, place = _plan(like.lanes, 32)
            both += _folded(builder, [[v] for v in vectors(arguments[1], lows.dtype, like, place)], steps, _added)
        return context.make_tuple(builder, signature.return_type, both)

    pair = types.UniTuple(like, 2) if wide == like else types.Tuple((wide, like))
    return pair(sums, lows, like, every), codegen
