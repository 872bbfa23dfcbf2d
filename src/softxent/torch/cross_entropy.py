"""cross_entropy with PyTorch's signature, and what softxent adds to it."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from softxent.errors import OptionError
from softxent.options import LossOptions, loss_options
from softxent.torch.arguments import (
    check_devices,
    check_target,
    class_dim,
    floating,
    labels_of,
    modifiers_of,
    reduction_of,
    tensor,
)
from softxent.torch.autograd.expressions import loss_expression
from softxent.torch.autograd.loss import loss_of
from softxent.torch.autograd.small import small_loss
from softxent.torch.autograd.softmax import lse_of
from softxent.torch.backends import operators
from softxent.torch.modes import in_pytorchs_operations, plain, traced

__all__ = ["cross_entropy"]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    return_lse: bool = False,
    inplace: bool = False,
) -> Any:
    r"""Softmax cross-entropy; loss and gradient of an index label are right to 4 ulps, however confident the row is.

    Let input x have shape (C,), (N, C) or (N, C, d1, …). For a row with target y:

        z    = softcap · tanh(x / softcap) / temperature            (x itself by default)
        t_c  = weight_c · ((1 − label_smoothing) y_c + label_smoothing / C)
        loss = Σ_c t_c (logsumexp(z) − z_c) + z_loss · logsumexp(z)²

    Args:
        input: logits: float16, bfloat16 (both computed in float32), float32 or float64.
        target: class indices, integers of input's shape without the class dimension; or probabilities, floating, of
            input's shape. Probabilities may require a gradient.
        weight: (C,) class weights, finite. They may require a gradient.
        size_average, reduce: PyTorch's old arguments, with its warning.
        ignore_index: rows with this index label have loss 0 and gradient 0, whatever their logits are.
        reduction: "mean" divides by Σ weight_y over the rows not ignored (index labels) or by the number of rows
            (probabilities); "sum"; "none".
        label_smoothing: in [0, 1]. This and the next three are constants: a tensor that requires a gradient is refused.
        z_loss: at least 0; pulls logsumexp towards 0 and is not scaled by the class weights.
        softcap: above 0, or None. Applied before the temperature.
        temperature: above 0.
        return_lse: return (loss, logsumexp(z) of every row), both differentiable.
        inplace: let the gradient take the logits' memory, which may be a view of a whole tensor, not of a part of one.
            Logits and tensor are lost, and only one backward pass is possible.

    Returns:
        The loss: float64 for float64 logits, else float32; without dimensions, or for reduction="none" of input's shape
        without the class dimension. Differentiable to any order, in reverse and forward mode.

    Raises:
        LabelError (a ValueError and an IndexError): a label is no class; it names the row. ShapeError, OptionError
        (ValueErrors), DTypeError (a TypeError): the argument's name, what was expected, what was given. GradientError
        (a RuntimeError): a second backward pass after inplace=True.

    >>> import torch, softxent.torch
    >>> logits = torch.tensor([[40.0, 0.0]], dtype=torch.float64, requires_grad=True)
    >>> loss = softxent.torch.cross_entropy(logits, torch.tensor([0]))
    >>> loss.item()
    4.248354255291589e-18
    >>> loss.backward()
    >>> logits.grad.tolist()
    [[-4.248354255291589e-18, 4.248354255291589e-18]]

    Source: Blanchard, Higham and Higham (IMA J. Numer. Anal. 41, 2021) for the shifted sums; Szegedy et al.,
    "Rethinking the Inception architecture" (2016) for smoothing. Equals torch.nn.functional.cross_entropy; it differs
    in the half precisions' loss dtype (float32 here) and where a probability of 0 meets a logit of −inf (0 here).
    """
    if (
        weight is None
        and softcap is None
        and size_average is reduce is None
        and type(label_smoothing) is type(z_loss) is type(temperature) is float
        and type(ignore_index) is int
        and type(reduction) is str
        and label_smoothing == 0.0
        and temperature == 1.0
        and not (inplace or return_lse)
    ):
        small = small_loss(input, target, ignore_index, z_loss, reduction)
        if small is not None:
            return small
    if has_torch_function_variadic(input, target, weight):
        return handle_torch_function(
            cross_entropy, (input, target, weight), input, target, weight=weight, size_average=size_average,
            ignore_index=ignore_index, reduce=reduce, reduction=reduction, label_smoothing=label_smoothing,
            z_loss=z_loss, softcap=softcap, temperature=temperature, return_lse=return_lse, inplace=inplace,
        )  # fmt: skip
    if size_average is not None or reduce is not None:
        reduction = reduction_of(size_average, reduce, reduction)
    input, target, weight = plain(floating("input", input)), plain(target), plain(weight)
    dim = class_dim(input)
    modifiers = modifiers_of(ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    target = labels_of(target, modifiers[0])
    if weight is not None:
        tensor("weight", weight)
    is_recorded = traced()
    if not is_recorded:
        check_target(target, input.shape, dim)
        if not (input.is_cpu and target.is_cpu and (weight is None or weight.is_cpu)):
            check_devices(input, input.shape, dim, weight, target=target)
    if inplace and return_lse:
        raise OptionError("inplace=True and return_lse=True exclude each other: the gradient takes the logits' place")
    options = LossOptions(None, *modifiers) if is_recorded else loss_options(None, *modifiers)
    if not is_recorded:
        loss = loss_of(input, target, weight, options, dim, inplace)
    elif in_pytorchs_operations():
        loss = loss_expression(input, target, weight, options, dim)
    else:
        loss = operators.cross_entropy(input, target, weight, dim, *modifiers)
    return (loss, lse_of(input, dim, options)) if return_lse else loss
