"""Cross-entropy and its gradient as autograd functions.

With L the loss, G = ∂L/∂z and H = ∂G/∂z (closed forms: softxent.kernels.cpu), c the cotangent of the loss (a scalar, or
one for each row), t and c' tangents of the logits and of c, v a cotangent of the gradient c G:

    L:      backward c G,                 forward ⟨G, t⟩
    c G:    backward c H v and ⟨G, v⟩,    forward c H t + c' G

The gradient is computed with the loss, in one visit of the logits, and kept. The first backward pass returns that
array; a second one (retain_graph) computes the gradient again, so no two callers share an array. A pass that is itself
differentiated computes it again as a function of the logits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from softxent.errors import GradientError, OptionError
from softxent.options import LossOptions, loss_options
from softxent.torch.autograd.expressions import loss_expression, product_expression
from softxent.torch.backends import backend, cpu, operators
from softxent.torch.backends.distributed import is_distributed
from softxent.torch.backends.operators import derive
from softxent.torch.backends.tensors import alive
from softxent.torch.formulas import for_sums, reduced, widened, without_ignored
from softxent.torch.modes import (
    applied,
    differentiates_forward,
    is_batch_of_gradients,
    is_differentiated,
    nests_forward,
    recorded,
    traced,
    transforms,
    watched,
)

__all__ = ["begin_loss", "checked_labels", "logits_gradient", "loss_of"]

_HALF = (torch.float16, torch.bfloat16)


def loss_of(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, overwrites: bool = False
) -> Tensor:
    """Return the loss of logits along dim (at least 0); overwrites: the gradient may take the logits' memory."""
    if overwrites:
        _check_overwriting(logits, target)
    indices = target.dtype is torch.int64  # the usual case: skips the tests for probabilities
    if (
        (not indices and target.is_floating_point() and is_differentiated(target))
        or (weight is not None and is_differentiated(weight))
        or nests_forward()
    ):
        target = checked_labels(target, logits.shape[dim], options)
        return loss_expression(logits, target, weight, options, dim)
    if transforms() or is_distributed(logits):
        # Batched calls and rows spread over processes need one loss per row. PyTorch reduces these itself, and
        # differentiates that.
        losses = _BatchedLoss.apply(logits, target, weight, _rowwise(options), dim)
        return reduced(losses, target, weight, options)
    wanted = logits.requires_grad and torch.is_grad_enabled()
    how = options, dim, wanted, overwrites and wanted  # one tuple, because each argument costs 60 ns
    return _apply_loss(logits, target, weight, how)  # type: ignore[no-any-return]


def _check_overwriting(logits: Tensor, target: Tensor) -> None:
    """Refuse calls for which the gradient cannot take the logits' memory."""
    if transforms() or differentiates_forward() or target.requires_grad:
        raise OptionError(
            "inplace=True is for one backward pass with respect to the logits alone: leave it out in torch.func, "
            "in forward mode, and where target requires a gradient"
        )
    if not (logits.requires_grad and torch.is_grad_enabled()):
        return  # there is no gradient to write
    whole = logits if logits._base is None else logits._base
    if whole.is_leaf:
        raise OptionError("inplace=True would overwrite a leaf that requires a gradient: a parameter of yours")
    if whole.numel() != logits.numel():
        raise OptionError(
            f"inplace=True would overwrite a part of a tensor of shape {tuple(whole.shape)}, which input of shape "
            f"{tuple(logits.shape)} is a view of: leave it out, or use input.clone()"
        )
    if not logits.is_contiguous():
        raise OptionError("inplace=True needs contiguous logits; leave it out, or use input.contiguous()")


def checked_labels(target: Tensor, num_classes: int, options: LossOptions) -> Tensor:
    """Return the labels of an expression after checking them.

    An expression calls no kernel that checks labels, so they are checked here, on a CPU. On a device the check would
    have to wait for it, and traced or watched labels cannot be read: there a label that is no class gives NaN.
    """
    if target.is_floating_point() or not target.is_cpu or traced() or watched(target):
        return target
    return applied(_CheckedLabels, target, num_classes, options.ignore_index)  # type: ignore[no-any-return]


class _CheckedLabels(Function):
    @staticmethod
    def forward(target: Tensor, num_classes: int, ignore_index: int) -> Tensor:
        cpu.check_labels(target, num_classes, ignore_index)
        return target.view_as(target)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], target: Tensor, num_classes: int, ignore_index: int) -> Any:
        return _CheckedLabels.apply(target, num_classes, ignore_index), in_dims[0]


@derive(operators.cross_entropy)
def _(logits: Tensor, target: Tensor, weight: Tensor | None, dim: int, *modifiers: Any) -> Tensor:
    return loss_of(logits, target, weight, loss_options(None, *modifiers), dim).contiguous()


@derive(operators.cross_entropy_gradient)
def _(
    logits: Tensor, target: Tensor, weight: Tensor | None, cotangent: Tensor, dim: int, *modifiers: Any
) -> Tensor:  # fmt: skip
    options = loss_options(None, *modifiers)
    if is_differentiated(target) or is_differentiated(weight):
        pull = torch.func.vjp(lambda z: loss_expression(z, target, weight, options, dim), logits)[1]
        return pull(cotangent)[0].contiguous()  # type: ignore[no-any-return]
    return applied(_LossGradient, logits, target, weight, cotangent, options, dim).contiguous()  # type: ignore[no-any-return]


def _rowwise(options: LossOptions) -> LossOptions:
    from dataclasses import replace

    return replace(options, reduction="none")


def _gradient(logits: Tensor, target: Tensor, weight: Tensor | None, cotangent: Tensor, ctx: Any) -> Tensor:
    """Return the gradient as a function that PyTorch can differentiate."""
    return applied(_LossGradient, logits, target, weight, cotangent, ctx.options, ctx.dim)  # type: ignore[no-any-return]


def _spread(cotangent: Tensor, dim: int) -> Tensor:
    """Return a cotangent, a scalar or one number for each row, so that it broadcasts to the logits."""
    return cotangent if not cotangent.ndim else cotangent.unsqueeze(dim)


def _is_harmless(cotangent: Tensor, dtype: torch.dtype) -> bool:
    """Whether the finished gradient times the cotangent is as accurate as a gradient computed with it.

    Not in half precision, where it would be rounded twice; and not with factors above 1, which would magnify roundings
    in the subnormal range.
    """
    if dtype in _HALF:
        return False
    # On a device, reading the cotangent would wait for it, and the product is accurate enough.
    return not cotangent.is_cpu or bool((cotangent.abs() <= 1.0).all())


def _underflows(gradient: Tensor, cotangent: Tensor) -> bool:
    """Whether the cotangent would magnify rounding errors: below 6e-5, float16 has few digits."""
    return gradient.dtype is torch.float16 and not bool((cotangent.abs() <= 1.0).all())


def _taken(ctx: Any) -> Tensor | None:
    """Return the gradient that was computed with the loss, if it is still there, and forget it."""
    gradient: Tensor | None = ctx.gradient
    ctx.gradient = None
    return gradient


def logits_gradient(ctx: Any, cotangent: Tensor) -> Tensor:
    """Return the gradient with respect to the logits: the one that was kept, or a new one."""
    if ctx.overwrites:
        return _overwritten(ctx, cotangent)
    if not recorded(cotangent):
        kept = _taken(ctx)
        if kept is not None and _is_harmless(cotangent, kept.dtype):
            return kept.mul_(_spread(cotangent, ctx.dim))
        try:
            logits, target, weight = ctx.saved_tensors
        except RuntimeError as error:
            # The inputs were changed after the forward pass. If it is accurate enough, use the gradient kept from then;
            # it is rounded once more.
            if kept is None or "modified by an inplace operation" not in str(error) or _underflows(kept, cotangent):
                raise
            return kept.mul_(_spread(cotangent, ctx.dim))
        del kept  # so that the next gradient can use its memory
        compute = backend(logits, target, weight).loss_gradient
        return compute(logits, target, weight, ctx.options, ctx.dim, cotangent)
    logits, target, weight = ctx.saved_tensors
    if is_batch_of_gradients(cotangent):
        one = torch.ones(cotangent.shape, dtype=cotangent.dtype, device=cotangent.device)
        gradients = _gradient(logits, target, weight, one, ctx) * _spread(cotangent, ctx.dim)
        return without_ignored(gradients, target, ctx.options, ctx.dim)  # a mean over no rows has cotangent inf
    return _gradient(logits, target, weight, cotangent, ctx)


def begin_loss(
    ctx: Any, logits: Tensor, target: Tensor, weight: Tensor | None, how: tuple[LossOptions, int, bool, bool]
) -> Tensor:
    """Return the loss, and save in ctx what logits_gradient needs.

    how: (options, dim, wanted, overwrites). wanted: whether the gradient is computed with the loss, and kept as
    ctx.gradient until a backward pass returns it; overwrites: whether it takes the logits' memory.
    """
    options, dim, wanted, overwrites = how
    compute = backend(logits, target, weight).loss
    value, ctx.gradient = compute(logits, target, weight, options, dim, wanted, overwrites)
    ctx.options, ctx.dim, ctx.overwrites = options, dim, overwrites and ctx.gradient is not None
    if ctx.overwrites:
        torch.autograd.graph.increment_version(logits)
    else:
        ctx.save_for_backward(logits, target, weight)
        if differentiates_forward():
            ctx.save_for_forward(logits, target, weight)
    return value


class _Loss(Function):
    """The loss for plain backward passes and forward mode.

    It uses forward(ctx, …), because setup_context makes each call slower.
    """

    forward = staticmethod(begin_loss)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        # The usual pass: the first one, of a scalar loss, with a cotangent of 1.
        gradient = ctx.gradient
        if (
            gradient is not None
            and cotangent.is_cpu
            and not cotangent.ndim
            and not recorded(cotangent)
            and cotangent.item() == 1.0
        ):
            ctx.gradient = None
            return gradient, None, None, None
        del gradient  # logits_gradient may free the kept gradient, so no other reference may remain
        return logits_gradient(ctx, cotangent), None, None, None

    @staticmethod
    def jvp(ctx: Any, t: Tensor | None, *_: Any) -> Any:
        logits, target, weight = ctx.saved_tensors
        wide = torch.float64 if logits.dtype is torch.float64 else torch.float32
        rows = logits.shape[: ctx.dim] + logits.shape[ctx.dim + 1 :]
        one = torch.ones(rows, dtype=wide, device=logits.device)
        if t is None:
            losses = torch.zeros_like(one)
        else:
            gradient = applied(_LossGradient, logits, target, weight, one, _rowwise(ctx.options), ctx.dim)
            losses = (for_sums(gradient) * for_sums(t)).sum(ctx.dim)  # in float64, because the terms cancel
        # The tangent of a mean over no rows is 0/0, like the mean itself.
        return reduced(losses, target, weight, ctx.options).to(wide)


# Does what softxent.torch.modes.applied does; looked up once.
_apply_loss = super(Function, _Loss).apply


class _BatchedLoss(Function):
    """The rows' losses for torch.func, which differentiates and batches them, and for DTensors."""

    @staticmethod
    def forward(logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int) -> Tensor:
        return backend(logits, target, weight).loss(logits, target, weight, options, dim, False)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        logits, target, weight, ctx.options, ctx.dim = inputs
        ctx.save_for_backward(logits, target, weight)
        ctx.save_for_forward(logits, target, weight)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        logits, target, weight = alive(*ctx.saved_tensors)
        return _gradient(logits, target, weight, cotangent, ctx), None, None, None, None

    jvp = _Loss.jvp

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> Any:
        logits, target, weight, options, dim = arguments
        if in_dims[2] is not None:
            return _one_by_one(_BatchedLoss, info.batch_size, in_dims, arguments)
        logits, target = _batched(info, in_dims, logits, target)
        return _BatchedLoss.apply(logits, target, weight, options, dim + 1), 0


class _LossGradient(Function):
    @staticmethod
    def forward(
        logits: Tensor, target: Tensor, weight: Tensor | None, cotangent: Tensor, options: LossOptions, dim: int
    ) -> Tensor:
        return backend(logits, target, weight).loss_gradient(logits, target, weight, options, dim, cotangent)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        logits, target, weight, cotangent, ctx.options, ctx.dim = inputs
        ctx.save_for_backward(logits, target, weight, cotangent)
        ctx.save_for_forward(logits, target, weight, cotangent)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        logits, target, weight, cotangent = alive(*ctx.saved_tensors)
        for_logits = for_cotangent = None
        if ctx.needs_input_grad[0]:
            for_logits = _curvature(logits, target, weight, cotangent, ctx.options, ctx.dim, v)
        if ctx.needs_input_grad[3]:
            for_cotangent = _along(logits, target, weight, cotangent, ctx, v)
        return for_logits, None, None, for_cotangent, None, None

    @staticmethod
    def jvp(ctx: Any, t: Tensor | None, _target: Any, _weight: Any, c: Tensor | None, *_: Any) -> Any:
        logits, target, weight, cotangent = ctx.saved_tensors
        result = torch.zeros_like(logits)
        if t is not None:
            result = result + _curvature(logits, target, weight, cotangent, ctx.options, ctx.dim, t)
        if c is not None:
            result = result + _gradient(logits, target, weight, c, ctx)
        return result

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> Any:
        logits, target, weight, cotangent, options, dim = arguments
        if in_dims[2] is not None or options.reduction != "none":
            return _one_by_one(_LossGradient, info.batch_size, in_dims, arguments)
        cotangent = _with_batch(cotangent, in_dims[3], info.batch_size)
        logits, target = _batched(info, in_dims, logits, target)
        return _LossGradient.apply(logits, target, weight, cotangent, options, dim + 1), 0


def _along(logits: Tensor, target: Tensor, weight: Tensor | None, cotangent: Tensor, ctx: Any, v: Tensor) -> Tensor:
    """Return ⟨G, v⟩ of the loss, or of each row, in the shape of the cotangent."""
    terms = for_sums(_gradient(logits, target, weight, torch.ones_like(cotangent), ctx)) * for_sums(v)
    return (terms.sum(ctx.dim) if ctx.options.reduction == "none" else terms.sum()).to(cotangent.dtype)


def _curvature(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    cotangent: Tensor,
    options: LossOptions,
    dim: int,
    v: Tensor,
) -> Tensor:
    """Return c H v: by the kernels, or as an expression if it is differentiated once more."""
    if recorded(v) or is_batch_of_gradients(cotangent):
        return product_expression(logits, target, weight, options, dim, cotangent, v)
    product = backend(logits, target, weight).loss_product(logits, target, weight, options, dim, v)
    factor = _spread(cotangent, dim)
    return (widened(product) * factor).to(logits.dtype)


def _overwritten(ctx: Any, cotangent: Tensor) -> Tensor:
    """Return the gradient that has replaced the logits, times the cotangent."""
    if ctx.gradient is None:
        raise GradientError(
            "with inplace=True the gradient replaced the logits, and the first backward pass used it up; "
            "for a second one leave inplace=True out"
        )
    if torch.is_grad_enabled():
        raise GradientError("with inplace=True the logits are gone: for create_graph=True leave inplace=True out")
    gradient, ctx.gradient = ctx.gradient, None
    return gradient.mul_(_spread(cotangent, ctx.dim))  # type: ignore[no-any-return]


def _with_batch(tensor: Tensor, in_dim: int | None, size: int) -> Tensor:
    return tensor.unsqueeze(0).expand(size, *tensor.shape) if in_dim is None else tensor.movedim(in_dim, 0)


def _batched(info: Any, in_dims: tuple[Any, ...], *tensors: Tensor) -> list[Tensor]:
    """Return tensors with the batch in front; one without a batch is expanded."""
    return [_with_batch(t, d, info.batch_size) for t, d in zip(tensors, in_dims, strict=False)]


def _one_by_one(function: type[Function], size: int, in_dims: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
    """Return the stacked results of a batch of calls that cannot be made as one call."""
    results = [
        function.apply(*[a if d is None else a.select(d, i) for a, d in zip(arguments, in_dims, strict=True)])
        for i in range(size)
    ]
    return torch.stack(results), 0
