"""PyTorch's OpenMP threads, used if PyTorch is loaded, so that a process has one set of computing threads.

After each of its loops an OpenMP thread spins for some milliseconds until the next one. If softxent's threads shared
the cores with such threads, that would cost more than a loss of ten thousand rows. So a large call is given to the
spinning threads themselves. PyTorch is never imported here. softxent's own threads compute in these cases: PyTorch has
no OpenMP; in a forked child, whose OpenMP threads are gone; and, unless softxent.torch calls, in threads other than the
main one, because each of them would create an OpenMP team of its own.
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
        size: their number, including the calling one; address: that of GOMP_parallel; number: the address of
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
    """Return PyTorch's threads; None if it is not loaded or has only one."""
    torch = sys.modules.get("torch")
    if torch is None or _forked:
        return None
    try:
        return _team(torch, torch.get_num_threads())
    except AttributeError:  # PyTorch is just being imported
        return None


def torchs_team_of_main() -> Team | None:
    """Return torchs_team() in the main thread, None in others."""
    return torchs_team() if threading.current_thread() is threading.main_thread() else None


def _in_child() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
