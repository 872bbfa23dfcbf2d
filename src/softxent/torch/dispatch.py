"""Which code computes for a tensor, and in which of PyTorch's modes a call is."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

from softxent.torch import composite, cpu

__all__ = [
    "applied",
    "backend",
    "differentiates_forward",
    "is_batch_of_gradients",
    "is_differentiated",
    "recorded",
    "traced",
    "transforms",
]

# Whether torch.func's grad, vmap, jvp … are at work.
transforms = torch._C._are_functorch_transforms_active
# Whether a tensor stands for a batch of cotangents: torch.autograd.grad with is_grads_batched=True.
is_batch_of_gradients = torch._C._functorch.is_legacy_batchedtensor


def backend(tensor: Tensor) -> ModuleType:
    """Return the module whose functions compute for a tensor: the kernels, or PyTorch's own operations."""
    return cpu if tensor.is_cpu else composite


def differentiates_forward() -> bool:
    """Whether forward-mode differentiation is at work: inputs may carry tangents."""
    return forward_ad._current_level >= 0


def is_differentiated(tensor: Tensor | None) -> bool:
    """Whether a derivative with respect to a tensor may be wanted: it requires one, or carries a tangent or a level."""
    if tensor is None:
        return False
    if (tensor.requires_grad and torch.is_grad_enabled()) or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return True
    return differentiates_forward() and forward_ad.unpack_dual(tensor).tangent is not None


def recorded(cotangent: Tensor) -> bool:
    """Whether what is computed from a cotangent is itself differentiated (create_graph), or one of a batch."""
    return torch.is_grad_enabled() or transforms() or is_batch_of_gradients(cotangent)


def traced(tensor: Tensor) -> bool:
    """Whether a call is recorded and not computed: torch.compile, torch.export, fake tensors."""
    return torch.compiler.is_compiling() or type(tensor) not in (Tensor, torch.nn.Parameter)


def applied(function: type[Function], *arguments: Any) -> Any:
    """Return function.apply(*arguments), without the signature that apply looks up at every call where it may.

    Function.apply binds default arguments by inspect.signature, which takes longer than a small loss.
    """
    if transforms():
        return function.apply(*arguments)
    return super(Function, function).apply(*arguments)  # type: ignore[misc]  # as Function.apply does itself
