"""Rows by classes, transposed in registers between an array and a tile.

A square has up to LANES rows and up to LANES classes. Interleaving rows i and i + LANES/2, log2 LANES times, moves
element (i, j) of the square to (j, i).

Copying one element after the other would take four times as long as all other work for ten classes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.conversions import decode
from softxent.kernels.cpu.simd.memory import address, first_lanes, masked_load, masked_store, size_of
from softxent.kernels.cpu.simd.vector import lanes_of, llvm_scalar

__all__ = ["square_to_rows", "square_to_rows_in_part", "square_to_tile"]

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    lanes = len(rows)
    half = lanes // 2
    kind = ir.VectorType(_I32, lanes)
    low = ir.Constant(kind, [i // 2 + (i % 2) * lanes for i in range(lanes)])
    high = ir.Constant(kind, [half + i // 2 + (i % 2) * lanes for i in range(lanes)])
    for _ in range(lanes.bit_length() - 1):
        pairs = [(rows[i], rows[i + half]) for i in range(half)]
        rows = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in (low, high)]
    return rows


@intrinsic
def square_to_tile(
    typing_context: Any, array: Any, at: Any, row_step: Any, rows: Any, columns: Any, tile: Any, to: Any, step: Any
) -> Any:
    """Copy `rows` rows of `columns` classes, row_step bytes apart, to LANES classes of the tile, step bytes apart.

    If there are fewer than LANES, the tile's other rows repeat the last, and its other classes are 0. For a tile of the
    working dtype, half precision is converted.
    """
    lanes = lanes_of(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_value, at, row_step, rows, columns, tile_value, to, step = arguments
        kind = ir.VectorType(llvm_scalar(array.dtype), lanes)
        mask = first_lanes(builder, lanes, columns)
        loaded = []
        for k in range(lanes):
            pointer = address(context, builder, array, array_value, at, kind)
            loaded.append(masked_load(builder, pointer, mask, kind, size_of(array.dtype)))
            further = builder.icmp_signed(">", rows, ir.Constant(_I64, k + 1))
            at = builder.add(at, builder.select(further, row_step, ir.Constant(_I64, 0)))
        for vector in _transposed(builder, loaded):
            value = vector if tile.dtype == array.dtype else decode(builder, array.dtype, vector)
            builder.store(value, address(context, builder, tile, tile_value, to, value.type), align=size_of(tile.dtype))
            to = builder.add(to, step)

    return types.void(array, *[types.int64] * 4, tile, types.int64, types.int64), codegen


def _load_square(context: Any, builder: Any, tile: Any, tile_value: Any, at: Any, step: Any) -> list[Any]:
    lanes = lanes_of(tile.dtype)
    kind = ir.VectorType(llvm_scalar(tile.dtype), lanes)
    loaded = []
    for _ in range(lanes):
        loaded.append(builder.load(address(context, builder, tile, tile_value, at, kind), align=size_of(tile.dtype)))
        at = builder.add(at, step)
    return _transposed(builder, loaded)


@intrinsic
def square_to_rows(typing_context: Any, tile: Any, at: Any, step: Any, array: Any, to: Any, row_step: Any) -> Any:
    """Copy LANES classes of the tile to LANES rows, in order, so that a row overwrites what the previous one spills."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile_value, at, step, array_value, to, row_step = arguments
        for vector in _load_square(context, builder, tile, tile_value, at, step):
            builder.store(
                vector, address(context, builder, array, array_value, to, vector.type), align=size_of(array.dtype)
            )
            to = builder.add(to, row_step)

    return types.void(tile, types.int64, types.int64, array, types.int64, types.int64), codegen


@intrinsic
def square_to_rows_in_part(
    typing_context: Any, tile: Any, at: Any, step: Any, array: Any, to: Any, row_step: Any, rows: Any, columns: Any
) -> Any:
    """Copy `columns` classes of the tile to `rows` rows, and write nothing else."""
    lanes = lanes_of(tile.dtype)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile_value, at, step, array_value, to, row_step, rows, columns = arguments
        zero = ir.Constant(_I64, 0)
        for k, vector in enumerate(_load_square(context, builder, tile, tile_value, at, step)):
            index = ir.Constant(_I64, k)
            there = builder.icmp_signed("<", index, rows)
            mask = first_lanes(builder, lanes, builder.select(there, columns, zero))
            offset = builder.add(to, builder.mul(row_step, index))
            pointer = address(context, builder, array, array_value, offset, vector.type)
            masked_store(builder, vector, pointer, mask, size_of(array.dtype))

    return types.void(tile, types.int64, types.int64, array, *[types.int64] * 4), codegen
