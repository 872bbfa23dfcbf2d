"""Compile the kernels, and keep the compiled code on disk.

Numba's own disk cache checks one source file only: after a change in a function that a kernel inlines from another
file, it would return stale code. If two processes write at once, its index file can also pair a signature with the
other's code. Here one file holds one specialisation, named by a hash of everything that the machine code depends on:
all kernel sources, the signature, the CPU, and the versions of Numba and Python. If a file cannot be read, the kernel
is compiled again; if the folder cannot be written, each process compiles.

The parts of a kernel stay in LLVM's intermediate code until the kernel is compiled.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core import compiler
from numba.core.caching import _Cache
from numba.core.codegen import JITCodeLibrary
from numba.core.serialize import dumps
from numba.extending import intrinsic

__all__ = ["cache_folder", "inlined", "inner", "kernel", "never_inlined", "sources_hash"]


@functools.cache
def sources_hash(folder: Path = Path(__file__).parents[1]) -> str:
    """Return a hash of all sources in a folder and below it, their paths, and the compiler's versions."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def cache_folder() -> Path:
    """Return the folder of the compiled kernels: $SOFTXENT_CACHE_DIR, or softxent/ in the user's cache folder."""
    own = os.environ.get("SOFTXENT_CACHE_DIR")
    if own:
        return Path(own)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "softxent"


class _OneFileCache(_Cache):  # type: ignore[misc]  # Numba ships no types
    """Keeps each compiled specialisation of one function in a file of its own."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def _file(self, signature: Any, codegen: Any) -> Path:
        key = repr((str(signature), codegen.magic_tuple(), sources_hash()))
        return cache_folder() / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.nbc"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        target_context.refresh()
        try:
            import pickle

            payload = pickle.loads(self._file(signature, target_context.codegen()).read_bytes())
            return compiler.CompileResult._rebuild(target_context, *payload)
        except Exception:  # if the file is missing, damaged or foreign, the kernel is compiled again
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        if not self._enabled:
            return
        file = self._file(signature, result.codegen)
        beside = file.with_name(f"{file.name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(dumps(result._reduce()))
            os.replace(beside, file)
        except (OSError, RuntimeError):  # RuntimeError: Path.home() without a home folder
            beside.unlink(missing_ok=True) if beside.parent.exists() else None

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        pass


class _WithoutEnvironment:
    """A codegen for functions that Python never calls, which need no Python environment."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def set_env(self, name: str, environment: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)


class _PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The LLVM code of a part of a kernel: it is optimised and compiled only together with the kernel.

    Numba would compile every function separately, with all functions that it calls: in a call chain of ten functions
    the last would be compiled ten times.
    """

    @property
    def codegen(self) -> Any:
        return _WithoutEnvironment(self._codegen)

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _PartCompiler(compiler.Compiler):  # type: ignore[misc]
    """Numba's compiler, into a _PartLibrary."""

    def __init__(self, typing_context: Any, target_context: Any, library: Any, *rest: Any) -> None:
        if library is None:
            library = _PartLibrary(target_context.codegen(), "a part of a kernel")
        super().__init__(typing_context, target_context, library, *rest)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile function on its first call with each kind of arguments, without the GIL, kept on disk.

    error_model="numpy": a division by zero gives inf or NaN, as the contract requires. No fastmath: the kernels'
    comments account for every rounding, and the order of every sum is fixed.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    try:
        dispatcher._cache = _OneFileCache(function)
    except RuntimeError:  # no home folder: compile in each process
        pass
    return dispatcher  # type: ignore[no-any-return]


def inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile function as a part of the kernels that call it; it cannot be called from Python."""
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True,
        error_model="numpy",
        no_cfunc_wrapper=True,
        no_cpython_wrapper=True,
        pipeline_class=_PartCompiler,
    )(function)


@intrinsic
def never_inlined(typing_context: Any) -> Any:
    """Forbid inlining, if called in a function's first line: its loops then have all of the CPU's registers."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # A function inherits "alwaysinline" from its caller.
        builder.function.attributes.discard("alwaysinline")
        builder.function.attributes.add("noinline")

    return types.void(), codegen


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile function as inner does, and always inline it: for the bodies of loops."""
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True,
        error_model="numpy",
        no_cfunc_wrapper=True,
        no_cpython_wrapper=True,
        forceinline=True,
        pipeline_class=_PartCompiler,
    )(function)
