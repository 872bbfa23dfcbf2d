"""Small calls in one call from Python: labels checked, rows visited, losses added.

The cost of such a call is not the arithmetic but the arguments: three kernels with thirty arguments took longer than
320 exponentials. So everything that depends only on shapes and options is put beforehand into one array of int64, the
call, and a kernel takes the arrays and their call. Numba sees every array as a matrix, so one compiled kernel is
enough.

A call begins with a ledger of one thread (threads.team), followed by the places named below.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import carray, from_dtype, types

from softxent.kernels.cpu.arithmetic.sums import sum_vector
from softxent.kernels.cpu.cross_entropy import visit_label_rows
from softxent.kernels.cpu.labels import count_labels
from softxent.kernels.cpu.simd.jit import inner, kernel
from softxent.kernels.cpu.simd.lanes import convert
from softxent.kernels.cpu.simd.memory import like, load_scalar, pointer, pointer_at, retyped, store_scalar
from softxent.kernels.cpu.softmax import visit_log_softmax, visit_softmax
from softxent.kernels.cpu.threads.team import NEXT, ledger_numbers

__all__ = ["CALL_NUMBERS", "compiled"]

# These places follow the ledger's own.
_FIRST = ledger_numbers(parts=1)
OUTER, CLASS, INNER, CLASSES, ROWS, STEP, STRIDE, KEEPS, TILE_AT, TERMS_AT = map(np.int64, range(_FIRST, _FIRST + 10))
# Only for a loss; Z_LOSS holds the bits of a float64.
LOSSES_AT, IGNORE_INDEX, Z_LOSS, IS_MEAN, WANTS_GRAD = map(np.int64, range(_FIRST + 10, _FIRST + 15))
CALL_NUMBERS = _FIRST + 15
# Returned in place of a loss, which is never negative, if a label is no class or all rows are ignored.
UNDONE = -1.0


@inner
def _number(call, place):
    return load_scalar(call, 8 * place)


@inner
def _loss(z, out, labels, call):
    zero = like(z)
    wide = convert(np.float64, zero)
    n, rows, ignore_index = _number(call, CLASSES), _number(call, ROWS), _number(call, IGNORE_INDEX)
    counted = count_labels(carray(labels, (rows,)), n, ignore_index)
    if counted <= 0:
        return UNDONE
    size = _number(call, CLASS) // _number(call, INNER)
    outer, step = _number(call, OUTER), _number(call, CLASS)
    losses = pointer_at(_number(call, LOSSES_AT), wide)
    is_mean, want_grad = _number(call, IS_MEAN) != 0, _number(call, WANTS_GRAD) != 0
    total = np.float64(counted)
    store_scalar(call, 8 * NEXT, 0)
    visit_label_rows(
        z, outer, step, size, out, outer, step, size, _number(call, INNER), n, call, 0, _number(call, STEP), rows,
        pointer_at(_number(call, TILE_AT), z), _number(call, STRIDE), False, labels, ignore_index, losses, False,
        losses, False, load_scalar(retyped(call, wide), 8 * Z_LOSS), total if is_mean else 1.0, losses, want_grad,
        _number(call, KEEPS) != 0, pointer_at(_number(call, TERMS_AT), zero),
    )  # fmt: skip
    value, _ = sum_vector(carray(losses, (rows,)))
    return value / total if is_mean else value


@kernel
def small_label_rows(logits, results, labels, call):
    """Return the loss of contiguous rows, or UNDONE; write their gradients into results, if the call wants them.

    logits, results: matrices of one dtype, of the call's number of elements; labels: int64, one per row.
    """
    return _loss(pointer(logits), pointer(results), pointer(labels), pointer(call))


@kernel
def small_label_rows_at(logits, results, labels, total, call, of_dtype):
    """Do the work of small_label_rows on the addresses of arrays; also write the loss to the address total.

    of_dtype: a number of the dtype of logits, results and total; an array would cost 0.1 µs.
    """
    number = np.int64(0)
    z, out = pointer_at(logits, of_dtype), pointer_at(results, of_dtype)
    value = _loss(z, out, pointer_at(labels, number), pointer_at(call, number))
    store_scalar(pointer_at(total, of_dtype), 0, value)
    return value


@inner
def _arguments(z, out, call):
    size = _number(call, CLASS) // _number(call, INNER)
    outer, step = _number(call, OUTER), _number(call, CLASS)
    tile, terms = pointer_at(_number(call, TILE_AT), z), pointer_at(_number(call, TERMS_AT), like(z))
    store_scalar(call, 8 * NEXT, 0)
    return (
        z, outer, step, size, out, outer, step, size, _number(call, INNER), _number(call, CLASSES), call,
        _number(call, STEP), _number(call, ROWS), tile, _number(call, STRIDE), False,
    ), _number(call, KEEPS) != 0, terms  # fmt: skip


@kernel
def small_softmax(logits, results, call):
    """Write the softmax of contiguous rows into results; logits, results: matrices, as in small_label_rows."""
    arguments, keeps, terms = _arguments(pointer(logits), pointer(results), pointer(call))
    visit_softmax((*arguments, keeps, terms))


@kernel
def small_log_softmax(logits, results, call):
    """Write the log-softmax of contiguous rows into results; the arguments are those of small_softmax."""
    arguments, _, _ = _arguments(pointer(logits), pointer(results), pointer(call))
    visit_log_softmax(arguments)


@functools.cache
def compiled(name: str, dtype: np.dtype[Any]) -> Any:
    """Return a kernel's machine code for a dtype, called without Numba's check of argument types.

    The caller guarantees that every array is C-contiguous, aligned and writable, and a matrix if the kernel says so.
    """
    numbers = types.Array(types.int64, 1, "C")
    matrix = types.Array(from_dtype(dtype), 2, "C")
    kernels: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "small_label_rows": (small_label_rows, (matrix, matrix, numbers, numbers)),
        "small_label_rows_at": (
            small_label_rows_at,
            (types.int64, types.int64, types.int64, types.int64, types.int64, from_dtype(dtype)),
        ),
        "small_softmax": (small_softmax, (matrix, matrix, numbers)),
        "small_log_softmax": (small_log_softmax, (matrix, matrix, numbers)),
    }
    kernel, arguments = kernels[name]
    return kernel.compile(arguments)
