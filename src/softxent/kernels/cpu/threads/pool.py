"""softxent's threads, which wait in compiled code: they receive a kernel's call without a step in Python.

A Python thread that waits on a queue takes 100 µs or more until it computes: it is woken, waits for the GIL, which the
caller's thread must release, and at the end the caller waits for the GIL again. Here each thread stays inside one
kernel, _serve, without the GIL. For some microseconds after a call it spins until the next one, then it sleeps (by a
futex, so only on Linux; elsewhere threads.scheduler's threads compute).

The threads and the caller share five numbers, each in its own cache line:
    WORK       how many more threads may join the call; −1: no more calls; threads sleep while it is 0
    FUNCTION   the address of the function to call; in the same line DATA, the address of its argument
    DONE       how many threads have joined and finished
    BUSY       whether there is a call; a second call at the same time computes alone
    SLEEPERS   how many threads are asleep, or about to be
A thread joins by decrementing WORK. So a late one finds no work, and the caller knows for how many it must wait.
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
# A thread checks WORK this often before it sleeps: for some 200 µs. Waking it takes 50 to 100 µs.
_LOOKS = 8000
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0)
_WAIT, _WAKE = np.int64(128), np.int64(129)  # private to this process
_EVERYBODY = np.int64(1 << 30)


def pools_work_here() -> bool:
    """Whether the operating system has the futex that a pool needs."""
    return sys.platform.startswith("linux") and sys.maxsize > 1 << 32 and _FUTEX != 0


def _c_function(builder: Any, name: str, kind: Any, arguments: list[Any]) -> None:
    if pools_work_here():  # elsewhere the function is never called, and may not exist
        builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), arguments)


@intrinsic
def _seen(typing_context: Any, number: Any) -> Any:
    """The number as last written by any thread; everything written before it is visible too."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(arguments[0], "seq_cst", 8)

    return types.int64(number), codegen


@intrinsic
def _swap(typing_context: Any, number: Any, value: Any) -> Any:
    """Set number to value; return what it was before."""

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
    """Set number to new if it is old; return whether it was."""

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
    """Sleep while the number is value (_WAIT), or wake at most value sleeping threads (_WAKE)."""

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
    """Call function(data) here and in at most `helpers` threads that join before this one is done; wait for them.

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
        if looks > _LOOKS:  # a helper has lost its CPU
            _yield()
    _swap(advanced(shared, _BUSY), 0)


@kernel
def _serve(numbers):
    """Join calls until WORK is −1."""
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
    """Wait for the current call, if any, and then end all threads."""
    shared = pointer(numbers)
    while not _replace(advanced(shared, _BUSY), 0, 1):
        _yield()
    _swap(advanced(shared, _WORK), -1)
    _futex(advanced(shared, _WORK), _WAKE, _EVERYBODY)


class Pool:
    """Threads that wait for kernels' calls.

    Attributes:
        size: their number, including the calling one; address: that of the numbers that they share with launch.
    """

    def __init__(self, size: int) -> None:
        numbers = np.zeros(_NUMBERS + 8, np.int64)
        self._numbers = numbers[-numbers.ctypes.data % 64 // 8 :][:_NUMBERS]  # aligned to cache lines
        self.size, self.address = size, self._numbers.ctypes.data
        kind = types.Array(types.int64, 1, "C")
        for function in (_serve, _dismiss):
            function.compile((kind,))  # type: ignore[attr-defined]  # a method of Numba's dispatcher
        self._threads = [
            threading.Thread(target=_serve, args=(self._numbers,), name=f"softxent-waits-{i}", daemon=True)
            for i in range(size - 1)
        ]
        for thread in self._threads:
            thread.start()
        # The interpreter's exit frees the compiled code; no thread may be inside it then.
        atexit.register(self.close)

    def forget(self) -> None:
        """Forget the threads, in a forked child, which does not have them."""
        atexit.unregister(self.close)
        self._threads = []

    def close(self) -> None:
        """End the threads; calls that still use the pool compute alone."""
        threads = self._threads
        self.forget()
        if threads:
            _dismiss(self._numbers)
            for thread in threads:
                thread.join()
