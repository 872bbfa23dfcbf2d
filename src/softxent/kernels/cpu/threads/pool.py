"""Threads of ours that wait in compiled code: a call of a kernel is handed to them without a step in Python.

A thread of Python's that waits on a queue takes 100 µs and more until it computes: it is woken, then it waits for the
GIL, which the caller's thread has to give away, and at the end the caller waits for it again. Here each thread is
inside one kernel, _serve, for good, without the GIL. For some microseconds after a call it spins in wait of the next,
then it sleeps (a futex, so on Linux; elsewhere threads.scheduler's threads compute).

What they share with the caller are five numbers, each in a cache line of its own:
    WORK       how many more may join the call; −1: no call will come; threads sleep while it is 0
    FUNCTION   the address of what they are to call, with DATA, the address of its argument, beside it
    DONE       how many have joined and are done
    BUSY       whether there is a call: another one at the same time computes alone
    SLEEPERS   how many are asleep, or about to be
A thread joins by taking one of WORK, so that one that comes late finds nothing, and the caller knows for whom it waits.
"""

from __future__ import annotations

import atexit
import platform
import sys
import threading
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from softxent.kernels.cpu.simd.jit import inner, kernel
from softxent.kernels.cpu.simd.memory import advanced, load_scalar, pointer, store_scalar

__all__ = ["Pool", "call_at", "launch", "pools_work_here"]

_I32, _I64 = ir.IntType(32), ir.IntType(64)

# Byte offsets.
_WORK, _FUNCTION, _DATA, _DONE, _BUSY, _SLEEPERS = map(np.int64, (0, 64, 72, 128, 192, 256))
_NUMBERS = 40
# How often a thread looks before it sleeps: some 200 µs. To wake it takes 50 to 100.
_LOOKS = 8000
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0)
_WAIT, _WAKE = np.int64(128), np.int64(129)  # of this process's threads alone
_EVERYBODY = np.int64(1 << 30)


def pools_work_here() -> bool:
    """Whether the operating system has what a pool needs."""
    return sys.platform.startswith("linux") and sys.maxsize > 1 << 32 and _FUTEX != 0


def _c_function(builder: Any, name: str, kind: Any, arguments: list[Any]) -> None:
    if pools_work_here():  # elsewhere nobody may look for the function, as nobody calls it
        builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), arguments)


@intrinsic
def _seen(typing_context: Any, number: Any) -> Any:
    """The number as other threads have left it, and all that they wrote before."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(arguments[0], "seq_cst", 8)

    return types.int64(number), codegen


@intrinsic
def _swap(typing_context: Any, number: Any, value: Any) -> Any:
    """What number was before it became value."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("xchg", *arguments, "seq_cst")

    return types.int64(number, types.int64), codegen


@intrinsic
def _add(typing_context: Any, number: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", *arguments, "seq_cst")

    return types.int64(number, types.int64), codegen


@intrinsic
def _replace(typing_context: Any, number: Any, old: Any, new: Any) -> Any:
    """Make number new if it is old; whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_value(builder.cmpxchg(*arguments, "seq_cst", "seq_cst"), 1)

    return types.boolean(number, types.int64, types.int64), codegen


@intrinsic
def _pause(typing_context: Any) -> Any:
    """Tell the CPU that this thread waits."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name, hint = ("x86.sse2.pause", []) if platform.machine() == "x86_64" else ("aarch64.hint", [_I32(1)])
        _c_function(builder, f"llvm.{name}", ir.FunctionType(ir.VoidType(), [n.type for n in hint]), hint)

    return types.void(), codegen


@intrinsic
def call_at(typing_context: Any, function: Any, data: Any) -> Any:
    """Call the C function at an address with a pointer."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_I64])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [arguments[1]])

    return types.void(types.int64, types.int64), codegen


@intrinsic
def _futex(typing_context: Any, number: Any, operation: Any, value: Any) -> Any:
    """Sleep while the number is value (_WAIT), or wake up to so many who do (_WAKE)."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = [_I64(_FUTEX), *arguments, _I64(0), _I64(0), _I64(0)]
        _c_function(builder, "syscall", ir.FunctionType(_I64, [_I64], var_arg=True), given)

    return types.void(number, types.int64, types.int64), codegen


@intrinsic
def _yield(typing_context: Any) -> Any:
    """Let another thread have the CPU."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _c_function(builder, "sched_yield", ir.FunctionType(_I32, []), [])

    return types.void(), codegen


@inner
def launch(shared, function, data, helpers):
    """Call function(data) here and in up to so many helpers, those that come before this thread is done; wait for them.

    shared: a pointer to a pool's numbers; function, data: addresses.
    """
    if not _replace(advanced(shared, _BUSY), 0, 1):
        call_at(function, data)
        return
    store_scalar(shared, _FUNCTION, function)
    store_scalar(shared, _DATA, data)
    store_scalar(shared, _DONE, 0)
    _swap(advanced(shared, _WORK), helpers)
    if _seen(advanced(shared, _SLEEPERS)) > 0:
        _futex(advanced(shared, _WORK), _WAKE, helpers)
    call_at(function, data)
    joined = helpers - _swap(advanced(shared, _WORK), 0)
    looks = 0
    while _seen(advanced(shared, _DONE)) < joined:
        _pause()
        looks += 1
        if looks > _LOOKS:  # a helper is without a CPU
            _yield()
    _swap(advanced(shared, _BUSY), 0)


@kernel
def _serve(numbers):
    """Join calls until there will be no more."""
    shared = pointer(numbers)
    work = advanced(shared, _WORK)
    looks = 0
    while True:
        left = _seen(work)
        if left == 0:
            looks += 1
            if looks <= _LOOKS:
                _pause()
                continue
            _add(advanced(shared, _SLEEPERS), 1)
            _futex(work, _WAIT, 0)
            _add(advanced(shared, _SLEEPERS), -1)
        elif left < 0:
            return
        elif _replace(work, left, left - 1):
            call_at(load_scalar(shared, _FUNCTION), load_scalar(shared, _DATA))
            _add(advanced(shared, _DONE), 1)
            looks = 0


@kernel
def _dismiss(numbers):
    """Tell all threads that no call will come, once the one that there may be is done."""
    shared = pointer(numbers)
    while not _replace(advanced(shared, _BUSY), 0, 1):
        _yield()
    _swap(advanced(shared, _WORK), -1)
    _futex(advanced(shared, _WORK), _WAKE, _EVERYBODY)


class Pool:
    """Threads that wait for kernels' calls.

    Attributes:
        size: how many there are, the calling one included; address: that of what launch shares with them.
    """

    def __init__(self, size: int) -> None:
        numbers = np.zeros(_NUMBERS + 8, np.int64)
        self._numbers = numbers[-numbers.ctypes.data % 64 // 8 :][:_NUMBERS]  # cache lines
        self.size, self.address = size, self._numbers.ctypes.data
        kind = types.Array(types.int64, 1, "C")
        for function in (_serve, _dismiss):
            function.compile((kind,))  # type: ignore[attr-defined]  # Numba's
        self._threads = [
            threading.Thread(target=_serve, args=(self._numbers,), name=f"softxent-waits-{i}", daemon=True)
            for i in range(size - 1)
        ]
        for thread in self._threads:
            thread.start()
        # Compiled code goes when the interpreter does; nobody may be inside then.
        atexit.register(self.close)

    def forget(self) -> None:
        """In a forked child, where the threads are not."""
        atexit.unregister(self.close)
        self._threads = []

    def close(self) -> None:
        """Send the threads away; calls that know the pool still compute, alone."""
        threads = self._threads
        self.forget()
        if threads:
            _dismiss(self._numbers)
            for thread in threads:
                thread.join()
