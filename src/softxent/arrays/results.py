"""Memory for large results, used again once nobody holds the result any more.

A fresh array of 100 MB costs as much time to be zeroed by the system, page by page, as its softmax costs to be
computed. So a block that a large result lay in is kept when the result goes, up to a limit in all, and given to the
next one of about its size. $SOFTXENT_RESULT_CACHE_MB sets the limit; 0 keeps nothing.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from typing import Any

import numpy as np

from softxent.errors import OptionError

__all__ = ["empty", "forget"]

_LEAST_BYTES = 1 << 20
_DEFAULT_MEGABYTES = 256
# What sys.getrefcount says of a block that only the list and a loop's variable hold.
_UNUSED = 3

_lock = threading.Lock()
_blocks: list[np.ndarray] = []
_limit: int | None = None


def _limit_bytes() -> int:
    global _limit
    if _limit is None:
        given = os.environ.get("SOFTXENT_RESULT_CACHE_MB", "")
        if given and not given.isdigit():
            raise OptionError(f"SOFTXENT_RESULT_CACHE_MB must be a number of megabytes, 0 for none; got {given!r}")
        # Without the GIL a reference count does not tell who holds an array.
        counts = getattr(sys, "_is_gil_enabled", lambda: True)()
        _limit = (int(given) if given else _DEFAULT_MEGABYTES) << 20 if counts else 0
    return _limit


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array like numpy.empty(shape, dtype); a large one may lie in memory that an earlier one left."""
    size = math.prod(shape) * dtype.itemsize
    if not _LEAST_BYTES <= size <= _limit_bytes():
        return np.empty(shape, dtype)
    with _lock:
        found = None
        for index in range(len(_blocks)):  # enumerate would hold each block once more
            block = _blocks[index]
            if size <= block.nbytes <= size + size // 4 and sys.getrefcount(block) == _UNUSED:
                found = index
                break
        block = _blocks.pop(found) if found is not None else np.empty(size, np.uint8)
        _blocks.append(block)
        held = sum(b.nbytes for b in _blocks)
        while held > _limit_bytes():
            held -= _blocks.pop(0).nbytes
    return np.ndarray(shape, dtype, buffer=block)


def forget() -> None:
    """Give back all memory that is kept for results."""
    with _lock:
        _blocks.clear()


def _in_child() -> None:
    # The lock as it happened to be when another thread of the parent held it.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
