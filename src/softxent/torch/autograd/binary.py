"""The binary loss as an autograd function, and as an expression that PyTorch differentiates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import logsigmoid

from softxent.torch.backends import cpu
from softxent.torch.formulas import for_sums, widened
from softxent.torch.modes import applied, differentiates_forward, recorded, traced, transforms, watched

__all__ = ["binary_loss_of"]


def binary_loss_of(
    x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: str
) -> Tensor:
    """Return the loss: by the kernels on a CPU, if only x is differentiated, and only backward; else an expression."""
    others = [t for t in (target, weight, pos_weight) if t is not None]
    if (
        any(t.requires_grad for t in others)
        or traced()
        or watched(x, *others)
        or transforms()
        or differentiates_forward()
        or not x.is_cpu
    ):
        return _expression(x, target, weight, pos_weight, reduction)
    wanted = x.requires_grad and torch.is_grad_enabled() and reduction != "none"
    return applied(_BinaryLoss, x, target, weight, pos_weight, reduction, wanted)  # type: ignore[no-any-return]


def _times(t: Tensor, x: Tensor) -> Tensor:
    """Return t·x with 0·∞ = 0: a weight of 0 adds 0."""
    return torch.where((t == 0.0) & torch.isinf(x), torch.zeros((), dtype=x.dtype, device=x.device), t * x)


def _written_log_sigmoid(x: Tensor) -> Tensor:
    """Return log(sigmoid(x)) for ONNX, which has no such operator: PyTorch's exporter would take the log of 0."""
    return torch.minimum(x, torch.zeros_like(x)) - torch.log1p(torch.exp(-x.abs()))


def _expression(x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: str) -> Tensor:
    """Return the loss in PyTorch's operations, differentiable to any order with respect to everything."""
    x, y = widened(x), widened(target)
    yes = y if pos_weight is None else y * pos_weight
    log_sigmoid = _written_log_sigmoid if traced() and torch.onnx.is_in_onnx_export() else logsigmoid
    losses = -(_times(yes, log_sigmoid(x)) + _times(1.0 - y, log_sigmoid(-x)))
    if weight is not None:
        losses = losses * weight
    if reduction == "none":
        return losses
    wide = for_sums(losses)
    return (wide.mean() if reduction == "mean" else wide.sum()).to(losses.dtype)


class _BinaryLoss(Function):
    """The gradient is computed with the loss, and kept for a first backward pass whose cotangent is 1."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        target: Tensor,
        weight: Tensor | None,
        pos_weight: Tensor | None,
        reduction: str,
        wanted: bool,
    ) -> Tensor:
        loss, ctx.gradient = cpu.binary_loss(x, target, weight, pos_weight, reduction, want_grad=wanted)
        ctx.reduction = reduction
        ctx.save_for_backward(x, target, weight, pos_weight)
        return loss

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        nothing = (None,) * 5
        gradient, ctx.gradient = ctx.gradient, None
        one = ctx.reduction != "none" and not recorded(cotangent) and cotangent.item() == 1.0
        if one and gradient is not None:
            return gradient, *nothing
        del gradient
        x, target, weight, pos_weight = ctx.saved_tensors
        if recorded(cotangent):
            further = torch.is_grad_enabled()
            with torch.enable_grad():
                loss = _expression(x, target, weight, pos_weight, ctx.reduction)
                return torch.autograd.grad(loss, x, cotangent, create_graph=further)[0], *nothing
        reduction = ctx.reduction
        if not one:
            # The cotangent is used as one more weight, so every element is rounded once.
            if reduction == "mean":
                cotangent = cotangent.double() / max(x.numel(), 1)
            weight = cotangent.expand(x.shape) if weight is None else cotangent * weight
            reduction = "sum"
        gradient = cpu.binary_loss(x, target, weight, pos_weight, reduction, want_grad=True)[1]
        return gradient, *nothing
