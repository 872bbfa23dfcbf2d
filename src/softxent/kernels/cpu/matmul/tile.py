"""The innermost part of a matrix product: a tile of the result in registers, one step of k after the other.

    T (R, V·L) = Σ_k a_k b_kᵀ        a_k: R numbers, b_k: V vectors of L lanes, both contiguous for all k (packed)

Each step has V loads, R broadcasts and R·V fused multiply-adds, so the multiply-adds dominate the time if all of T
stays in registers: 24 of the 32 of AVX-512 (8 rows of 3 vectors), 12 of the 16 of AVX2 (6 rows of 1 vector, two
registers each). An element's sum runs over k in order, whatever the tile's shape, so all CPUs give the same bits. (Goto
and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.)
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from softxent.kernels.cpu.simd.cpu import features
from softxent.kernels.cpu.simd.floats import fused_multiply_add
from softxent.kernels.cpu.simd.memory import address, prefetch_to_write, size_of
from softxent.kernels.cpu.simd.vector import broadcast, lanes_of, llvm_scalar

__all__ = ["has_wide_registers", "multiply_tile", "tile_columns", "tile_rows", "tile_shape"]

_I64 = ir.IntType(64)


def has_wide_registers() -> bool:
    """Whether the CPU has AVX2 or AVX-512, which the tile needs."""
    return {"avx2", "fma"} <= features()


def tile_shape() -> tuple[int, int]:
    """Return a tile's rows and vectors."""
    return (8, 3) if "avx512f" in features() else (6, 1)


def tile_rows():
    """A tile's rows: a constant of the compiled kernel."""
    raise TypeError("tile_rows runs inside kernels only")


@overload(tile_rows, inline="always")
def _tile_rows():
    rows = tile_shape()[0]
    return lambda: rows


def tile_columns(v):
    """A tile's columns, for vectors like v: a constant of the compiled kernel."""
    raise TypeError("tile_columns runs inside kernels only")


@overload(tile_columns, inline="always")
def _tile_columns(v):
    columns = tile_shape()[1] * v.lanes
    return lambda v: columns


@intrinsic
def multiply_tile(
    typing_context: Any, a: Any, at: Any, b: Any, depth: Any, out: Any, to: Any, row_step: Any, first: Any
) -> Any:
    """Add a tile's sums to out; write them if they are the first.

    a: packed, rows numbers for each of `depth` > 0 steps, from byte `at` on; b: packed, columns numbers for each step,
    aligned to 64 bytes; out's rows are row_step bytes apart, the tile's first element at byte `to`.
    """
    rows, vectors = tile_shape()
    size, lanes = size_of(out.dtype), lanes_of(out.dtype)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a_value, at, b_value, depth, out_value, to, row_step, first = arguments
        number = llvm_scalar(out.dtype)
        vector = ir.VectorType(number, lanes)
        a_steps = address(context, builder, a, a_value, at, ir.ArrayType(number, rows))
        b_steps = builder.bitcast(b_value, ir.ArrayType(vector, vectors).as_pointer())
        targets = {}
        for i in range(rows):
            row = builder.add(to, builder.mul(row_step, ir.Constant(_I64, i)))
            for v in range(vectors):
                place = builder.add(row, ir.Constant(_I64, v * lanes * size))
                targets[i, v] = address(context, builder, out, out_value, place, vector)
                # The result is far away in memory, and is needed when the sums are finished.
                prefetch_to_write(builder, targets[i, v])

        before = builder.block
        loop, after = builder.append_basic_block("steps"), builder.append_basic_block("sums")
        builder.branch(loop)
        builder.position_at_end(loop)
        zero, one = ir.Constant(_I64, 0), ir.Constant(_I64, 1)
        k = builder.phi(_I64)
        k.add_incoming(zero, before)
        sums, added = {}, {}
        for place in targets:
            sums[place] = builder.phi(vector)
            sums[place].add_incoming(ir.Constant(vector, [0.0] * lanes), before)
        columns = [
            builder.load(builder.gep(b_steps, [k, ir.Constant(_I64, v)]), align=lanes * size) for v in range(vectors)
        ]
        for i in range(rows):
            scalar = builder.load(builder.gep(a_steps, [k, ir.Constant(_I64, i)]), align=size)
            factor = broadcast(builder, scalar, lanes)
            for v in range(vectors):
                added[i, v] = fused_multiply_add(builder, factor, columns[v], sums[i, v])
        following = builder.add(k, one)
        k.add_incoming(following, loop)
        for place, value in sums.items():
            value.add_incoming(added[place], loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)

        builder.position_at_end(after)
        with builder.if_else(first) as (is_first, is_later):
            with is_first:
                for place, target in targets.items():
                    builder.store(added[place], target, align=size)
            with is_later:
                for place, target in targets.items():
                    builder.store(builder.fadd(builder.load(target, align=size), added[place]), target, align=size)

    return types.void(a, at, b, depth, out, to, row_step, types.boolean), codegen
