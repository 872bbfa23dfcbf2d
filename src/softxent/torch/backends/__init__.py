"""What computes: `backend` chooses for some tensors one of three modules with the same functions (`Backend`).

`cpu` calls the kernels on the tensors' own memory (`tensors`), in PyTorch's threads (`threads`). `operations` are
PyTorch's own, for devices without kernels. `recording` calls `operators`, which a tracer sees, and which take tensors
that are `distributed`. How the functions are differentiated stands in softxent.torch.autograd.
"""

from __future__ import annotations

from torch import Tensor

from softxent.torch.backends import cpu, operations, recording
from softxent.torch.backends.interface import Backend
from softxent.torch.modes import watched

__all__ = ["Backend", "backend"]


def backend(tensor: Tensor, *others: Tensor | None) -> Backend:
    """Return what computes for tensors: operators, the kernels, or PyTorch's own operations."""
    if watched(tensor, *others):
        return recording
    return cpu if tensor.is_cpu else operations
