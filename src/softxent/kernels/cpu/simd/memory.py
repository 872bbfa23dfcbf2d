"""Load and store vectors, whole or in part, at any byte offset from an array's first element.

The kernels see an array as a pointer to its first element and byte strides: one compiled kernel serves every layout,
and there is no reference counting, which costs more than a row of ten classes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.conversions import decode, encode
from softxent.kernels.cpu.simd.vector import Vector, lanes_of, llvm_scalar

__all__ = [
    "address",
    "advanced",
    "copy_element",
    "copy_vector",
    "fence",
    "first_lanes",
    "item_size",
    "like",
    "load",
    "load_first",
    "load_scalar",
    "masked_load",
    "masked_store",
    "misalignment",
    "pointer",
    "pointer_at",
    "prefetch",
    "prefetch_to_write",
    "retyped",
    "size_of",
    "stack_lines",
    "store",
    "store_first",
    "store_scalar",
    "stream",
    "stream_scalar",
    "take",
]

_I1, _I8, _I32, _I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
_HALF = (types.uint16, types.int16)


def _working(dtype: Any) -> Any:
    """The dtype of computations."""
    return types.float32 if dtype in _HALF else dtype


def address(context: Any, builder: Any, pointer_type: Any, pointer: Any, offset: Any, kind: Any) -> Any:
    """A pointer to the type `kind`, offset bytes after the first element."""
    return builder.bitcast(builder.gep(builder.bitcast(pointer, _I8.as_pointer()), [offset]), kind.as_pointer())


def size_of(dtype: Any) -> int:
    """The number of bytes of an element."""
    return int(dtype.bitwidth // 8)


def first_lanes(builder: Any, lanes: int, count: Any) -> Any:
    """The mask of the first count lanes."""
    indices = ir.Constant(ir.VectorType(_I32, lanes), list(range(lanes)))
    one = builder.insert_element(
        ir.Constant(indices.type, ir.Undefined), builder.trunc(count, _I32), ir.Constant(_I32, 0)
    )
    every = builder.shuffle_vector(one, ir.Constant(indices.type, ir.Undefined), ir.Constant(indices.type, [0] * lanes))
    return builder.icmp_signed("<", indices, every)


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return builder.call(function, arguments)


def _name(kind: Any) -> str:
    element = kind.element
    return f"v{kind.count}" + (f"i{element.width}" if isinstance(element, ir.IntType) else
                               {"float": "f32", "double": "f64"}[str(element)])  # fmt: skip


def masked_load(builder: Any, pointer: Any, mask: Any, kind: Any, align: int) -> Any:
    """The lanes of a vector in memory for which mask is true, 0 in the others, which are not read."""
    zero = ir.Constant(kind, [0 if isinstance(kind.element, ir.IntType) else 0.0] * kind.count)
    return _call(builder, f"llvm.masked.load.{_name(kind)}.p0", kind, [pointer, ir.Constant(_I32, align), mask, zero])


def masked_store(builder: Any, value: Any, pointer: Any, mask: Any, align: int) -> None:
    """Store the lanes for which mask is true; nothing else is written."""
    name = f"llvm.masked.store.{_name(value.type)}.p0"
    _call(builder, name, ir.VoidType(), [value, pointer, ir.Constant(_I32, align), mask])


@intrinsic
def pointer(typing_context: Any, array: Any) -> Any:
    """A pointer to an array's first element; the caller keeps the array alive."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def pointer_at(typing_context: Any, place: Any, array: Any) -> Any:
    """A pointer at an address (an integer, or an array's first element) to elements of an array's or number's dtype."""
    if isinstance(place, types.Array):
        result = types.CPointer(place.dtype)

        def of_array(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return context.make_array(place)(context, builder, arguments[0]).data

        return result(place, array), of_array
    result = types.CPointer(getattr(array, "dtype", array))

    def of_integer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(result))

    return result(place, array), of_integer


@intrinsic
def advanced(typing_context: Any, base: Any, offset: Any) -> Any:
    """A pointer advanced by offset bytes."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return address(context, builder, base, arguments[0], arguments[1], arguments[0].type.pointee)

    return base(base, types.int64), codegen


@intrinsic(prefer_literal=True)
def stack_lines(typing_context: Any, like: Any, lines: Any) -> Any:
    """A pointer to stack memory for `lines` vectors of float64 with like's lanes, valid until the function returns.

    (Numba would free an array after its last use, and does not count a pointer to it as a use.)
    """
    count = lines.literal_value * like.lanes

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(ir.DoubleType(), count))
            memory.align = 64
        return builder.bitcast(memory, ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(like, lines), codegen


@intrinsic
def retyped(typing_context: Any, base: Any, like: Any) -> Any:
    """The same pointer, to numbers of like's dtype."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], llvm_scalar(like.dtype).as_pointer())

    return types.CPointer(like.dtype)(base, like), codegen


@intrinsic
def item_size(typing_context: Any, base: Any) -> Any:
    """The number of bytes of an element: a constant of the compiled kernel."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(_I64, size_of(base.dtype))

    return types.int64(base), codegen


@intrinsic
def like(typing_context: Any, array: Any) -> Any:
    """A vector of zeros of the type that load returns."""
    kind = Vector(_working(array.dtype), lanes_of(array.dtype))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(kind.llvm, [0.0] * kind.lanes)

    return kind(array), codegen


@intrinsic
def load(typing_context: Any, array: Any, offset: Any, like: Any) -> Any:
    """As many elements as like has lanes, in the working dtype."""
    dtype = array.dtype
    kind = like.of(_working(dtype))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = ir.VectorType(llvm_scalar(dtype), like.lanes)
        pointer = address(context, builder, array, arguments[0], arguments[1], stored)
        value = builder.load(pointer, align=size_of(dtype))
        return decode(builder, dtype, value)

    return kind(array, types.int64, like), codegen


@intrinsic
def load_first(typing_context: Any, array: Any, offset: Any, count: Any, fill: Any) -> Any:
    """The first count elements, followed by fill's lanes."""
    dtype = array.dtype
    kind = fill

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = ir.VectorType(llvm_scalar(dtype), kind.lanes)
        pointer = address(context, builder, array, arguments[0], arguments[1], stored)
        mask = first_lanes(builder, kind.lanes, arguments[2])
        value = masked_load(builder, pointer, mask, stored, size_of(dtype))
        return builder.select(mask, decode(builder, dtype, value), arguments[3])

    return kind(array, types.int64, types.int64, kind), codegen


@intrinsic
def store(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Store every lane, converted to the array's dtype."""
    dtype = array.dtype

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = encode(builder, dtype, arguments[2])
        pointer = address(context, builder, array, arguments[0], arguments[1], stored.type)
        builder.store(stored, pointer, align=size_of(dtype))

    return types.void(array, types.int64, value), codegen


@intrinsic
def stream(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Store past the caches, to an address that is a multiple of a vector's size: for data that is not read soon."""
    dtype = array.dtype

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = encode(builder, dtype, arguments[2])
        pointer = address(context, builder, array, arguments[0], arguments[1], stored.type)
        instruction = builder.store(stored, pointer, align=size_of(dtype) * lanes_of(dtype))
        instruction.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_I32, 1)]))

    return types.void(array, types.int64, value), codegen


@intrinsic
def stream_scalar(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Store a scalar past the caches if the CPU can; x86 cannot for two bytes."""
    dtype = array.dtype
    bits = ir.IntType(8 * size_of(dtype))  # x86 has such stores only for integers

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = builder.bitcast(encode(builder, dtype, arguments[2]), bits)
        pointer = address(context, builder, array, arguments[0], arguments[1], bits)
        instruction = builder.store(stored, pointer, align=size_of(dtype))
        instruction.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_I32, 1)]))

    return types.void(array, types.int64, _working(dtype)), codegen


@intrinsic
def store_first(typing_context: Any, array: Any, offset: Any, count: Any, value: Any) -> Any:
    """Store the first count lanes."""
    dtype = array.dtype

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = encode(builder, dtype, arguments[3])
        pointer = address(context, builder, array, arguments[0], arguments[1], stored.type)
        mask = first_lanes(builder, value.lanes, arguments[2])
        masked_store(builder, stored, pointer, mask, size_of(dtype))

    return types.void(array, types.int64, types.int64, value), codegen


@intrinsic
def load_scalar(typing_context: Any, array: Any, offset: Any) -> Any:
    """One element, in the working dtype."""
    dtype = array.dtype

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = address(context, builder, array, arguments[0], arguments[1], llvm_scalar(dtype))
        return decode(builder, dtype, builder.load(pointer, align=size_of(dtype)))

    return _working(dtype)(array, types.int64), codegen


@intrinsic
def store_scalar(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Store one number, converted to the array's dtype."""
    dtype = array.dtype

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = encode(builder, dtype, arguments[2])
        pointer = address(context, builder, array, arguments[0], arguments[1], stored.type)
        builder.store(stored, pointer, align=size_of(dtype))

    return types.void(array, types.int64, _working(dtype)), codegen


@intrinsic
def copy_element(typing_context: Any, target: Any, to: Any, source: Any, offset: Any) -> Any:
    """Copy one element's bits; target and source have the same dtype."""
    kind = llvm_scalar(source.dtype)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(
            address(context, builder, source, arguments[2], arguments[3], kind), align=size_of(source.dtype)
        )
        builder.store(
            value, address(context, builder, target, arguments[0], arguments[1], kind), align=size_of(target.dtype)
        )

    return types.void(target, types.int64, source, types.int64), codegen


@intrinsic
def copy_vector(typing_context: Any, target: Any, to: Any, source: Any, offset: Any) -> Any:
    """Copy a vector's bits; target and source have the same dtype."""
    kind = ir.VectorType(llvm_scalar(source.dtype), lanes_of(source.dtype))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(
            address(context, builder, source, arguments[2], arguments[3], kind), align=size_of(source.dtype)
        )
        builder.store(
            value, address(context, builder, target, arguments[0], arguments[1], kind), align=size_of(target.dtype)
        )

    return types.void(target, types.int64, source, types.int64), codegen


@intrinsic
def misalignment(typing_context: Any, array: Any, offset: Any) -> Any:
    """The number of elements to the next address that is a multiple of a vector's size."""
    size = size_of(array.dtype)
    whole = size * lanes_of(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = builder.ptrtoint(address(context, builder, array, arguments[0], arguments[1], _I8), _I64)
        bytes_left = builder.and_(builder.neg(number), ir.Constant(_I64, whole - 1))
        return builder.udiv(bytes_left, ir.Constant(_I64, size))

    return types.int64(array, types.int64), codegen


@intrinsic
def prefetch(typing_context: Any, array: Any, offset: Any) -> Any:
    """Prefetch a cache line; any address is allowed."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = address(context, builder, array, arguments[0], arguments[1], _I8)
        # For reading, into the second-level cache, as data.
        hints = [ir.Constant(_I32, n) for n in (0, 2, 1)]
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, *hints])

    return types.void(array, types.int64), codegen


def prefetch_to_write(builder: Any, pointer: Any) -> None:
    """Prefetch a cache line that will be written soon; any address is allowed."""
    # For writing, into the first-level cache, as data.
    hints = [ir.Constant(_I32, n) for n in (1, 3, 1)]
    _call(builder, "llvm.prefetch.p0", ir.VoidType(), [builder.bitcast(pointer, _I8.as_pointer()), *hints])


@intrinsic
def take(typing_context: Any, counter: Any, step: Any) -> Any:
    """Add step atomically to the number at counter; return the number before, so that each thread gets its own."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", *arguments, "monotonic")

    return types.int64(counter, types.int64), codegen


@intrinsic
def fence(typing_context: Any) -> Any:
    """Make streamed stores visible to other threads."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")

    return types.void(), codegen
