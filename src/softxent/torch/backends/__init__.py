"""The backends: `backend` chooses one of three modules with the same functions (`Backend`), by the tensors.

`cpu` calls the kernels on the tensors' own memory (`tensors`), in PyTorch's threads (`threads`). `operations` uses
PyTorch's own operations, for devices without kernels. `recording` calls `operators`, which a tracer can see, and which
accept `distributed` tensors. softxent.torch.autograd differentiates the functions.
"""

from __future__ import annotations

from torch import Tensor

from softxent.torch.backends import cpu, operations, recording
from softxent.torch.backends.interface import Backend
from softxent.torch.modes import watched

__all__ = ["Backend", "backend"]


def backend(tensor: Tensor, *others: Tensor | None) -> Backend:
    """Return the backend for tensors: operators, the kernels, or PyTorch's own operations."""
    if watched(tensor, *others):
        return recording
    return cpu if tensor.is_cpu else operations
