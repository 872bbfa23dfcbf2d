"""Memory for large results, which is used again after the last array in it is gone.

For a new array of 100 MB the system zeroes every page, which takes as long as computing its softmax. So a large result
uses a cached block of memory on loan. The loan object is the base of the result, and thereby of its views, of tensors
on its memory and of buffers. When the last of them is gone, the loan ends, and the block waits for the next result of
about its size. $SOFTXENT_RESULT_CACHE_MB limits the waiting memory; 0 keeps none.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from softxent.errors import OptionError

__all__ = ["empty", "forget"]

_LEAST_BYTES = 1 << 20
_DEFAULT_MEGABYTES = 256

# Waiting blocks by address. The most recently used is last and is tried first, because it may still be in a CPU cache.
# A lock could deadlock, because a loan may end (`__del__`) in the thread that holds it. So every operation on the
# dictionary is atomic.
_waiting: dict[int, np.ndarray] = {}
_limit: int | None = None


class _Loan:
    """Holds a block for a result. NumPy makes an array from a loan, and keeps the loan as the array's base."""

    __slots__ = ("__array_interface__", "address", "block")

    def __init__(self, address: int, block: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.address, self.block = address, block
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": (address, False), "version": 3}

    def __del__(self) -> None:
        _take_back(self.address, self.block)


def _limit_bytes() -> int:
    global _limit
    if _limit is None:
        given = os.environ.get("SOFTXENT_RESULT_CACHE_MB", "")
        if given and not given.isdigit():
            raise OptionError(f"SOFTXENT_RESULT_CACHE_MB must be a number of megabytes, 0 for none; got {given!r}")
        _limit = (int(given) if given else _DEFAULT_MEGABYTES) << 20
    return _limit


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array like numpy.empty(shape, dtype); a large one may use the memory of an earlier result."""
    size = math.prod(shape) * dtype.itemsize
    if not _LEAST_BYTES <= size <= _limit_bytes():
        return np.empty(shape, dtype)
    for address, block in reversed(list(_waiting.items())):
        # The thread that removes the block from the dictionary owns it; another thread may have been faster.
        if size <= block.size <= size + size // 4 and _waiting.pop(address, None) is not None:
            break
    else:
        block = np.empty(size, np.uint8)
        address = block.ctypes.data
    array = np.asarray(_Loan(address, block, shape, dtype))
    # The array interface has no type code for bfloat16, only for two raw bytes.
    return array if dtype.kind == "f" else array.view(dtype)


def _take_back(address: int, block: np.ndarray) -> None:
    _waiting[address] = block
    excess = sum([b.size for b in list(_waiting.values())]) - _limit_bytes()
    while excess > 0 and _waiting:
        try:
            excess -= _waiting.pop(next(iter(_waiting))).size
        except (KeyError, RuntimeError, StopIteration):
            continue  # another thread changed the dictionary meanwhile


def forget() -> None:
    """Free all memory that waits for results."""
    _waiting.clear()
