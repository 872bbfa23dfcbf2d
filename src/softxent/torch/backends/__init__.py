"""`backend` looks at modes and tensors and chooses one of three modules, which have the same functions (`Backend`).

`cpu` calls the kernels on the tensors' own memory (`tensors`), in PyTorch's threads (`threads`). `operations` uses
PyTorch's own operations, for devices without kernels. `recording` calls `operators`: a tracer sees them, and they
accept `distributed` tensors. softxent.torch.autograd differentiates the functions.
"""

from __future__ import annotations

from torch import Tensor

from softxent.torch.backends import cpu, operations, recording
from softxent.torch.backends.interface import Backend
from softxent.torch.modes import watched

__all__ = ["Backend", "backend"]


def backend(tensor: Tensor, *others: Tensor | None) -> Backend:
    """Return `recording` if a mode or a tensor's class must see the call, else `cpu` or `operations` by the device."""
    if watched(tensor, *others):
        return recording
    return cpu if tensor.is_cpu else operations
