"""linear_cross_entropy with PyTorch's signature, and what softxent adds to it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from softxent.errors import ShapeError
from softxent.options import LossOptions, loss_options
from softxent.torch.arguments import check_devices, check_target, floating, labels_of, modifiers_of, tensor
from softxent.torch.autograd.linear import linear_loss_of, linear_lse_of
from softxent.torch.autograd.loss import checked_labels
from softxent.torch.backends import operators
from softxent.torch.formulas import total_weight
from softxent.torch.modes import in_pytorchs_operations, plain, traced

__all__ = ["linear_cross_entropy"]


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    return_lse: bool = False,
) -> Any:
    r"""The cross-entropy of a linear layer's outputs, whose logits are never in memory as a whole.

    Let input x have shape (N, D) or (D,), linear_weight W (C, D), linear_bias b (C,):

        loss = cross_entropy(x Wᵀ + b, target, …)

    in chunks of rows, whose size depends on the shapes alone (104 MB of logits). The gradients ∂x = G W, ∂W = Gᵀ x and
    ∂b = Σ G are computed with the loss, accumulated in float32 or float64 and rounded once.

    Args:
        input: the layer's input.
        linear_weight: the layer's matrix; or (C, d1, …, D) for a loss of (N, d1, …) labels.
        target: class indices (N,), or (N, d1, …), or probabilities (N, C), or (N, C, d1, …).
        linear_bias: (C,) or (C, d1, …), or None.
        weight: (C,) class weights.
        reduction, label_smoothing, z_loss, softcap, temperature: as cross_entropy, all of them together.
        ignore_index: as cross_entropy; None is −100. Ignored rows take no part in any product.
        options: PyTorch's LinearCrossEntropyOptions; accepted without effect: every call is computed exactly, in
            chunks, and can be differentiated again.
        return_lse: return (loss, logsumexp of every row's logits), both differentiable; costs one more product.

    Returns:
        As cross_entropy. If a derivative is differentiated again (create_graph=True, torch.func, forward mode), the
        chunks' logits stay in memory.

    Raises:
        As cross_entropy.

    >>> import torch, softxent.torch
    >>> x, table = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 2.0], [1.0, 1.0], [1.0, 0.0]])
    >>> loss = softxent.torch.linear_cross_entropy(x, table, torch.tensor([0]))
    >>> torch.equal(loss, softxent.torch.cross_entropy(x @ table.T, torch.tensor([0])))
    True

    Source: the chunks of Hsu et al., "Liger Kernel" (2024). Equals torch.nn.functional.linear_cross_entropy of PyTorch
    2.13, whose chunked way has neither double backward nor forward mode.
    """
    if has_torch_function_variadic(input, linear_weight, target, linear_bias, weight):
        return handle_torch_function(
            linear_cross_entropy, (input, linear_weight, target, linear_bias, weight), input, linear_weight, target,
            linear_bias=linear_bias, weight=weight, reduction=reduction, ignore_index=ignore_index,
            label_smoothing=label_smoothing, options=options, z_loss=z_loss, softcap=softcap, temperature=temperature,
            return_lse=return_lse,
        )  # fmt: skip
    input = plain(floating("input", input))
    linear_weight = plain(floating("linear_weight", linear_weight))
    if linear_bias is not None:
        linear_bias = plain(floating("linear_bias", linear_bias))
    target, weight = plain(target), plain(weight)
    if weight is not None:
        tensor("weight", weight)
    modifiers = modifiers_of(
        -100 if ignore_index is None else ignore_index, label_smoothing, z_loss, softcap, temperature, reduction
    )
    target = labels_of(target, modifiers[0])
    if linear_weight.ndim < 2:
        raise ShapeError(f"linear_weight must have shape (C, …, D); got {tuple(linear_weight.shape)}")
    if input.ndim not in (1, 2) or input.shape[-1] != linear_weight.shape[-1]:
        raise ShapeError(
            f"input must have shape (N, D) or (D,) with the D = {linear_weight.shape[-1]} of linear_weight; "
            f"got {tuple(input.shape)}"
        )
    if linear_weight.ndim > 2:
        return _of_positions(input, linear_weight, target, linear_bias, weight, modifiers, return_lse)
    single = input.ndim == 1
    if single:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    loss = _loss(input, linear_weight, target, linear_bias, weight, modifiers)
    lse = None
    if return_lse:
        lse = linear_lse_of(input, linear_weight, linear_bias, LossOptions(None, *modifiers))
    if single:
        loss = loss.squeeze(0) if reduction == "none" else loss
        lse = lse if lse is None else lse.squeeze(0)
    return loss if lse is None else (loss, lse)


def _loss(
    x: Tensor, linear_weight: Tensor, target: Tensor, linear_bias: Tensor | None, weight: Tensor | None,
    modifiers: tuple[Any, ...],
) -> Tensor:  # fmt: skip
    if traced() and not in_pytorchs_operations():
        return operators.linear_cross_entropy(x, linear_weight, linear_bias, target, weight, *modifiers)  # type: ignore[no-any-return]
    shape = torch.Size((x.shape[0], linear_weight.shape[0]))
    check_target(target, shape, 1, "the logits input @ linear_weight.T")
    others = {"linear_weight": linear_weight, "linear_bias": linear_bias, "target": target}
    if not all(t is None or t.is_cpu for t in (x, weight, *others.values())):
        check_devices(x, shape, 1, weight, **others)
    return linear_loss_of(x, linear_weight, linear_bias, target, weight, loss_options(None, *modifiers))


def _of_positions(
    x: Tensor, linear_weight: Tensor, target: Tensor, linear_bias: Tensor | None, weight: Tensor | None,
    modifiers: tuple[Any, ...], return_lse: bool,
) -> Any:  # fmt: skip
    """Return the loss of a layer with several positions, each with its own matrix."""
    options = LossOptions(None, *modifiers)
    if x.ndim != 2:
        raise ShapeError(f"input must have shape (N, D) where linear_weight has positions; got {tuple(x.shape)}")
    positions = linear_weight.shape[1:-1]
    dense = target.is_floating_point()
    expected = (x.shape[0], linear_weight.shape[0], *positions) if dense else (x.shape[0], *positions)
    if tuple(target.shape) != expected:
        raise ShapeError(f"target must have shape {expected}; got {tuple(target.shape)}")
    target = checked_labels(target, linear_weight.shape[0], options)
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        raise ShapeError(
            f"linear_bias must have shape {tuple(linear_weight.shape[:-1])}; got {tuple(linear_bias.shape)}"
        )
    matrices = linear_weight.flatten(1, -2).unbind(1)
    biases = [None] * len(matrices) if linear_bias is None else linear_bias.flatten(1).unbind(1)
    targets = target.flatten(2 if dense else 1).unbind(-1)
    part = "none" if options.reduction == "none" else "sum"
    parts, lses = [], []
    for matrix, bias, labels in zip(matrices, biases, targets, strict=True):
        parts.append(_loss(x, matrix, labels, bias, weight, (*modifiers[:-1], part)))
        if return_lse:
            lses.append(linear_lse_of(x, matrix, bias, options))
    if options.reduction == "none":
        loss = torch.stack(parts, 1).unflatten(1, positions)
    else:
        loss = torch.stack(parts).sum()
    if options.reduction == "mean":
        rows = loss.new_empty(()).expand(x.shape[0], *positions)
        loss = loss / total_weight(rows, target, weight, options)
    return (loss, torch.stack(lses, 1).unflatten(1, positions)) if return_lse else loss
