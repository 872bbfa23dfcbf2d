"""binary_cross_entropy_with_logits with PyTorch's signature."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from softxent.errors import ShapeError
from softxent.options import check_reduction
from softxent.torch.arguments import floating, reduction_of, tensor
from softxent.torch.autograd.binary import binary_loss_of
from softxent.torch.modes import plain

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
    for name, factor in (("weight", weight), ("pos_weight", pos_weight)):
        if factor is not None and not _broadcasts(tensor(name, factor).shape, input.shape):
            raise ShapeError(f"{name} must broadcast to input's shape {tuple(input.shape)}; got {tuple(factor.shape)}")
    return binary_loss_of(input, target, weight, pos_weight, reduction)


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    if len(shape) > len(to):
        return False
    for i in range(1, len(shape) + 1):  # noqa: SIM110  # the compiler of PyTorch 2.7 cannot follow all(…)
        if shape[-i] not in (1, to[-i]):
            return False
    return True
