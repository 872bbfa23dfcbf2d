"""binary_cross_entropy_with_logits with PyTorch's signature."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import logsigmoid
from torch.overrides import handle_torch_function, has_torch_function_variadic

from softxent.errors import ShapeError
from softxent.options import check_reduction
from softxent.torch import cpu
from softxent.torch.arguments import floating, reduction_of, tensor
from softxent.torch.dispatch import applied, differentiates_forward, plain, recorded, traced, transforms, watched
from softxent.torch.expressions import for_sums, widened

__all__ = ["binary_cross_entropy_with_logits"]


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy of independent yes-or-no outputs.

    Let input x and target y have shape (…), w = weight, q = pos_weight:

        loss = w · (q y log(1 + exp(−x)) + (1 − y) log(1 + exp(x)))

    Args:
        input: logits of any shape; dtypes as cross_entropy.
        target: the probability of "yes", of input's shape.
        weight, pos_weight: broadcast to input's shape.
        size_average, reduce: PyTorch's old arguments, with its warning.
        reduction: "mean" over all elements, "sum" or "none".

    Returns:
        The loss: float64 for float64 logits, else float32; without dimensions, or for reduction="none" of input's
        shape. Differentiable to any order, in reverse and forward mode, with respect to every tensor.

    Raises:
        ShapeError: shapes do not fit. DTypeError: an argument is not floating. OptionError: an unknown reduction.

    >>> import torch, softxent.torch
    >>> logit, yes = torch.tensor([40.0], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64)
    >>> softxent.torch.binary_cross_entropy_with_logits(logit, yes).item()
    4.248354255291589e-18

    Equals torch.nn.functional.binary_cross_entropy_with_logits, but for the half precisions' loss dtype.
    """
    if has_torch_function_variadic(input, target, weight, pos_weight):
        return handle_torch_function(
            binary_cross_entropy_with_logits, (input, target, weight, pos_weight), input, target, weight=weight,
            size_average=size_average, reduce=reduce, reduction=reduction, pos_weight=pos_weight,
        )  # fmt: skip
    reduction = reduction_of(size_average, reduce, reduction)
    check_reduction(reduction)
    input, target = plain(floating("input", input)), plain(floating("target", target))
    weight, pos_weight = plain(weight), plain(pos_weight)
    if target.shape != input.shape:
        raise ShapeError(f"target must have input's shape {tuple(input.shape)}; got {tuple(target.shape)}")
    factors = [f for f in (weight, pos_weight) if f is not None]
    for name, factor in (("weight", weight), ("pos_weight", pos_weight)):
        if factor is not None and not _broadcasts(tensor(name, factor).shape, input.shape):
            raise ShapeError(f"{name} must broadcast to input's shape {tuple(input.shape)}; got {tuple(factor.shape)}")
    others = any(f.requires_grad for f in (target, *factors))
    seen = traced() or watched(input, target, *factors)
    if others or seen or transforms() or differentiates_forward() or not input.is_cpu:
        return _expression(input, target, weight, pos_weight, reduction)
    return applied(_BinaryLoss, input, target, weight, pos_weight, reduction)  # type: ignore[no-any-return]


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False))


def _times(t: Tensor, x: Tensor) -> Tensor:
    """t·x with 0·∞ = 0: what weighs nothing adds nothing."""
    return torch.where((t == 0.0) & torch.isinf(x), torch.zeros((), dtype=x.dtype, device=x.device), t * x)


def _written_log_sigmoid(x: Tensor) -> Tensor:
    """Log(sigmoid(x)) for ONNX, which has no such operator: PyTorch's exporter takes the logarithm of what may be 0."""
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
    @staticmethod
    def forward(x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: str) -> Tensor:
        return cpu.binary_loss(x, target, weight, pos_weight, reduction, want_grad=False)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.reduction = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        x, target, weight, pos_weight = ctx.saved_tensors
        if recorded(cotangent):
            further = torch.is_grad_enabled()
            with torch.enable_grad():
                loss = _expression(x, target, weight, pos_weight, ctx.reduction)
                return torch.autograd.grad(loss, x, cotangent, create_graph=further)[0], None, None, None, None
        # The cotangent is one more weight: every element is rounded once.
        if ctx.reduction == "mean":
            cotangent = cotangent.double() / max(x.numel(), 1)
        scale = cotangent.expand(x.shape) if weight is None else cotangent * weight
        gradient = cpu.binary_loss(x, target, scale, pos_weight, "sum", want_grad=True)[1]
        return gradient, None, None, None, None
