"""The backend that calls the operators, for calls in which PyTorch must see them.

It is used in a mode that sees every operator (fake tensors, a recording proxy, a count of FLOPs), and for tensors whose
class implements operators itself (FakeTensor, DTensor, the compiler's own). Such tensors have no memory to compute on,
or the mode would miss the computation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.options import LossOptions
from softxent.torch.backends import operators
from softxent.torch.backends.distributed import admit
from softxent.torch.backends.operations import softmax_vjp  # a few of PyTorch's operations, which a compiler fuses
from softxent.torch.formulas import hessian_product, widened

__all__ = [
    "below_autograd",
    "linear_loss",
    "log_softmax",
    "logsumexp",
    "loss",
    "loss_gradient",
    "loss_product",
    "softmax",
    "softmax_vjp",
]


def _modifiers(options: LossOptions) -> tuple[Any, ...]:
    o = options
    return o.ignore_index, o.label_smoothing, o.z_loss, o.softcap, o.temperature, o.reduction


def below_autograd(operator: Any, *arguments: Any) -> Any:
    """Return operator(*arguments), hidden from autograd, whose function is already recording this call."""
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*arguments)


def softmax(x: Tensor, dim: int) -> Tensor:
    """Return softmax along dim."""
    admit(x, dim)
    return below_autograd(operators.softmax, x, dim)  # type: ignore[no-any-return]


def log_softmax(x: Tensor, dim: int) -> Tensor:
    """Return log-softmax along dim."""
    admit(x, dim)
    return below_autograd(operators.log_softmax, x, dim)  # type: ignore[no-any-return]


def logsumexp(x: Tensor, dim: int) -> Tensor:
    """Return logsumexp along dim, which is removed."""
    admit(x, dim)
    return below_autograd(operators.logsumexp, x, dim)  # type: ignore[no-any-return]


def loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    dim: int,
    want_grad: bool,
    overwrite: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return the loss, and no gradient: a gradient is recorded only if the backward pass asks for it."""
    admit(logits, dim)
    arguments = logits, target, weight, dim, *_modifiers(options)
    return below_autograd(operators.cross_entropy, *arguments), None


def loss_gradient(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, cotangent: Tensor
) -> Tensor:
    """Return the gradient times the cotangent of the loss, a scalar or one for each row."""
    arguments = logits, target, weight, cotangent, dim, *_modifiers(options)
    return below_autograd(operators.cross_entropy_gradient, *arguments)  # type: ignore[no-any-return]


def loss_product(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, tangent: Tensor
) -> Tensor:
    """Return the Hessian of the loss (of the rows' losses) times a tangent of the logits' shape."""
    one = torch.ones((), dtype=widened(logits).dtype, device=logits.device)
    return hessian_product(logits, target, weight, options, dim, one, tangent, softmax, logsumexp)


def linear_loss(
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    wants: tuple[bool, bool, bool],
    cotangent: Tensor | None = None,
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the loss of a linear layer's outputs, and the gradients of x, weight and bias that are wanted."""
    tensors = x, linear_weight, linear_bias, target, weight
    if not any(wants):
        return below_autograd(operators.linear_cross_entropy, *tensors, *_modifiers(options)), [None] * 3
    value, *found = below_autograd(
        operators.linear_cross_entropy_gradients, *tensors, cotangent, *wants, *_modifiers(options)
    )
    return value, [g if want else None for g, want in zip(found, wants, strict=True)]
