"""Check the arguments that PyTorch's losses take: tensors, labels, class dimensions, numbers, size_average, reduce."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor
from torch.nn import _reduction

from softxent.errors import DTypeError, OptionError, ShapeError
from softxent.torch.modes import is_differentiated

__all__ = [
    "check_devices",
    "check_target",
    "class_dim",
    "floating",
    "labels_of",
    "modifiers_of",
    "reduction_of",
    "tensor",
]


_FLOATING = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))
_NO_INDICES = frozenset((torch.bool, torch.complex32, torch.complex64, torch.complex128))
# For each modifier, what to write if it is learned.
_INSTEAD = {
    "label_smoothing": "give the smoothed probabilities as target",
    "z_loss": "add z_loss * logsumexp(logits, 1) ** 2 to the rows' losses",
    "softcap": "give softcap * torch.tanh(logits / softcap) as logits",
    "temperature": "give logits / temperature as logits",
}


def tensor(name: str, value: Any) -> Tensor:
    """Return value, a tensor."""
    if not isinstance(value, Tensor):
        raise DTypeError(f"{name} must be a torch.Tensor; got {type(value).__name__}. Use torch.tensor({name})")
    return value


def floating(name: str, value: Any) -> Tensor:
    """Return value, a dense tensor of real floating numbers."""
    if not isinstance(value, Tensor):
        value = tensor(name, value)
    if value.dtype not in _FLOATING:
        raise DTypeError(f"{name} must be float16, bfloat16, float32 or float64; got {value.dtype}. Use {name}.float()")
    if value.layout is not torch.strided or value.is_nested:
        use = f"{name}.values(), its rows one after the other" if value.is_nested else f"{name}.to_dense()"
        kind = "a nested tensor" if value.is_nested else value.layout
        raise DTypeError(f"{name} must be a dense tensor; got {kind}. Use {use}")
    return value  # type: ignore[no-any-return]  # mypy does not keep what isinstance narrowed


def labels_of(target: Any, ignore_index: int) -> Tensor:
    """Return class indices of any integer dtype as int64; return probabilities unchanged.

    Later comparisons and look-ups need int64: uint8 156 is not −100, and a uint8 index would be a mask.
    """
    labels = tensor("target", target)
    dtype = labels.dtype
    if dtype is torch.int64:
        return labels
    if dtype.is_floating_point:
        if ignore_index >= 0:
            raise OptionError(
                f"ignore_index must be negative where target are probabilities (no row has an index to ignore); "
                f"got {ignore_index}"
            )
        return labels
    if dtype in _NO_INDICES:
        raise DTypeError(
            f"target must be integers where it holds class indices, and floating where it holds probabilities; "
            f"got {dtype}. Use target.long() or target.float()"
        )
    indices = labels.long()
    if dtype is torch.uint64:  # a value beyond int64 would become negative, possibly ignore_index
        indices = indices.masked_fill(indices < 0, torch.iinfo(torch.int64).max)
    return indices


def _number(name: str, value: Any) -> Any:
    """Return a tensor of one element as a number, unless a derivative would be lost; anything else unchanged."""
    if not isinstance(value, Tensor):
        return value
    if value.numel() != 1:
        raise DTypeError(f"{name} must be a number; got a tensor of shape {tuple(value.shape)}")
    compiling = torch.compiler.is_compiling()
    learned = value.requires_grad and torch.is_grad_enabled() if compiling else is_differentiated(value)
    if learned and name in _INSTEAD:
        raise DTypeError(
            f"{name} is one number, and gets no gradient; got a tensor that is differentiated, or one of a batch. "
            f"To learn it, {_INSTEAD[name]} and leave {name} out; for its value alone use {name}.item()"
        )
    return value.item()


def modifiers_of(
    ignore_index: Any, label_smoothing: Any, z_loss: Any, softcap: Any, temperature: Any, reduction: Any
) -> tuple[Any, ...]:
    """Return the loss's modifiers as plain numbers, in the order of LossOptions, without checking ranges."""
    numbers = type(label_smoothing) is type(z_loss) is type(temperature) is float and softcap is None
    if numbers and type(ignore_index) is int and ignore_index == -100:  # the usual case
        return ignore_index, label_smoothing, z_loss, softcap, temperature, reduction
    try:
        ignore_index = operator.index(_number("ignore_index", ignore_index))
    except TypeError as error:
        raise DTypeError(f"ignore_index must be an integer; got {ignore_index!r}") from error
    if not -(2**63) <= ignore_index < 2**63:
        ignore_index = -(2**63)  # no label, which is an int64, can equal the given number
    return (
        ignore_index, _number("label_smoothing", label_smoothing), _number("z_loss", z_loss),
        _number("softcap", softcap), _number("temperature", temperature), reduction,
    )  # fmt: skip


def class_dim(logits: Tensor) -> int:
    """Return the class dimension of a loss's logits: 1, or 0 of a single row."""
    if logits.ndim == 0:
        raise ShapeError("input must have a dimension of classes: (C,), (N, C) or (N, C, d1, …); got a scalar")
    return 1 if logits.ndim > 1 else 0


def check_target(target: Tensor, shape: torch.Size, dim: int, of: str = "input") -> None:
    """Check labels against the shape of the logits that they belong to, which the caller calls `of`."""
    rows = shape[:dim] + shape[dim + 1 :]
    dense = target.is_floating_point()
    if target.shape == (shape if dense else rows):
        return
    if target.shape == shape:
        raise DTypeError(
            f"target of the shape of {of} are probabilities and must be floating; got {target.dtype}. "
            f"For one-hot labels use target.float(), for class indices use shape {tuple(rows)}"
        )
    if target.shape == rows:
        raise DTypeError(
            f"target must be integers where they are class indices; got {target.dtype}. If they are indices, use "
            f"target.long(); if they are probabilities, give them the shape {tuple(shape)} of {of}"
        )
    raise ShapeError(
        f"target must have shape {tuple(rows)} (class indices) or {tuple(shape)} (probabilities) for {of} of shape "
        f"{tuple(shape)}; got {tuple(target.shape)}"
    )


def check_devices(input: Tensor, shape: torch.Size, dim: int, weight: Tensor | None, **others: Tensor | None) -> None:
    """Check, for a device without kernels, what the kernels' front end checks on a CPU.

    shape: of the logits, whose classes are along dim; weight, others: the arguments beside input, by name.
    """
    for name, given in {"weight": weight, **others}.items():
        if given is not None and given.device != input.device:
            raise OptionError(
                f"{name} must be on input's device, {input.device}; got {given.device}. Use {name}.to(input.device)"
            )
    if not shape[dim]:
        raise ShapeError(f"input must have at least one class along dim {dim}; got shape {tuple(shape)}")
    if weight is not None and weight.shape != (shape[dim],):
        raise ShapeError(f"weight must have shape ({shape[dim]},), one a class; got {tuple(weight.shape)}")


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return the reduction that the arguments of PyTorch before 0.4 ask for, with PyTorch's warning."""
    if size_average is None and reduce is None:
        return reduction
    return str(_reduction.legacy_get_string(size_average, reduce))
