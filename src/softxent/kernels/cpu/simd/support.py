"""Check that Python and Numba can compile the kernels; refuse others in one sentence."""

from __future__ import annotations

import importlib
import inspect
import platform
import sys
from typing import Any

from softxent.errors import InstallationError

__all__ = ["PARTS", "PYTHONS", "TESTED", "check_numba"]

PYTHONS = "3.11 to 3.15"
TESTED = "0.62.0 to 0.68.1"
# Parts of Numba that a later version may remove without notice: the module, the name, and the number of arguments of a
# call (None: it is not called, or only with Numba's own arguments).
PARTS = (
    ("numba.core.caching", "_Cache.load_overload", 3),
    ("numba.core.caching", "_Cache.save_overload", 3),
    ("numba.core.cgutils", "alloca_once_value", 2),
    ("numba.core.codegen", "JITCodeLibrary.__init__", 3),
    ("numba.core.codegen", "JITCodeLibrary._finalize_dynamic_globals", 1),
    ("numba.core.codegen", "JITCodeLibrary._finalize_final_module", 1),
    ("numba.core.codegen", "JITCodeLibrary._optimize_final_module", 1),
    ("numba.core.codegen", "JITCodeLibrary.get_pointer_to_function", 2),
    ("numba.core.codegen", "JITCPUCodegen.magic_tuple", 1),
    ("numba.core.compiler", "Compiler.__init__", 8),
    ("numba.core.compiler", "CompileResult._rebuild", None),
    ("numba.core.compiler", "CompileResult._reduce", 1),
    ("numba.core.compiler", "CompileResult.codegen", None),
    ("numba.core.dispatcher", "Dispatcher.enable_caching", 1),
    ("numba.core.registry", "cpu_target", None),
    ("numba.core.serialize", "dumps", 1),
    ("numba.core.typing.templates", "AbstractTemplate", None),
    ("numba.core.typing.templates", "infer_global", None),
    ("numba.core.typing.templates", "signature", None),
)
# The methods that softxent's own cache defines.
_CACHE = {"cache_path", "load_overload", "save_overload", "enable", "disable", "flush"}


def check_numba() -> None:
    """Refuse a Python without Numba or without the global lock, and a Numba without the parts that the kernels need.

    Raises:
        InstallationError: it names what is installed and what that lacks, and says what to do.
    """
    python = platform.python_version()
    try:
        import numba
    except ImportError as error:
        raise InstallationError(
            f"softxent's kernels are compiled by Numba, which cannot be imported in Python {python}: "
            f"{' '.join(str(error).split())}; install Numba ({TESTED} are tested) and a NumPy that it takes, in Python "
            f"{PYTHONS}"
        ) from error
    # Importing Numba may have enabled the lock.
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise InstallationError(
            f"softxent is not tested without Python's global lock, and this Python {python} runs without it: start it "
            "with PYTHON_GIL=1"
        )
    lacking = [f"{module}.{name}" for module, name, count in PARTS if not _fits(module, name, count)]
    if not lacking and not _CACHE >= sys.modules["numba.core.caching"]._Cache.__abstractmethods__:
        lacking = ["numba.core.caching._Cache"]
    if lacking:
        raise InstallationError(
            f"softxent's kernels are tested with Numba {TESTED}; found {numba.__version__}, where these are gone or "
            f"changed: {', '.join(lacking)}; install one of these versions, or a later softxent"
        )


def _fits(module: str, name: str, count: int | None) -> bool:
    try:
        part: Any = importlib.import_module(module)
        for attribute in name.split("."):
            part = getattr(part, attribute)
        if count is not None:
            inspect.signature(part).bind(*[None] * count)
    except (ImportError, AttributeError, TypeError):
        return False
    return True
