"""Matrix products that accumulate, and a limit of one BLAS thread while softxent's own threads multiply.

NumPy's matmul cannot accumulate: its product goes into a temporary array, which is then added, and for a gradient of
150 MB that is most of the memory traffic. SciPy exports a BLAS that can (the C functions of the cython_blas module). If
a SciPy does not, or its functions take other arguments, NumPy multiplies.

The bits of products do not depend on the number of threads. BLAS would divide a product by the number of its threads,
and each division rounds differently; softxent divides it by shape, and each piece is multiplied by one thread. The
limit of one thread holds for the whole process, so its holders take turns: with two at once, the first to leave would
lift the limit of the second. Each uses all of softxent's threads, so taking turns costs no time.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["multiply", "single_threaded_blas"]

_turn = threading.RLock()


@functools.cache
def _libraries(with_scipy: bool) -> Any:
    # Cached, because finding the loaded libraries takes longer than a small product; SciPy has its own BLAS.
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

    return ThreadpoolController()


def _forget() -> None:
    # In a forked child no thread holds the turn, but the copied lock may be held.
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit every BLAS of the process to one thread; other callers wait for their turn."""
    with _turn, _libraries("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
        yield


# The names of BLAS's integers in builds of SciPy, and their C types.
_INTEGERS = {b"int *": ctypes.c_int, b"int64_t *": ctypes.c_int64}


@functools.cache
def _gemm(name: str) -> tuple[Any, Any, Any] | None:
    """Return BLAS's gemm of that name as a function of pointers, and its C types of integers and numbers.

    Return None if SciPy has none with the expected signature.
    """
    try:
        from scipy.linalg import cython_blas

        capsule = cython_blas.__pyx_capi__[name]
    except (ImportError, AttributeError, KeyError):
        return None
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = get_name(capsule)  # "void (char *, char *, int *, …)"
    arguments = [argument.strip() for argument in signature.split(b",")]
    integer = _INTEGERS.get(arguments[2]) if len(arguments) == 13 else None
    if integer is None:
        return None
    # A ctypes function releases the GIL while it runs.
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(get_pointer(capsule, signature))
    return function, integer, ctypes.c_float if name[0] == "s" else ctypes.c_double


def _as_column_major(matrix: np.ndarray) -> tuple[bytes, int]:
    """How BLAS reads the transpose of a matrix with one contiguous axis: (b"N" or b"T", leading size)."""
    size = matrix.itemsize
    rows, columns = matrix.strides
    if columns == size or matrix.shape[1] == 1:
        return b"N", max(rows // size, matrix.shape[1], 1)
    return b"T", max(columns // size, matrix.shape[0], 1)


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray, accumulate: bool) -> None:
    """out = a @ b, or out += a @ b. a: (m, k), b: (k, n), out: (m, n), all float32 or all float64.

    Each of a and b has one contiguous axis; out's second axis is contiguous.
    """
    gemm = _gemm("dgemm" if out.itemsize == 8 else "sgemm")
    (m, k), n = a.shape, b.shape[1]
    if m == 0 or n == 0 or k == 0:
        if not accumulate:
            out[...] = 0
        return
    if gemm is None:
        product = np.matmul(a, b, out=None if accumulate else out)
        if accumulate:
            out += product
        return
    function, integer, number = gemm
    # BLAS's matrices are column-major, so it computes outᵀ = bᵀ aᵀ.
    (how_b, lead_b), (how_a, lead_a) = _as_column_major(b), _as_column_major(a)
    sizes = [integer(v) for v in (n, m, k, lead_b, lead_a, max(out.strides[0] // out.itemsize, n))]
    one, beta = number(1.0), number(1.0 if accumulate else 0.0)
    at = [ctypes.byref(v) for v in sizes]
    function(
        how_b, how_a, at[0], at[1], at[2], ctypes.byref(one), b.ctypes.data, at[3], a.ctypes.data, at[4],
        ctypes.byref(beta), out.ctypes.data, at[5],
    )  # fmt: skip
