"""Small, plain calls, in which a microsecond matters: everything that depends on shapes and options is cached.

The results have the same bits as on the general path. For unusual or wrong arguments these functions return None, and
the general path handles them.
"""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple, TypeVar

import numpy as np

from softxent.arrays.rows import Layout
from softxent.arrays.visits import plan

__all__ = ["LARGEST_FLOAT32", "forget_calls", "loss_call", "small_label_loss", "small_map", "thread_calls"]

LARGEST_FLOAT32 = 3.4e38
_SINGLE, _DOUBLE, _INDEX = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
# Arrays up to this size are small.
_SMALL_ELEMENTS = 1 << 15
# A thread caches this many calls for each dtype: enough for all shapes of a program, unless they vary with its data.
_MOST_CALLS = 256


_Kept = TypeVar("_Kept")
_ndarray, _empty = np.ndarray, np.empty  # looked up once


class Call(NamedTuple):
    """The prepared call of a kernel (softxent.kernels.cpu.small).

    shape: of the labels, or of the results; None if the call is not small, so that no array matches it.
    matrix: the logits' shape as a matrix; memory: keeps the memory alive to which the numbers point.
    """

    shape: tuple[int, ...] | None
    kernel: Any
    matrix: tuple[int, int]
    numbers: np.ndarray
    memory: np.ndarray


_NOT_SMALL = Call(None, None, (0, 0), np.empty(0, np.int64), np.empty(0, np.uint8))


class _Calls(threading.local):
    """A thread's cached calls, whose kernels work in the thread's own memory. front_end: the calls of a front end."""

    def __init__(self) -> None:
        self.single: dict[Any, Call] = {}
        self.double: dict[Any, Call] = {}
        self.front_end: dict[Any, Any] = {}
        self.memory = np.empty(0, np.uint8)

    @staticmethod
    def keep(calls: dict[Any, _Kept], key: Any, call: _Kept) -> _Kept:
        """Store a call under a key, and return it."""
        if len(calls) >= _MOST_CALLS:
            calls.clear()
        calls[key] = call
        return call


thread_calls = _Calls()


def forget_calls() -> None:
    """Forget this thread's calls, after something that they depend on has changed."""
    thread_calls.__init__()  # type: ignore[misc]  # resets the thread's attributes


def _aligned(size: int) -> int:
    return -(-size // 64) * 64


def _memory(size: int) -> np.ndarray:
    """Return this thread's memory, of at least that many bytes; earlier calls keep their own."""
    if thread_calls.memory.size < size:
        thread_calls.memory = np.empty(1 << size.bit_length(), np.uint8)
    return thread_calls.memory


def _new_call(shape: tuple[int, ...], dtype: np.dtype[Any], axis: int, kernel: str, losses: bool) -> Call:
    if not shape or 0 in shape or math.prod(shape) > _SMALL_ELEMENTS or not -len(shape) <= axis < len(shape):
        return _NOT_SMALL
    from softxent.kernels.cpu import small

    layout = Layout.of(shape, axis)
    n, inner, rows, size = layout.num_classes, layout.inner, layout.num_rows, dtype.itemsize
    how = plan(rows, n, inner, size, inner == 1, False, 1)
    tile, terms = _aligned(how.tile * size), _aligned(how.kept * size if how.keeps else 1)
    memory = _memory(64 + tile + terms + rows * 8)
    start = _aligned(memory.ctypes.data)
    numbers = np.zeros(small.CALL_NUMBERS, np.int64)
    numbers[small.OUTER], numbers[small.CLASS] = n * inner * size, inner * size
    numbers[small.INNER], numbers[small.CLASSES], numbers[small.ROWS] = inner, n, rows
    numbers[small.STEP], numbers[small.STRIDE], numbers[small.KEEPS] = how.step, how.stride, how.keeps
    numbers[small.TILE_AT], numbers[small.TERMS_AT] = start, start + tile
    numbers[small.LOSSES_AT] = start + tile + terms
    given = layout.row_shape if losses else shape
    return Call(given, small.compiled(kernel, dtype), (layout.outer, n * inner), numbers, memory)


def loss_call(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axis: int,
    ignore_index: int,
    z_loss: float,
    reduction: str,
    want_grad: bool,
    kernel: str = "small_label_rows",
) -> Call:
    """Return the call of a loss's kernel, a new one or a cached one. dtype: float32 or float64."""
    key = shape, axis, ignore_index, z_loss, reduction, want_grad, kernel
    calls = thread_calls.single if dtype is _SINGLE else thread_calls.double
    call = calls.get(key)
    if call is not None:
        return call
    if reduction not in ("mean", "sum") or not 0.0 <= z_loss < math.inf or not -(2**63) <= ignore_index < 2**63:
        return _NOT_SMALL
    call = _new_call(shape, dtype, axis, kernel, losses=True)
    if call.shape is not None:
        from softxent.kernels.cpu import small

        call.numbers[small.IGNORE_INDEX], call.numbers[small.Z_LOSS] = ignore_index, np.float64(z_loss).view(np.int64)
        call.numbers[small.IS_MEAN], call.numbers[small.WANTS_GRAD] = reduction == "mean", want_grad
    return thread_calls.keep(calls, key, call)


def small_label_loss(
    logits: Any,
    labels: Any,
    axis: Any,
    from_logits: Any,
    weight: Any,
    ignore_index: Any,
    label_smoothing: Any,
    z_loss: Any,
    softcap: Any,
    temperature: Any,
    reduction: Any,
    want_grad: bool,
    out: Any,
) -> tuple[Any, Any] | None:
    """Return the loss, and its gradient if wanted, of a small array's rows with index labels."""
    if not (
        type(logits) is type(labels) is np.ndarray
        and weight is softcap is None
        and from_logits is True
        and type(axis) is type(ignore_index) is int
        and type(label_smoothing) is type(z_loss) is type(temperature) is float
        and type(reduction) is str
        and label_smoothing == 0.0
        and temperature == 1.0
    ):
        return None
    dtype = logits.dtype
    if not (dtype is _SINGLE or dtype is _DOUBLE):
        return None
    call = loss_call(logits.shape, dtype, axis, ignore_index, z_loss, reduction, want_grad)
    shape, kernel, matrix, numbers, _ = call
    if labels.shape != shape or labels.dtype is not _INDEX or not (logits.flags.carray and labels.flags.carray):
        return None
    result = logits
    if want_grad:
        if out is None:
            result = np.empty(logits.shape, dtype)
        elif out is not logits:
            if type(out) is not np.ndarray or out.dtype is not dtype or out.shape != logits.shape:
                return None
            if not out.flags.carray or np.may_share_memory(out, logits):
                return None
            result = out
    if logits.ndim == 2 and labels.ndim == 1:
        value = kernel(logits, result, labels, numbers)
    else:
        value = kernel(logits.reshape(matrix), result.reshape(matrix), labels.reshape(-1), numbers)
    if not 0.0 <= value <= LARGEST_FLOAT32:
        if value < 0.0:
            return None
        with np.errstate(all="ignore"):
            return dtype.type(value), result if want_grad else None
    return dtype.type(value), result if want_grad else None


def small_map(x: Any, axis: Any, kernel: str) -> np.ndarray | None:
    """Return softmax or log-softmax of a small array's rows. kernel: small_softmax or small_log_softmax."""
    if type(x) is not _ndarray or type(axis) is not int:
        return None
    dtype = x.dtype
    if dtype is _SINGLE:
        calls = thread_calls.single
    elif dtype is _DOUBLE:
        calls = thread_calls.double
    else:
        return None
    key = x.shape, axis, kernel
    call = calls.get(key)
    if call is None:
        call = thread_calls.keep(calls, key, _new_call(x.shape, dtype, axis, kernel, losses=False))
    shape, run, matrix, numbers, _ = call
    if shape is None or not x.flags.carray:
        return None
    result = _empty(shape, dtype)
    if len(shape) == 2:
        run(x, result, numbers)
    else:
        run(x.reshape(matrix), result.reshape(matrix), numbers)
    return result
