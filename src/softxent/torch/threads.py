"""PyTorch's own OpenMP threads for our kernels.

After each of its loops an OpenMP thread spins for some milliseconds in wait of the next one. A thread of ours would
share a core with it: between two operations of PyTorch, where a loss stands, that costs more than the loss. So a large
call is given to the very threads that wait, by the function that compiled OpenMP loops call. Where PyTorch has no
OpenMP, and in a forked child, whose OpenMP threads are gone, our own threads compute.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from softxent.arrays.visits import kernels

__all__ = ["with_torchs_threads"]

Function = TypeVar("Function", bound=Callable[..., Any])

_MEMBER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_forked = False


@functools.cache
def _parallel() -> Any:
    """Return GOMP_parallel of the OpenMP library that PyTorch has loaded, or None."""
    if not torch.backends.openmp.is_available():
        return None
    try:
        with open("/proc/self/maps") as maps:
            paths = set(re.findall(r"/\S*lib(?:g|i)?omp[^/\s]*\.so[^/\s]*", maps.read()))
    except OSError:
        return None
    folder = os.path.dirname(os.path.dirname(torch.__file__))
    own = sorted(path for path in paths if path.startswith(folder) and "scikit_learn" not in path)
    beside = [path for path in own if f"{os.sep}torch{os.sep}" in path] or own
    if len(beside) != 1:
        return None
    try:
        function = ctypes.CDLL(beside[0]).GOMP_parallel
    except (OSError, AttributeError):
        return None
    function.restype = None
    function.argtypes = [_MEMBER, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    return function


def _team(member: Callable[[], None]) -> None:
    """Call member in every thread of PyTorch's team, this one included, and wait for all."""
    errors: list[BaseException] = []

    def guarded(_: Any) -> None:
        try:
            member()
        except BaseException as error:
            errors.append(error)

    _parallel()(_MEMBER(guarded), None, torch.get_num_threads(), 0)
    if errors:
        raise errors[0]


def with_torchs_threads(function: Function) -> Function:
    """Let a function compute in PyTorch's threads, as many as torch.set_num_threads says."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        threads = torch.get_num_threads()
        team = None if _forked or threads == 1 or _parallel() is None else _team
        with kernels().limited_threads(threads, team):
            return function(*arguments, **options)

    return wrapper  # type: ignore[return-value]  # the same signature


def _in_child() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
