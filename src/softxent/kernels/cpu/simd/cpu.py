"""The features of the CPU for which kernels are compiled."""

from __future__ import annotations

import functools

from numba.core.registry import cpu_target

__all__ = ["features"]


@functools.cache
def features() -> frozenset[str]:
    """LLVM's names of the CPU's instruction sets, such as avx2."""
    _, _, names = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(name[1:] for name in names.split(",") if name.startswith("+"))
