"""PyTorch's OpenMP threads, where PyTorch is loaded: a process has one set of threads that compute.

After each of its loops an OpenMP thread spins for some milliseconds in wait of the next one. A thread of ours would
share a core with it, which costs more than a loss of ten thousand rows. So a large call is given to the very threads
that wait. PyTorch itself is never imported here. Our own threads compute where it has no OpenMP, in a forked child,
whose OpenMP threads are gone, and, unless softxent.torch asks, in other threads than the main one: each of them has an
OpenMP team of its own, made when it is first used.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["Team", "torchs_team", "torchs_team_of_main"]

_MEMBER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_forked = False


@functools.cache
def _parallel(torchs_file: str) -> Any:
    """Return GOMP_parallel and omp_get_thread_num of the OpenMP library that PyTorch has loaded, or None."""
    try:
        with open("/proc/self/maps") as maps:
            paths = set(re.findall(r"/\S*lib(?:g|i)?omp[^/\s]*\.so[^/\s]*", maps.read()))
    except OSError:
        return None
    folder = os.path.dirname(os.path.dirname(torchs_file))
    own = sorted(path for path in paths if path.startswith(folder) and "scikit_learn" not in path)
    beside = [path for path in own if f"{os.sep}torch{os.sep}" in path] or own
    if len(beside) != 1:
        return None
    try:
        library = ctypes.CDLL(beside[0])
        function, number = library.GOMP_parallel, library.omp_get_thread_num
    except (OSError, AttributeError):
        return None
    function.restype = None
    function.argtypes = [_MEMBER, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    return function, number


class Team:
    """The threads of an OpenMP library.

    Attributes:
        size: how many there are, the calling one included; address: that of GOMP_parallel; number: that of
            omp_get_thread_num.
    """

    __slots__ = ("_function", "address", "number", "size")

    def __init__(self, function: Any, number: Any, size: int) -> None:
        self._function, self.size = function, size
        self.address: int = ctypes.cast(function, ctypes.c_void_p).value or 0
        self.number: int = ctypes.cast(number, ctypes.c_void_p).value or 0

    def run(self, member: Callable[[], None]) -> None:
        """Call member in every thread, and wait for all."""
        errors: list[BaseException] = []

        def guarded(_: Any) -> None:
            try:
                member()
            except BaseException as error:
                errors.append(error)

        self._function(_MEMBER(guarded), None, self.size, 0)
        if errors:
            raise errors[0]


@functools.cache
def _team(torch: ModuleType, size: int) -> Team | None:
    functions = _parallel(torch.__file__) if size > 1 and torch.backends.openmp.is_available() else None
    if functions is None:
        return None
    parallel, number = functions
    return Team(parallel, number, size)


def torchs_team() -> Team | None:
    """Return PyTorch's threads, None where it is not loaded or has but one."""
    torch = sys.modules.get("torch")
    if torch is None or _forked:
        return None
    try:
        return _team(torch, torch.get_num_threads())
    except AttributeError:  # it is just being imported
        return None


def torchs_team_of_main() -> Team | None:
    """As torchs_team, in the main thread only."""
    return torchs_team() if threading.current_thread() is threading.main_thread() else None


def _in_child() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
