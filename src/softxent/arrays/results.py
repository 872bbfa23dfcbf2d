"""Memory for large results, used again once the last array that lies in it is gone.

A fresh array of 100 MB costs as much time to be zeroed by the system, page by page, as its softmax costs to be
computed. So a large result lies in a block that is lent to it. The loan is the base of the result, and so of its views,
of tensors on its memory and of buffers: with the last of them the loan ends, and the block waits for the next result of
about its size. $SOFTXENT_RESULT_CACHE_MB limits what waits; 0 keeps nothing.
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

# The blocks that wait, by their address; last comes the one that was used last, and may still be in a cache. A loan may
# end at any moment, in any thread, even while this thread looks for a block: so there is no lock to wait for, and each
# step on the dictionary is one that no other thread can interrupt.
_waiting: dict[int, np.ndarray] = {}
_limit: int | None = None


class _Loan:
    """What holds a block for a result. NumPy makes an array of such an object, and keeps it as the array's base."""

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
    """Return an array like numpy.empty(shape, dtype); a large one may lie in memory that an earlier one left."""
    size = math.prod(shape) * dtype.itemsize
    if not _LEAST_BYTES <= size <= _limit_bytes():
        return np.empty(shape, dtype)
    for address, block in reversed(list(_waiting.items())):
        # Whoever takes the block out of the dictionary has it: another thread may have been faster.
        if size <= block.size <= size + size // 4 and _waiting.pop(address, None) is not None:
            break
    else:
        block = np.empty(size, np.uint8)
        address = block.ctypes.data
    array = np.asarray(_Loan(address, block, shape, dtype))
    # An interface has no word for bfloat16: two bytes of whatever kind.
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
    """Give back all memory that waits for results."""
    _waiting.clear()
