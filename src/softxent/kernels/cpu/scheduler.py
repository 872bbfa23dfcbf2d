"""Hands blocks of rows to a pool of threads; the kernels run without the GIL.

The blocks are cut by shape alone and every block's result lands in a place of its own, so neither the number of threads
nor their order can change a bit. The calling thread works too: a pool that is busy with another call only means that it
does more of the work itself, and there is nothing to wait for in a circle.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from softxent.errors import OptionError

__all__ = ["get_num_threads", "run", "scratch", "set_num_threads"]

Block = TypeVar("Block")

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_num_threads: int | None = None
_local = threading.local()


def _default_num_threads() -> int:
    given = os.environ.get("SOFTXENT_NUM_THREADS", "")
    if given:
        if not given.isdigit() or int(given) < 1:
            raise OptionError(f"SOFTXENT_NUM_THREADS must be a positive integer; got {given!r}")
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads() -> int:
    """Return how many threads a large call may use: $SOFTXENT_NUM_THREADS, or the CPUs this process may run on."""
    global _num_threads
    if _num_threads is None:
        _num_threads = _default_num_threads()
    return _num_threads


def set_num_threads(num_threads: int) -> None:
    """Let large calls use num_threads threads from now on. Results do not depend on it."""
    global _num_threads, _pool
    if num_threads < 1:
        raise OptionError(f"num_threads must be at least 1; got {num_threads}")
    with _lock:
        _num_threads = num_threads
        old, _pool = _pool, None
    if old is not None:
        old.shutdown(wait=False)


def _forget_pool() -> None:
    # A forked child has the pool object but none of its threads, and the lock as it happened to be.
    global _pool, _lock, _local
    _pool = None
    _lock = threading.Lock()
    _local = threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _submit(helper: Callable[[], None], count: int) -> list[Future[None]]:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=get_num_threads() - 1, thread_name_prefix="softxent")
        return [_pool.submit(helper) for _ in range(count)]


def run(work: Callable[[Block], None], blocks: Sequence[Block]) -> None:
    """Call work(block) for every block, on this thread and the pool's; the first exception is raised."""
    helpers = min(get_num_threads(), len(blocks)) - 1
    if helpers <= 0:
        for block in blocks:
            work(block)
        return
    next_index = itertools.count().__next__  # atomic: a C call under the GIL; each block is taken once
    stop = threading.Event()

    def take_blocks() -> None:
        while not stop.is_set():
            index = next_index()
            if index >= len(blocks):
                return
            try:
                work(blocks[index])
            except BaseException:
                stop.set()
                raise

    futures = _submit(take_blocks, helpers)
    try:
        take_blocks()
    finally:
        for future in futures:
            if not future.cancel():
                # Wait before anybody sees the arrays, whatever happened here.
                future.exception()
    for future in futures:
        if not future.cancelled():
            future.result()


def scratch(name: str, size: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return this thread's buffer of that name, an array of at least size elements whose content is whatever it was."""
    try:
        buffer: np.ndarray = _local.buffers[name, dtype]
        if buffer.size >= size:
            return buffer
    except AttributeError:
        _local.buffers = {}
    except KeyError:
        pass
    buffer = np.empty(size, dtype)
    _local.buffers[name, dtype] = buffer
    return buffer
