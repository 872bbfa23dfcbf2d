"""One BLAS thread while our own threads multiply: products whose bits do not depend on the number of threads.

A BLAS cuts a product by the number of its threads, and rounds differently for each cut. Products of pieces that we cut
by shape, one thread each, do not. The limit belongs to the whole process, so its holders take turns: were two inside at
once, the first to leave would lift the limit under the second. Each uses all of our threads, so a turn costs no time.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["single_threaded_blas"]

_turn = threading.RLock()


@functools.cache
def _libraries(with_scipy: bool) -> Any:
    # Looking for the loaded libraries takes longer than a small product; SciPy brings one of its own.
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

    return ThreadpoolController()


def _forget() -> None:
    # In a forked child nobody holds the turn, but the lock is as it happened to be.
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold every BLAS of the process to one thread; other callers wait for their turn."""
    with _turn, _libraries("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
        yield
