"""A kernel's visit in every thread of an OpenMP team or of softxent's pool, without a step in Python.

If each thread called the kernel from Python, they would pass the GIL around, which takes 20 to 50 µs per thread: as
long as 2000 rows of ten classes. So the kernel itself calls GOMP_parallel, the function that compiled OpenMP loops call
(threads.openmp finds it), or threads.pool's launch, with a function that visits rows until none are left.

The threads of one call share a ledger of int64 numbers: the next row of a call in one thread; the next member's number;
the largest number of members; GOMP_parallel's address or 0; its team's size; how many numbers of a tile, and of kept
terms, belong to each member; omp_get_thread_num's address; the number of parts of the rows; and the address of a pool's
shared numbers or 0. (Without GOMP_parallel and pool, Python's threads call the kernel, each by itself.) From LINE on
there is a cache line for each part, with its next row.

If there is a part for each member, a member visits its own part first, the same one in every call, because the threads
that computed the logits mostly had the same parts: reading from another core's cache takes longer than reading from
beyond the caches. Then it helps the others. If nothing stays in the caches, there is one part, so that threads read
memory close to each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.jit import inlined, inner
from softxent.kernels.cpu.simd.memory import advanced, item_size, load_scalar, pointer_at, store_scalar, take
from softxent.kernels.cpu.threads.pool import call_at, launch

__all__ = [
    "JOINED",
    "KEPT",
    "LINE",
    "MEMBERS",
    "NEXT",
    "NUMBER",
    "PARALLEL",
    "PARTS",
    "POOL",
    "TEAM",
    "TILE",
    "in_team",
    "join",
    "ledger_numbers",
    "next_piece",
    "share",
]

# Places in a ledger.
NEXT, JOINED, MEMBERS, PARALLEL, TEAM, TILE, KEPT, NUMBER, PARTS, POOL = map(np.int64, range(10))
LINE, _LINE_NUMBERS = 16, 8

_I8P, _I32, _I64 = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)


def ledger_numbers(parts: int) -> int:
    """Return the length of the ledger of a call with this many parts."""
    return LINE + _LINE_NUMBERS * parts


@intrinsic
def _answer(typing_context: Any, function: Any) -> Any:
    """Call the C function at an address; return its result, an int."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_I32, [])
        return builder.sext(builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), []), ir.IntType(64))

    return types.int64(types.int64), codegen


@inlined
def join(ledger):
    """Return this thread's number among those of the call; −1 if there are enough without it."""
    members = load_scalar(ledger, 8 * MEMBERS)
    if members == 0:  # a call in one thread
        return 0
    number = load_scalar(ledger, 8 * NUMBER)
    member = _answer(number) if number != 0 else take(advanced(ledger, 8 * JOINED), 1)
    return member if member < members else -1


@inner
def next_piece(ledger, member, step, rows):
    """Return the first of the next (at most step) rows for this member to visit; `rows` if none are left."""
    if load_scalar(ledger, 8 * MEMBERS) == 0:
        row = load_scalar(ledger, 8 * NEXT)
        store_scalar(ledger, 8 * NEXT, row + step)
        return min(row, rows)
    parts = load_scalar(ledger, 8 * PARTS)
    part = -(-rows // (parts * step)) * step
    for k in range(parts):
        owner = (member + k) % parts
        row = owner * part + take(advanced(ledger, 8 * (LINE + _LINE_NUMBERS * owner)), step)
        if row < min((owner + 1) * part, rows):
            return row
    return rows


@inlined
def share(buffer, ledger, line, member):
    """Return this member's slice of a buffer; the ledger holds the length of a slice at `line`."""
    return advanced(buffer, member * load_scalar(ledger, 8 * line) * item_size(buffer))


@intrinsic
def _member(typing_context: Any, function: Any, arguments: Any) -> Any:
    """(address, data): the address of a C function that calls function(arguments), and that of its argument."""
    signature = function.get_call_type(typing_context, (arguments,), {})

    def codegen(context: Any, builder: Any, answer: Any, values: Any) -> Any:
        _, packed = values
        compiled = function.dispatcher.overloads[signature.args]
        context.add_linking_libs((compiled.library,))
        kind = ir.FunctionType(ir.VoidType(), [_I8P])
        name = builder.module.get_unique_name("member")
        member = ir.Function(builder.module, kind, name)
        member.linkage = "internal"
        inside = ir.IRBuilder(member.append_basic_block("entry"))
        given = inside.load(inside.bitcast(member.args[0], packed.type.as_pointer()))
        context.call_internal_no_propagate(inside, compiled.fndesc, signature, [given])
        inside.ret_void()

        place = cgutils.alloca_once_value(builder, packed)
        addresses = [builder.ptrtoint(pointer, _I64) for pointer in (member, place)]
        return context.make_tuple(builder, answer.return_type, addresses)

    return types.UniTuple(types.int64, 2)(function, arguments), codegen


@intrinsic
def _parallel(typing_context: Any, parallel: Any, member: Any, data: Any, size: Any) -> Any:
    """Call GOMP_parallel, whose address is `parallel`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, member, data, size = arguments
        kind = ir.FunctionType(ir.VoidType(), [_I64, _I64, _I32, _I32])
        launcher = builder.inttoptr(address, kind.as_pointer())
        builder.call(launcher, [member, data, builder.trunc(size, _I32), ir.Constant(_I32, 0)])

    return types.void(types.int64, types.int64, types.int64, types.int64), codegen


@inlined
def in_team(function, ledger, arguments):
    """Call function(arguments) in each thread of the ledger's team or pool, or here alone. arguments: a tuple."""
    parallel, pool = load_scalar(ledger, 8 * PARALLEL), load_scalar(ledger, 8 * POOL)
    member, data = _member(function, arguments)
    if parallel != 0:
        _parallel(parallel, member, data, load_scalar(ledger, 8 * TEAM))
    elif pool == 0:
        call_at(member, data)
    else:
        launch(pointer_at(pool, ledger), member, data, load_scalar(ledger, 8 * MEMBERS) - 1)
