"""Distribute work to threads; the kernels run without the GIL.

Blocks depend on the shape alone, or their rows are independent, and every result has its own place, so neither the
number of threads nor their order can change a bit. The calling thread works too: if the pool is busy with another call,
it does more of the work itself, so there is no deadlock.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from softxent.errors import OptionError
from softxent.kernels.cpu.threads.openmp import Team, torchs_team_of_main
from softxent.kernels.cpu.threads.pool import Pool, pools_work_here
from softxent.kernels.cpu.threads.team import MEMBERS, POOL, ledger_numbers

__all__ = ["LimitedThreads", "get_num_threads", "ledger", "pool", "run", "scratch", "set_num_threads", "team"]

Block = TypeVar("Block")


class _Ticket:
    """A helper's part of one call. It belongs to the first to claim it: a worker, or the caller if it is not needed."""

    __slots__ = ("_claim", "_done", "_function", "error")

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._claim = itertools.count().__next__  # atomic: a C call under the GIL
        self._done = threading.Lock()
        self._done.acquire()
        self.error: BaseException | None = None

    def work(self) -> None:
        if self._claim() == 0:
            try:
                self._function()
            except BaseException as error:
                self.error = error
            finally:
                self._done.release()

    def settle(self) -> None:
        """Take the ticket back, or wait until it is done."""
        if self._claim() != 0:
            self._done.acquire()


Tickets = SimpleQueue[_Ticket | None]

_lock = threading.Lock()
_queue: Tickets | None = None
_workers = 0
_num_threads: int | None = None
_pool: Pool | None = None


class _Local(threading.local):
    """A thread's limits (LimitedThreads), and its buffers (scratch)."""

    limit: int | None = None
    team: Team | None = None

    def __init__(self) -> None:
        self.buffers: dict[tuple[str, np.dtype[Any]], np.ndarray] = {}


_local = _Local()


def _serve(queue: Tickets) -> None:
    while (ticket := queue.get()) is not None:
        ticket.work()
        del ticket  # so that the call's arrays can be freed


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
    limit = _local.limit
    return _num_threads if limit is None else min(limit, _num_threads)


class LimitedThreads:
    """A context in which this thread's calls use at most num_threads threads, or those of a team.

    It is a class, because a function with @contextmanager takes four times as long.
    """

    __slots__ = ("_before", "_local", "_now")

    def __init__(self, num_threads: int, team: Team | None = None) -> None:
        self._now = num_threads, team

    def __enter__(self) -> None:
        # __exit__ must restore the same object: a child that is forked meanwhile has a new _local.
        self._local = local = _local
        self._before = local.limit, local.team
        local.limit, local.team = self._now

    def __exit__(self, *unused: object) -> None:
        self._local.limit, self._local.team = self._before


def team() -> Team | None:
    """Return the OpenMP threads that compute for this thread's calls; None if softxent's threads do."""
    return _local.team or torchs_team_of_main()


def set_num_threads(num_threads: int) -> None:
    """Let large calls use num_threads threads from now on. Results do not depend on it."""
    global _num_threads, _queue, _workers, _pool
    if num_threads < 1:
        raise OptionError(f"num_threads must be at least 1; got {num_threads}")
    with _lock:
        _num_threads = num_threads
        old, count = _queue, _workers
        _queue, _workers = None, 0
        if _pool is not None:
            _pool.close()
            _pool = None
        for _ in range(count if old is not None else 0):
            old.put(None)  # type: ignore[union-attr]  # not None: count is 0 without a queue


def _forget_workers() -> None:
    # A forked child has the queue and the pool without their threads, and a lock that may be held.
    global _queue, _workers, _pool, _lock, _local
    if _pool is not None:
        _pool.forget()
    _queue, _workers, _pool = None, 0, None
    _lock = threading.Lock()
    _local = _Local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def _hand_out(function: Callable[[], None], count: int) -> list[_Ticket]:
    global _queue, _workers
    tickets = [_Ticket(function) for _ in range(count)]
    with _lock:
        if _queue is None:
            _queue = SimpleQueue()
        while _workers < min(count, get_num_threads() - 1):
            name = f"softxent-{_workers}"
            threading.Thread(target=_serve, args=(_queue,), name=name, daemon=True).start()
            _workers += 1
        for ticket in tickets:
            _queue.put(ticket)
    return tickets


def run(work: Callable[[Block], None], blocks: Sequence[Block]) -> None:
    """Call work(block) for every block, on this thread and the workers; the first exception is raised."""
    helpers = min(get_num_threads(), len(blocks)) - 1
    if helpers <= 0:
        for block in blocks:
            work(block)
        return
    next_index = itertools.count().__next__  # each block is taken once
    stop = False

    def take_blocks() -> None:
        nonlocal stop
        while not stop:
            index = next_index()
            if index >= len(blocks):
                return
            try:
                work(blocks[index])
            except BaseException:
                stop = True
                raise

    others = team()
    if others is not None:
        members = itertools.count().__next__  # a team may have more threads than wanted
        others.run(lambda: take_blocks() if members() <= helpers else None)
        return
    tickets = _hand_out(take_blocks, helpers)
    try:
        take_blocks()
    finally:
        for ticket in tickets:
            # Even after an exception, wait until no thread uses the arrays.
            ticket.settle()
    for ticket in tickets:
        if ticket.error is not None:
            raise ticket.error


def pool() -> Pool | None:
    """Return the threads that wait for kernels' calls; None if there is one thread, or if blocks are distributed."""
    global _pool
    if get_num_threads() == 1 or not pools_work_here():
        return None
    with _lock:
        if _pool is None:
            _pool = Pool(_num_threads or 1)
        return _pool


def ledger(
    members: int, tile: int, kept: int, others: Team | None, parts: int = 1, own: Pool | None = None
) -> np.ndarray:
    """Return the ledger of one call (threads.team). tile, kept: how many numbers of each belong to a thread.

    members: 0 for a call in one thread; parts: the number of parts of the rows.
    """
    parallel, size, number = (0, 0, 0) if others is None else (others.address, others.size, others.number)
    numbers = np.zeros(ledger_numbers(parts), np.int64)
    numbers[MEMBERS : POOL + 1] = members, parallel, size, tile, kept, number, parts, 0 if own is None else own.address
    return numbers


def scratch(name: str, size: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return this thread's buffer of that name: an array of at least size elements, with arbitrary content."""
    buffers = _local.buffers
    buffer = buffers.get((name, dtype))
    if buffer is not None and buffer.size >= size:
        return buffer
    # Aligned to a cache line: storing a vector across two lines takes twice the time.
    room = np.empty(size * dtype.itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    buffer = room[start : start + size * dtype.itemsize].view(dtype)
    buffers[name, dtype] = buffer
    return buffer
