"""Rows by classes, transposed in registers between an array and a tile.

A block is LANES rows by four classes. Vector j (of 0 … 3) takes the four classes of the rows j, 4 + j, 8 + j, …, and
four by four elements are turned in each quarter, or half, of the vectors: two shuffles a class.

A square is up to LANES rows by up to LANES classes, for what is less than a block. log2 LANES times, rows i and
i + LANES/2 are interleaved: that turns element (i, j) of the square into (j, i).

A copy of one element after the other takes four times as long as all else that is done for ten classes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.conversions import decode
from softxent.kernels.cpu.memory import address, first_lanes, masked_load, masked_store, size_of
from softxent.kernels.cpu.vector import lanes_of, llvm_scalar

__all__ = ["blocks_to_rows", "blocks_to_tile", "square_to_rows", "square_to_rows_in_part", "square_to_tile"]

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


def _turned(builder: Any, v: list[Any]) -> list[Any]:
    """Four vectors with four by four elements turned, in each of their groups of four lanes."""
    lanes = v[0].type.count

    def mask(first: list[int]) -> Any:
        # Of the first group's lanes: 0 … 3 of the one vector, 4 … 7 of the other.
        every = [start + (i if i < 4 else i - 4 + lanes) for start in range(0, lanes, 4) for i in first]
        return ir.Constant(ir.VectorType(_I32, lanes), every)

    # Within 128 bits: of 32 bits, neighbours first; of 64 bits, pairs first.
    single = getattr(v[0].type.element, "width", 0) == 16 or isinstance(v[0].type.element, ir.FloatType)
    low, high = (mask([0, 4, 1, 5]), mask([2, 6, 3, 7])) if single else (mask([0, 4, 2, 6]), mask([1, 5, 3, 7]))
    a, b = builder.shuffle_vector(v[0], v[1], low), builder.shuffle_vector(v[0], v[1], high)
    c, d = builder.shuffle_vector(v[2], v[3], low), builder.shuffle_vector(v[2], v[3], high)
    front, back = mask([0, 1, 4, 5]), mask([2, 3, 6, 7])
    ac = [builder.shuffle_vector(a, c, m) for m in (front, back)]
    bd = [builder.shuffle_vector(b, d, m) for m in (front, back)]
    return [*ac, *bd] if single else [ac[0], bd[0], ac[1], bd[1]]


def _concatenated(builder: Any, parts: list[Any]) -> Any:
    while len(parts) > 1:
        count = parts[0].type.count
        mask = ir.Constant(ir.VectorType(_I32, 2 * count), list(range(2 * count)))
        parts = [builder.shuffle_vector(a, b, mask) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _opaque(builder: Any, value: Any) -> Any:
    # No instruction, but nothing is known of the result: what is computed from it is not computed before a loop.
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", "=r,0", [value], False)


def _addresses(builder: Any, first: Any, step: Any, rows: int, kind: Any) -> list[Any]:
    """Pointers to `kind` every step bytes from an address on.

    One register in four rows: with one each, for as long as the loop lasts, most would be loaded from the stack.
    """
    pointers = []
    triple, quadruple = builder.mul(step, ir.Constant(_I64, 3)), builder.shl(step, ir.Constant(_I64, 2))
    for _ in range(0, rows, 4):
        first = _opaque(builder, first)
        offsets = [ir.Constant(_I64, 0), step, builder.shl(step, ir.Constant(_I64, 1)), triple]
        pointers += [builder.inttoptr(builder.add(first, offset), kind.as_pointer()) for offset in offsets]
        first = builder.add(first, quadruple)
    return pointers


def _in_blocks(builder: Any, name: str, move: Any) -> Any:
    """A function (array, row_step, n, tile, step) of addresses and bytes, which moves n ≥ 4 classes four by four."""
    module = builder.module
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * 5), name)
    function.linkage = "internal"
    function.attributes.add("noinline")  # its loop needs the registers for itself
    array, row_step, n, tile, step = function.args
    entry, loop, end = (function.append_basic_block(label) for label in ("entry", "loop", "end"))
    four = ir.Constant(_I64, 4)
    own = ir.IRBuilder(entry)
    last = own.sub(n, four)
    own.branch(loop)
    own.position_at_end(loop)
    c = own.phi(_I64)
    # The last block lies over the one before: no part of a vector is moved where there is a whole one.
    first = own.select(own.icmp_signed("<", c, last), c, last)
    move(own, array, row_step, tile, step, first)
    following = own.add(c, four)
    c.add_incoming(ir.Constant(_I64, 0), entry)
    c.add_incoming(following, loop)
    own.cbranch(own.icmp_signed("<", following, n), loop, end)
    ir.IRBuilder(end).ret_void()
    return function


def _address(context: Any, builder: Any, kind: Any, pointer: Any, offset: Any) -> Any:
    return builder.ptrtoint(address(context, builder, kind, pointer, offset, ir.IntType(8)), _I64)


@intrinsic
def blocks_to_tile(
    typing_context: Any, array: Any, at: Any, row_step: Any, n: Any, tile: Any, to: Any, step: Any
) -> Any:
    """Copy n ≥ 4 classes of LANES rows, row_step bytes apart, to the tile, whose classes are step bytes apart."""
    lanes, size = lanes_of(array.dtype), size_of(array.dtype)

    def move(builder: Any, source: Any, row_step: Any, target: Any, step: Any, c: Any) -> None:
        four = ir.VectorType(llvm_scalar(array.dtype), 4)
        start = builder.add(source, builder.mul(c, ir.Constant(_I64, size)))
        rows = [builder.load(p, align=size) for p in _addresses(builder, start, row_step, lanes, four)]
        turned = _turned(builder, [_concatenated(builder, rows[j::4]) for j in range(4)])
        values = [v if tile.dtype == array.dtype else decode(builder, array.dtype, v) for v in turned]
        to = builder.add(target, builder.mul(c, step))
        for value, p in zip(values, _addresses(builder, to, step, 4, values[0].type), strict=True):
            builder.store(value, p, align=size_of(tile.dtype))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_value, at, row_step, n, tile_value, to, step = arguments
        function = _in_blocks(builder, f"softxent.blocks_to_tile.{array.dtype}.{tile.dtype}", move)
        source = _address(context, builder, array, array_value, at)
        builder.call(function, [source, row_step, n, _address(context, builder, tile, tile_value, to), step])

    return types.void(array, *[types.int64] * 3, tile, types.int64, types.int64), codegen


@intrinsic
def blocks_to_rows(
    typing_context: Any, tile: Any, at: Any, step: Any, n: Any, array: Any, to: Any, row_step: Any
) -> Any:
    """Copy n ≥ 4 classes of the tile, step bytes apart, to LANES rows of the same dtype, row_step bytes apart."""
    lanes, size = lanes_of(tile.dtype), size_of(tile.dtype)

    def move(builder: Any, target: Any, row_step: Any, source: Any, step: Any, c: Any) -> None:
        kind = ir.VectorType(llvm_scalar(tile.dtype), lanes)
        start = builder.add(source, builder.mul(c, step))
        turned = _turned(builder, [builder.load(p, align=size) for p in _addresses(builder, start, step, 4, kind)])
        four = ir.VectorType(kind.element, 4)
        to = builder.add(target, builder.mul(c, ir.Constant(_I64, size)))
        for row, p in enumerate(_addresses(builder, to, row_step, lanes, four)):
            part = ir.Constant(ir.VectorType(_I32, 4), list(range(row // 4 * 4, row // 4 * 4 + 4)))
            builder.store(builder.shuffle_vector(turned[row % 4], ir.Constant(kind, ir.Undefined), part), p, align=size)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile_value, at, step, n, array_value, to, row_step = arguments
        function = _in_blocks(builder, f"softxent.blocks_to_rows.{tile.dtype}", move)
        target = _address(context, builder, array, array_value, to)
        builder.call(function, [target, row_step, n, _address(context, builder, tile, tile_value, at), step])

    return types.void(tile, *[types.int64] * 3, array, types.int64, types.int64), codegen


@intrinsic
def square_to_tile(
    typing_context: Any, array: Any, at: Any, row_step: Any, rows: Any, columns: Any, tile: Any, to: Any, step: Any
) -> Any:
    """Copy `rows` rows of `columns` classes, row_step bytes apart, to LANES classes of the tile, step bytes apart.

    Where there are fewer than LANES, the tile's other rows repeat the last and its other classes are 0. A tile of
    the working dtype gets half precision converted.
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
    """Copy LANES classes of the tile to LANES rows, in the rows' order: what spills into a next row is overwritten."""

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
    """Copy `columns` classes of the tile to `rows` rows and nothing beside them."""
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
