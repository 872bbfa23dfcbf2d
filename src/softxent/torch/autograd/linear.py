"""The cross-entropy of a linear layer's outputs as an autograd function: the logits are never in memory as a whole.

Z = x Wᵀ + b is computed in chunks of rows, and G = ∂loss/∂Z replaces it: ∂x = G W, ∂W = Gᵀ x, ∂b = Σ G. For a sum or a
mean these gradients are computed with the loss, three products per chunk, and kept. The first backward pass multiplies
them by its cotangent in place and returns them. Another pass (retain_graph) computes them again from the inputs; so
does reduction="none", because every row has its own cotangent.

If PyTorch must differentiate the derivative too (create_graph, torch.func, forward mode), the loss is an expression:
PyTorch's own product computes the chunks' logits, and its graph keeps them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.autograd import Function

from softxent.options import LossOptions, loss_options
from softxent.torch.autograd.expressions import loss_expression
from softxent.torch.autograd.loss import checked_labels, loss_of
from softxent.torch.autograd.softmax import lse_of
from softxent.torch.backends import backend, operators, recording
from softxent.torch.backends.distributed import check_alike, is_distributed
from softxent.torch.backends.operators import derive
from softxent.torch.formulas import reduced, without_ignored
from softxent.torch.modes import (
    applied,
    differentiates_forward,
    in_pytorchs_operations,
    is_differentiated,
    is_one,
    recorded,
    traced,
    transforms,
    watched,
)

__all__ = ["linear_loss_of", "linear_lse_of"]


class _Kept:
    __slots__ = ("gradients",)

    def __init__(self) -> None:
        self.gradients: list[Tensor | None] | None = None

    def take(self) -> list[Tensor | None] | None:
        gradients, self.gradients = self.gradients, None
        return gradients


def linear_loss_of(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    options: LossOptions,
) -> Tensor:  # fmt: skip
    """Return the loss of x @ linear_weight.T + linear_bias, x: (N, D)."""
    check_alike(x, linear_weight)
    if (
        is_differentiated(target)
        or is_differentiated(weight)
        or transforms()
        or differentiates_forward()
        or is_distributed(x)
        or (traced() and in_pytorchs_operations())
    ):
        return _expression(x, linear_weight, linear_bias, target, weight, options)
    wants = tuple(
        torch.is_grad_enabled() and t is not None and t.requires_grad for t in (x, linear_weight, linear_bias)
    )
    return applied(  # type: ignore[no-any-return]
        _LinearLoss, x, linear_weight, linear_bias, target, weight, options, wants, _Kept()
    )


@derive(operators.linear_cross_entropy)
def _(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    *modifiers: Any,
) -> Tensor:  # fmt: skip
    return linear_loss_of(x, linear_weight, linear_bias, target, weight, loss_options(None, *modifiers))


@derive(operators.linear_cross_entropy_gradients)
def _(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    cotangent: Tensor | None, want_x: bool, want_weight: bool, want_bias: bool, *modifiers: Any,
) -> Any:  # fmt: skip
    tensors = (x, linear_weight, linear_bias, target, weight, cotangent)
    differentiates = torch.is_grad_enabled() and any(map(is_differentiated, tensors))
    if not (differentiates or differentiates_forward() or transforms()):
        return recording.below_autograd(
            operators.linear_cross_entropy_gradients, *tensors, want_x, want_weight, want_bias, *modifiers
        )
    layer: tuple[Tensor, ...] = (x, linear_weight) if linear_bias is None else (x, linear_weight, linear_bias)

    def loss(x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None = None) -> Tensor:
        return _expression(x, linear_weight, linear_bias, target, weight, loss_options(None, *modifiers))

    differentiated: Any = torch.func.vjp(loss, *layer)
    value, pull = differentiated
    found = pull(torch.ones_like(value) if cotangent is None else cotangent)
    wanted = zip((*found, None)[:3], (want_x, want_weight, want_bias), strict=True)
    return value, *(g.to(value.dtype) if want and g is not None else value.new_empty(0) for g, want in wanted)


def _chunks(x: Tensor, linear_weight: Tensor) -> list[slice]:
    from softxent.kernels.cpu.matmul.linear import rows_per_chunk

    step = rows_per_chunk(max(linear_weight.shape[0], 1), 4)
    # One chunk is not cut, nor is a traced call: a graph recorded with few rows must be right with more.
    if x.shape[0] <= step or (traced() and in_pytorchs_operations()):
        return [slice(None)]
    return [slice(start, start + step) for start in range(0, x.shape[0], step)]


def _logits(x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> Tensor:
    dtype = torch.promote_types(x.dtype, linear_weight.dtype)
    bias = None if linear_bias is None else linear_bias.to(dtype)
    return torch.nn.functional.linear(x.to(dtype), linear_weight.to(dtype), bias)


def _expression(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    options: LossOptions,
) -> Tensor:  # fmt: skip
    """Return the loss as an expression that PyTorch differentiates to any order."""
    rowwise = replace(options, reduction="none")
    target = checked_labels(target, linear_weight.shape[0], options)
    x = without_ignored(x, target, options)
    compute = loss_expression if traced() and in_pytorchs_operations() else loss_of
    parts = []
    for chunk in _chunks(x, linear_weight):
        z = _logits(x[chunk], linear_weight, linear_bias)
        parts.append(compute(z, target[chunk], weight, rowwise, 1))
    return reduced(torch.cat(parts), target, weight, options)


def linear_lse_of(x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, options: LossOptions) -> Tensor:
    """Return logsumexp of every row's logits, in chunks."""

    def lse(rows: Tensor) -> Tensor:
        return lse_of(_logits(rows, linear_weight, linear_bias), 1, options)

    chunks = _chunks(x, linear_weight)
    if len(chunks) == 1 or transforms() or differentiates_forward():
        return torch.cat([lse(x[chunk]) for chunk in chunks])
    # A chunk's logits are not kept; its gradient computes them again.
    again = torch.utils.checkpoint.checkpoint
    return torch.cat([again(lse, x[chunk], use_reentrant=False) for chunk in chunks])


class _LinearLoss(Function):
    @staticmethod
    def forward(
        x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
        options: LossOptions, wants: tuple[bool, bool, bool], kept: _Kept,
    ) -> Tensor:  # fmt: skip
        compute = backend(x, linear_weight, linear_bias, target, weight).linear_loss
        if options.reduction == "none" or not any(wants):
            return compute(x, linear_weight, linear_bias, target, weight, options, (False, False, False))[0]
        value: Tensor
        value, kept.gradients = compute(x, linear_weight, linear_bias, target, weight, options, wants)
        return value

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.options, ctx.wants, ctx.kept = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        nothing = (None,) * 5
        x, linear_weight, linear_bias, target, weight = ctx.saved_tensors
        inputs = (x, linear_weight, linear_bias)
        if recorded(cotangent):
            wanted = [t for t, want in zip(inputs, ctx.wants, strict=True) if want]
            further = torch.is_grad_enabled()
            with torch.enable_grad():
                again = _expression(x, linear_weight, linear_bias, target, weight, ctx.options)
                found = iter(torch.autograd.grad(again, wanted, cotangent, create_graph=further))
            return *(next(found) if want else None for want in ctx.wants), *nothing
        gradients = ctx.kept.take()
        if gradients is None:
            compute = backend(x, linear_weight, linear_bias, target, weight).linear_loss
            gradients = compute(x, linear_weight, linear_bias, target, weight, ctx.options, ctx.wants, cotangent)[1]
        elif not is_one(cotangent):
            # A recorded graph could not be differentiated if it wrote to its own results.
            times = torch.mul if watched(cotangent) else Tensor.mul_
            gradients = [None if g is None else times(g, cotangent) for g in gradients]
        # Half precision is rounded once, after the product with the cotangent.
        rounded = [None if g is None else g.to(t.dtype) for g, t in zip(gradients, inputs, strict=True)]
        return *rounded, *nothing
